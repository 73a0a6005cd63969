"""Files written whole or not at all, with their checksums."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from tags_assets.store.durable import written_whole

if TYPE_CHECKING:
    from pathlib import Path

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


Written: TypeAlias = tuple[list[ExportedFile], pl.DataFrame]
"""What a trainer's form returns: its files, and the rows that were left out with their reasons."""


def described(
    format_name: str, path: Path, rows: int | None, *, left_out: int = 0, notes: tuple[str, ...] = ()
) -> ExportedFile:
    """Measure a file that was written."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return ExportedFile(format_name, path, rows, path.stat().st_size, digest.hexdigest(), left_out, notes)


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
