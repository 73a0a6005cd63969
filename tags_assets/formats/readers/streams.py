"""Bytes and lines of plain, gzip and zstd files, in bounded memory."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pyarrow as pa

from tags_assets.errors import UserError
from tags_assets.formats.readers.record import (
    KEPT_OF_A_LONG_ROW,
    MAX_ROW_BYTES,
    Position,
    most_from,
    too_much,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
"""First bytes of each compression that is read."""

_BLOCK = 4 * 2**20
_NEVER_WAIT = getattr(os, "O_NONBLOCK", 0)


def cannot_be_read(path: Path, error: OSError) -> UserError:
    """Build the error for a file that the system does not let us read."""
    if isinstance(error, FileNotFoundError):
        return UserError("there is no such file", where=str(path))
    return UserError(f"cannot be read: {error.strerror or error}", where=str(path))


def check_regular(path: Path) -> None:
    """Make sure that a path is a file's.

    Raises
    ------
    UserError
        If it is a pipe, a device or a socket, which would be waited for, or read, without end.
    """
    _refuse_special(path, path.stat().st_mode)


def opened(path: Path) -> BufferedReader:
    """Open a file for reading, never waiting for the other end of a pipe.

    Raises
    ------
    UserError
        If the path is not a file's.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | _NEVER_WAIT))  # noqa: SIM115 - `Path.open` takes no opener
    try:
        _refuse_special(path, os.fstat(file.fileno()).st_mode)
    except UserError:
        file.close()
        raise
    return file


def _refuse_special(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UserError("is neither a file nor a folder", where=str(path), fix="Write it to a file first.")


def compression_of(path: Path) -> str | None:
    """Tell a compressed file by its first bytes, whatever its name."""
    try:
        with opened(path) as file:
            start = file.read(4)
    except OSError as error:
        raise cannot_be_read(path, error) from error
    return next((name for magic, name in COMPRESSIONS.items() if start.startswith(magic)), None)


def blocks(
    path: Path, compression: str | None, position: Position | None = None, size: int = _BLOCK
) -> Iterator[bytes]:
    """Yield a file's bytes, decompressed.

    Raises
    ------
    UserError
        If the file cannot be opened, its compressed stream is damaged or cut short, or it unpacks to far more
        than any data does.
    """
    position = position or Position()
    unpacked = 0
    try:
        with opened(path) as file:
            most = most_from(os.fstat(file.fileno()).st_size)
            stream = pa.CompressedInputStream(pa.PythonFile(file), compression) if compression else file
            while block := stream.read(size):
                position.done = file.tell()
                unpacked += len(block)
                if compression and unpacked > most:
                    raise too_much(path, unpacked)
                yield block
            position.done = file.tell()
    except (OSError, pa.ArrowException) as error:
        # Arrow reports a damaged stream as an OSError without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise cannot_be_read(path, error) from error
        raise UserError(
            f"the {compression} stream is damaged or cut short", where=str(path), fix="Fetch the file again."
        ) from error


def head(path: Path, compression: str | None, size: int = 2**16) -> bytes:
    """Return the first bytes of a file, decompressed."""
    stream = blocks(path, compression, size=size)
    try:
        return next(stream, b"")
    finally:
        stream.close()  # type: ignore[attr-defined]


def lines(stream: Iterator[bytes]) -> Iterator[tuple[int, bytes, bool]]:
    """Split bytes at 0x0A, and there only.

    Yields
    ------
    number
        The line's, from 1.
    line
        Its bytes without the 0x0A; the first of them where it is too long.
    whole
        False where the line is longer than `MAX_ROW_BYTES`.
    """
    number, rest, skipping = 1, b"", False
    for block in stream:
        *complete, tail = block.split(b"\n")
        for part in complete:
            if not skipping:
                yield number, rest + part if rest else part, True
            rest, skipping = b"", False
            number += 1
        rest = rest + tail if rest and not skipping else tail
        if skipping:
            rest = b""
        elif len(rest) > MAX_ROW_BYTES:
            yield number, rest[:KEPT_OF_A_LONG_ROW], False
            rest, skipping = b"", True
    if rest:
        yield number, rest, True
