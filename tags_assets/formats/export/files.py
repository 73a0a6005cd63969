"""Files written whole or not at all, with their checksums."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from tags_assets.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPORT_SCHEMA: dict[str, pl.DataType] = {
    "format": pl.String(),
    "file": pl.String(),
    "rows": pl.Int64(),
    "bytes": pl.Int64(),
    "sha256": pl.String(),
}
"""Columns of the table ``exported_subset`` after ``target``, one row per file. ``rows`` is null for a file
that holds none, such as a configuration."""

BLOCK = 1 << 20


@dataclass(frozen=True)
class ExportedFile:
    """One file that an export wrote.

    Attributes
    ----------
    format
        The name that `tags_assets.formats.export.export` was asked for.
    path
        Where it is.
    rows
        Rows in it; None for a configuration.
    bytes
        Its size.
    sha256
        Its checksum, in hexadecimal.
    left_out
        Rows of the selection that this format cannot take, or that the trainer would skip without a word.
    notes
        What a person should know of it, one sentence each.
    """

    format: str
    path: Path
    rows: int | None
    bytes: int
    sha256: str
    left_out: int = 0
    notes: tuple[str, ...] = ()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write to, and put it in its place when the block ends well.

    Raises
    ------
    UserError
        Where the folder cannot be written to, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _unwritable(path, error) from error
    beside = Path(name)
    try:
        yield beside
        # mkstemp makes files that only their owner may read; an export is for others too.
        beside.chmod(0o666 & ~_umask())
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        beside.unlink(missing_ok=True)


def described(
    format_name: str, path: Path, rows: int | None, *, left_out: int = 0, notes: tuple[str, ...] = ()
) -> ExportedFile:
    """Measure a file that was written."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return ExportedFile(format_name, path, rows, path.stat().st_size, digest.hexdigest(), left_out, notes)


def write_text(path: Path, text: str) -> None:
    """Write a small text file whole or not at all, in UTF-8."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def write_json_lines(path: Path, rows: pl.DataFrame) -> None:
    """Write a frame as JSON Lines, a slice at a time."""
    with written_whole(path) as beside, beside.open("wb") as file:
        for part in rows.iter_slices(20_000):
            part.write_ndjson(file)


def export_frame(files: list[ExportedFile]) -> pl.DataFrame:
    """Write down what was exported, as the table ``exported_subset`` keeps it (without ``target``)."""
    return pl.DataFrame(
        [(f.format, str(f.path), f.rows, f.bytes, f.sha256) for f in files],
        schema=EXPORT_SCHEMA,
        orient="row",
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot be written ({error.strerror or error})",
        where=str(path),
        mend="Choose a folder that can be written to and has room.",
    )
