"""JSON Lines: a row a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.formats.instance import RowError
from tags_assets.formats.readers.json_row import clean, parse
from tags_assets.formats.readers.record import TOO_LONG, Position, Record
from tags_assets.formats.readers.streams import blocks, lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_json_lines(path: Path, compression: str | None, position: Position) -> Iterator[Record]:
    """Yield the rows of a JSON Lines file. Blank lines count as lines and are no rows."""
    for number, raw, whole in lines(blocks(path, compression, position)):
        text = clean(raw)
        if not text:
            continue
        if not whole:
            yield Record(number, raw, None, TOO_LONG)
            continue
        try:
            yield Record(number, text, parse(text))
        except RowError as error:
            yield Record(number, raw, None, error.reason)
