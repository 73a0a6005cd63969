"""JSON Lines: a row a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tags_assets.formats.instance import RowError
from tags_assets.formats.readers.json_row import clean, parse
from tags_assets.formats.readers.record import TOO_LONG, Position, Record
from tags_assets.formats.readers.streams import blocks, lines, with_line_ends

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_json_lines(path: Path, compression: str | None, position: Position) -> Iterator[Record]:
    """Yield the rows of a JSON Lines file. Blank lines count as lines and are no rows.

    A comma behind a row, as in a part of an array, is left away; the rows of an array on one line are rows.
    """
    for number, raw, whole in lines(with_line_ends(blocks(path, compression, position))):
        text = clean(raw)
        if not text:
            continue
        if not whole:
            yield Record(number, raw, None, TOO_LONG)
            continue
        try:
            yield Record(number, text, parse(text))
        except RowError as error:
            yield from _nearly(number, text) or [Record(number, raw, None, error.reason)]


def _nearly(number: int, text: bytes) -> list[Record]:
    """Read a line that is nearly a row: one with a comma behind it, or an array of rows; none else."""
    text = text.removesuffix(b",").rstrip()
    try:
        if not text.startswith(b"["):
            return [Record(number, text, parse(text))]
        items = orjson.loads(text)
    except (RowError, orjson.JSONDecodeError):
        return []
    if not items or not all(isinstance(item, dict) for item in items):
        return []
    return [Record(number, orjson.dumps(item), item) for item in items]
