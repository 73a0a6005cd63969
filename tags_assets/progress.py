"""Progress of long work, from the method to whoever watches: the terminal or the Dagster UI."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Watcher(Protocol):
    """Who watches progress."""

    def step(self, task: str, done: int, total: int) -> None:
        """Take note that `done` of `total` units of `task` are done."""


_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Send the progress of everything inside to the watcher."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


@dataclass
class Throttled:
    """Calls a function at most once per `seconds`; an event log is no place for a thousand lines."""

    call: Callable[[int, int], None]
    seconds: float = 10.0
    _last: float = field(default_factory=time.monotonic)

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= self.seconds:
            self._last = now
            self.call(done, total)


def reporter(task: str, *also: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Build the callable that the method takes as `progress`.

    Parameters
    ----------
    task
        What is being done, as a person would say it.
    also
        Further receivers of (done, total).
    """
    watcher = _watcher.get()

    def report(done: int, total: int) -> None:
        if watcher is not None:
            watcher.step(task, done, total)
        for receiver in also:
            receiver(done, total)

    return report
