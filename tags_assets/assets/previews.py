"""Markdown for the asset's page in the UI."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_CELL_CHARS = 120


def markdown_table(frame: pl.DataFrame, rows: int = 20) -> str:
    """Write the first rows of a frame as a Markdown table; text of the data cannot break out of its cell."""
    if frame.is_empty():
        return "_none_"
    head = "| " + " | ".join(frame.columns) + " |"
    rule = "|" + "---|" * frame.width
    lines = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in frame.head(rows).iter_rows()]
    more = [f"\n… and {len(frame) - rows:,} more"] if len(frame) > rows else []
    return "\n".join([head, rule, *lines, *more])


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = " ".join(str(value).split())
    text = text if len(text) <= _CELL_CHARS else text[: _CELL_CHARS - 1] + "…"
    return re.sub(r"([\\`*_{}\[\]<>|!#])", r"\\\1", text)
