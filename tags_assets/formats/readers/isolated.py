"""Parquet and Arrow files, read in a child process of bounded memory.

Arrow's readers were not written for hostile files. A damaged one can end the process that reads it, or make
it take all memory; here it ends a child, and the user gets one line. One child reads many files.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from tags_assets.errors import UserError
from tags_assets.formats.readers.record import Position, Record

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

MEMORY = 2 * 2**30
"""Bytes of memory that the reading of a table may take."""

_CODE = "from tags_assets.formats.readers.isolated import serve; serve()"
_ROWS_A_FRAME, _BYTES_A_FRAME = 1024, 4 * 2**20
_LENGTH = 8
_IDLE: list[_Child] = []


def read_isolated(path: Path, kind: str, position: Position) -> Iterator[Record]:
    """Yield the rows of a ``parquet``, ``arrow_file`` or ``arrow_stream`` file.

    Raises
    ------
    UserError
        If the file is damaged, takes too much memory, or ends the process that reads it.
    """
    try:
        child = _IDLE.pop()
    except IndexError:
        child = _Child()
    reusable = False
    try:
        error = yield from child.read(path, kind, position)
        reusable = True
    finally:
        if reusable:
            _IDLE.append(child)
        else:  # it ended, or stopped in the middle of a file
            child.kill()
    if error is not None:
        raise error


@atexit.register
def release() -> None:
    """End the children that wait for another file."""
    while _IDLE:
        _IDLE.pop().kill()


class _Child:
    """A process that reads files, one after the other."""

    def __init__(self) -> None:
        # -P: nothing in the current folder is imported.
        self._process = subprocess.Popen(  # noqa: S603 - our own code
            [sys.executable, "-P", "-c", _CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def read(self, path: Path, kind: str, position: Position) -> Generator[Record, None, UserError | None]:
        """Yield the records of a file, and return what is wrong with it."""
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018
        with suppress(BrokenPipeError):  # what ended it is told below
            _send(self._process.stdin, (path, kind))
        while True:
            frame = _receive(self._process.stdout)
            if frame is None:
                raise self._ended(path)
            records, position.done, error = frame
            yield from map(Record._make, records)
            if error is not None:
                problem, fix = error
                return UserError(problem, where=str(path), fix=fix)
            if not records:
                return None

    def _ended(self, path: Path) -> UserError:
        code = self._process.wait()
        if code >= 0:
            return UserError("the process that reads it ended", where=str(path), fix="Run again.")
        return UserError(
            f"ended the process that reads it ({signal.Signals(-code).name})",
            where=str(path),
            fix="The file is damaged or made to do harm: get it again from a source that you trust.",
        )

    def kill(self) -> None:
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()


def serve() -> None:
    """Read the files that the parent names until it has no more: the child's side."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends this process
    _limit_memory()
    import pyarrow as pa  # noqa: PLC0415 - after the limit

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a library's words are no frames
    with suppress(BrokenPipeError):
        while (request := _receive(sys.stdin.buffer)) is not None:
            position = Position()
            error = None
            try:
                for frame in _frames(request[0], request[1], position):
                    try:
                        _send(out, (frame, position.done, None))
                    except RecursionError:
                        _send(out, ([_flat(record) for record in frame], position.done, None))
            except UserError as wrong:
                error = wrong.problem, wrong.fix
            except MemoryError:
                error = (
                    f"takes more than {MEMORY // 2**30} GiB of memory to read",
                    "Save it with smaller row groups or batches, or as JSON Lines.",
                )
            _send(out, ([], position.done, error))


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # there is none on Windows
        import resource  # noqa: PLC0415

        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        most = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _frames(path: Path, kind: str, position: Position) -> Iterator[list[tuple[Any, ...]]]:
    """Yield a file's records, as many at once as are worth a message."""
    from tags_assets.formats.readers.arrow_table import read_arrow, read_parquet  # noqa: PLC0415 - as above

    if kind == "parquet":
        records = read_parquet(path, position)
    else:
        records = read_arrow(path, position, stream=kind == "arrow_stream")
    frame: list[tuple[Any, ...]] = []
    n_bytes = 0
    for record in records:
        frame.append(tuple(record))
        n_bytes += len(record.raw)
        if len(frame) >= _ROWS_A_FRAME or n_bytes >= _BYTES_A_FRAME:
            yield frame
            frame, n_bytes = [], 0
    if frame:
        yield frame


def _flat(record: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a record that can be sent: rejected where it is nested too deeply for that."""
    try:
        pickle.dumps(record)
    except RecursionError:
        return (*record[:2], None, "a cell is nested too deeply")
    return record


def _send(stream: IO[bytes], message: object) -> None:
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(content).to_bytes(_LENGTH, "big"))
    stream.write(content)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:  # noqa: ANN401 - None where the other side has ended
    length = stream.read(_LENGTH)
    if len(length) < _LENGTH:
        return None
    content = stream.read(int.from_bytes(length, "big"))
    try:
        return pickle.loads(content)  # noqa: S301 - written by our own code in the other process
    except EOFError:
        return None
    except pickle.UnpicklingError:  # cut short, as it was ended
        return None
