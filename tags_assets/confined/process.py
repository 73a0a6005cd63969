"""The confined process as its parent sees it: a request in, batches of rows or one error out."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Neither keys of servers nor the home are among them.
_ENVIRONMENT = (
    *("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "NIX_LD", "NIX_LD_LIBRARY_PATH"),
)
_MOST_BYTES = 1 << 30
_PIPE_BYTES = 1 << 20
_WAIT_MS = 1000

TOO_SLOW = "TooSlow"
NO_MEMORY = "NoMemory"


class ConfinedError(Exception):
    """What the confined process answered instead of rows.

    Attributes
    ----------
    kind
        The class of DuckDB's error; `TOO_SLOW`; `NO_MEMORY`; ``Refused`` where the query may not be run;
        ``CannotOpen`` and ``NoTable``.
    message
        What it says.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message

    @property
    def line(self) -> str:
        """The first line of the message, without the class that DuckDB puts before it."""
        lines = [line for line in self.message.splitlines() if line.strip()]
        return lines[0].strip() if lines else self.kind


class _Process:
    """A worker and its pipes."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.popen = subprocess.Popen(  # noqa: S603 - our own file, by this interpreter
            [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pipesize=_PIPE_BYTES,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            start_new_session=True,
        )

    def send(self, kind: bytes, content: bytes) -> None:
        assert self.popen.stdin is not None  # noqa: S101 - a pipe, as above
        self.popen.stdin.write(kind + struct.pack(">Q", len(content)))
        self.popen.stdin.write(content)
        self.popen.stdin.flush()

    def receive(self) -> tuple[bytes, bytes]:
        """Return the next message; an error where the process died instead of sending it."""
        head = self._read(9)
        (length,) = struct.unpack(">Q", head[1:])
        if length > _MOST_BYTES:
            raise EOFError
        return head[:1], self._read(length)

    def _read(self, length: int) -> bytes:
        assert self.popen.stdout is not None  # noqa: S101 - a pipe, as above
        pipe = self.popen.stdout.fileno()
        ready = select.poll()
        ready.register(pipe, select.POLLIN)
        content = bytearray()
        while len(content) < length:
            # Polars has a read go on after Ctrl-C; only a wait is ended by it.
            if ready.poll(_WAIT_MS):
                part = os.read(pipe, min(length - len(content), _PIPE_BYTES))
                if not part:
                    raise EOFError
                content += part
        return bytes(content)

    def kill(self) -> int:
        """End it now, whatever it is at; return how it ended."""
        self.popen.kill()
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was still to be written
                    continue
        return self.popen.wait()


_idle: list[_Process] = []
_lock = threading.Lock()


def run(
    request: Mapping[str, object], rows: bytes | None = None, *, seconds: float
) -> Iterator[pa.RecordBatch]:
    """Run a request in a confined process; yield its answer.

    A process takes a quarter of a second to start and a few milliseconds to be used again, so one is kept. A
    process that was left before its answer was complete (an interrupt, a generator that was closed)
    is killed.

    Parameters
    ----------
    request
        ``condition`` on the rows given; or ``database``, ``relation`` and whether that is a ``query``; or
        ``database`` alone, which gives the names of its tables.
    rows
        An Arrow stream.
    seconds
        After which the process is killed; where a relation is read, the time for each batch.

    Raises
    ------
    ConfinedError
        Where there is no answer, or no more of it.
    """
    process, keep = _take(), False
    try:
        process.send(b"R", json.dumps({**request, "seconds": seconds}).encode())
        if rows is not None:
            process.send(b"F", rows)
        while (answer := process.receive())[0] == b"B":
            yield from pa.ipc.open_stream(answer[1])
        end = json.loads(answer[1])
        keep = end["again"]
        if end["error"]:
            raise ConfinedError(end["error"], end["message"])
    except (EOFError, BrokenPipeError):
        raise _death(process.kill(), seconds) from None
    finally:
        if not (keep and _give_back(process)):
            process.kill()


def _death(code: int, seconds: float) -> ConfinedError:
    if code == -signal.SIGALRM:
        return ConfinedError(TOO_SLOW, f"takes more than {seconds:g} seconds")
    return ConfinedError(NO_MEMORY, f"needs more memory than a query may have, or DuckDB broke ({code})")


def _take() -> _Process:
    with _lock:
        while _idle:
            process = _idle.pop()
            # A fork has the pipes of its parent, which are not for it.
            if process.owner == os.getpid() and process.popen.poll() is None:
                return process
    return _Process()


def _give_back(process: _Process) -> bool:
    with _lock:
        if not _idle:
            _idle.append(process)
            return True
    return False


@atexit.register
def close() -> None:
    """End the process that is kept."""
    with _lock:
        while _idle:
            process = _idle.pop()
            if process.owner == os.getpid():
                process.kill()
