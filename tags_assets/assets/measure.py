"""Seconds and peak memory of a piece of work, child processes included."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLE_SECONDS = 0.2


@dataclass
class Measured:
    """Wall seconds, and the peak memory of this process and its children in MB (10^6 bytes)."""

    seconds: float = 0.0
    peak_mb: float = 0.0


@contextmanager
def measured() -> Iterator[Measured]:
    """Measure what happens inside; the figures are complete once it is left.

    Memory is sampled five times a second, so a shorter peak can be missed.
    """
    result = Measured()
    process = psutil.Process()
    done = threading.Event()

    def sample() -> None:
        while True:
            result.peak_mb = max(result.peak_mb, _resident(process) / 1e6)
            if done.wait(_SAMPLE_SECONDS):
                return

    sampler = threading.Thread(target=sample, daemon=True, name="memory-sampler")
    start = time.perf_counter()
    sampler.start()
    try:
        yield result
    finally:
        result.seconds = time.perf_counter() - start
        done.set()
        sampler.join()


def _resident(process: psutil.Process) -> int:
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:  # a child may end while it is being looked at
            continue
    return total
