"""``tags-assets ui`` as a user starts it, on a free port of loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def served(
    home: Path, folder: Path, log: Path, variables: Mapping[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve a home, started in a folder; gives the address and the process."""
    port = free_port()
    command = [sys.executable, "-P", "-m", "tags_assets", "ui", "--home", str(home), "--port", str(port)]
    with log.open("wb") as out:
        running = subprocess.Popen(
            command,
            env={**os.environ, **(variables or {})},
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd=folder,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/server_info", running, log, home / "dagster" / "ui.log")
        yield address, running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGINT)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait(60)


def _wait_for(url: str, running: subprocess.Popen[bytes], *logs: Path, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and running.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10):  # noqa: S310 (loopback)
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(1)
    said = "\n".join(log.read_text(errors="replace")[-3000:] for log in logs if log.exists())
    pytest.fail(f"the UI did not come up:\n{said}")
