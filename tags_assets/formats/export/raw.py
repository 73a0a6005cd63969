"""The rows as they came, and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.formats.export.files import ExportedFile, described
from tags_assets.store.durable import written_whole

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl


def write_raw(rows: pl.DataFrame, path: Path) -> ExportedFile:
    """Write the rows as they came, one per line, in the order given.

    Nothing of a row's text changes. The one exception is a row that stood on several lines (an element of an
    indented JSON array): line ends between its tokens become spaces, because a line is a row here. Inside a
    JSON string a line end is always escaped, so no value is touched.
    """
    with written_whole(path) as beside, beside.open("wb") as file:
        for part in rows.select("raw").iter_slices(20_000):
            lines = part["raw"].str.replace_all(r"[\r\n]+", " ")
            file.write("".join(f"{line}\n" for line in lines).encode())
    return described("raw", path, rows.height)


def write_parquet(
    rows: pl.DataFrame,
    path: Path,
    *,
    format_name: str = "parquet",
    left_out: int = 0,
    notes: tuple[str, ...] = (),
) -> ExportedFile:
    """Write a frame as Parquet (zstd)."""
    with written_whole(path) as beside:
        rows.write_parquet(beside, compression="zstd", statistics=True)
    return described(format_name, path, rows.height, left_out=left_out, notes=notes)
