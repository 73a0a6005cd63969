"""Rows that come one by one, gathered in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FLUSH_ROWS = 20_000


class RowFrames:
    """Gathers rows in a frame, so that a million of them stay small."""

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self._schema = dict(schema)
        self._rows: list[tuple[object, ...]] = []
        self._frames: list[pl.DataFrame] = []

    def add(self, *row: object) -> None:
        """Take a row, its values in the schema's order."""
        self._rows.append(row)
        if len(self._rows) >= _FLUSH_ROWS:
            self._flush()

    def _flush(self) -> None:
        self._frames.append(pl.DataFrame(self._rows, schema=self._schema, orient="row"))
        self._rows = []

    def frame(self) -> pl.DataFrame:
        """All rows so far, in the order in which they came."""
        self._flush()
        return pl.concat(self._frames, rechunk=True)


def with_ids(frame: pl.DataFrame, ids: Sequence[str] | pl.Series) -> pl.DataFrame:
    """Add ``instance_id`` to a frame with ``row`` (u32)."""
    named = pl.DataFrame({"instance_id": pl.Series(ids, dtype=pl.String)}).with_row_index("row")
    return frame.join(named, on="row", how="left", maintain_order="left")
