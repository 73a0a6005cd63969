"""Bytes and lines of plain, gzip and zstd files, in bounded memory."""

from __future__ import annotations

import gzip
import lzma
import os
import stat
import struct
import zipfile
import zlib
from itertools import chain
from typing import IO, TYPE_CHECKING, cast

import pyarrow as pa
import zstandard

from tags_assets.errors import UserError, printable
from tags_assets.formats.readers.record import (
    KEPT_OF_A_LONG_ROW,
    MAX_ROW_BYTES,
    Position,
    most_from,
    too_much,
)
from tags_assets.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
}
"""First bytes of each compression that is read."""

_SKIPPABLE = b"\x2a\x4d\x18"
"""Bytes 2 to 4 of a frame that zstd's readers skip; the first is 0x50 to 0x5F."""
_MAX_WINDOW = 2**27
"""Bytes of the largest window with which zstd is read, as by zstd's own tool unless asked otherwise."""

_OF_BAD_ARCHIVES = (NotImplementedError, RuntimeError, IndexError, ValueError, struct.error)
"""What the standard library raises where the list of an archive's files is damaged."""

_BLOCK = 4 * 2**20
_ZSTD_HEADER = 18
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
            start = file.read(6)
    except OSError as error:
        raise cannot_be_read(path, error) from error
    if _is_skippable(start):
        return "zstd"
    return next((name for magic, name in COMPRESSIONS.items() if start.startswith(magic)), None)


def _is_skippable(start: bytes) -> bool:
    return len(start) >= 4 and 0x50 <= start[0] <= 0x5F and start[1:4] == _SKIPPABLE


def _unpacked(file: BufferedReader, compression: str | None, path: Path) -> IO[bytes]:
    """Return a stream of what a file holds, whatever its compression."""
    match compression:
        case None:
            return file
        case "gzip":  # takes the zeros behind the end that tapes leave
            return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
        case "xz":
            return cast("IO[bytes]", lzma.LZMAFile(file))
        case "zip":
            try:
                return _only_member(file, path)
            except _OF_BAD_ARCHIVES as error:
                raise zipfile.BadZipFile(str(error)) from error
        case "zstd":
            _check_window(file, path)
    return cast("IO[bytes]", pa.CompressedInputStream(pa.PythonFile(file), compression))


def _only_member(file: BufferedReader, path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(file)
    members = [member for member in archive.infolist() if not member.is_dir()]
    if any(member.filename == "[Content_Types].xml" for member in members):
        raise UserError("is an Office document", where=str(path), fix="Save the sheet as CSV.")
    if len(members) != 1:
        names = listed([printable(member.filename) for member in members], 3)
        raise UserError(
            f"is a ZIP archive of {len(members):,} files ({names})",
            where=str(path),
            fix="Unpack it, and name the folder.",
        )
    if members[0].flag_bits & 0x1:
        raise UserError("is a ZIP archive with a password", where=str(path), fix="Unpack it.")
    return archive.open(members[0])


def _check_window(file: BufferedReader, path: Path) -> None:
    """Make sure that a zstd stream asks for no more memory than it may take."""
    place = 0
    start = file.read(_ZSTD_HEADER)
    while _is_skippable(start):
        place += 8 + int.from_bytes(start[4:8], "little")
        file.seek(place)
        start = file.read(_ZSTD_HEADER)
    file.seek(0)
    try:
        window = zstandard.get_frame_parameters(start).window_size
    except zstandard.ZstdError:
        return  # whoever reads it says what is wrong
    if window > _MAX_WINDOW:
        raise UserError(
            f"has a zstd window of {window // 2**20} MiB, and at most {_MAX_WINDOW // 2**20} MiB are read",
            where=str(path),
            fix=f"Repack it: zstd -d --long=31 -c {path.name} | zstd > repacked.zst",
        )


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
            stream = _unpacked(file, compression, path)
            while block := stream.read(size):
                position.done = file.tell()
                unpacked += len(block)
                if compression and unpacked > most:
                    raise too_much(path, unpacked)
                yield block
            position.done = file.tell()
    except (OSError, pa.ArrowException, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
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


def with_line_ends(stream: Iterator[bytes]) -> Iterator[bytes]:
    """Give the text of old Macs, whose lines end in CR alone, the line ends of others."""
    first = next(stream, b"")
    old = b"\r" in first and b"\n" not in first
    for block in chain([first], stream):
        yield block.replace(b"\r", b"\n") if old else block


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
