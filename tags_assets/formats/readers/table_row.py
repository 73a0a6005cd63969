"""A row of a table: its cells as a mapping, and as the JSON text that stands for the row as it came."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import orjson

from tags_assets.formats.readers.record import KEPT_OF_A_LONG_ROW, MAX_ROW_BYTES, TOO_LONG, Record
from tags_assets.formats.recognise import CONVERSATION_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

LIST_FIELDS = (*CONVERSATION_KEYS, "chosen", "rejected", "history")
"""Fields that hold lists; a table without nested types holds them as JSON text."""


def record_of(number: int, cells: dict[str, Any]) -> Record:
    """Make the record of a table's row; JSON text in the fields of conversations becomes what it says."""
    for key in LIST_FIELDS:
        cell = cells.get(key)
        if isinstance(cell, str) and cell.lstrip()[:2] in ("[{", "[[", "[ ", "[\n", '{"'):
            try:
                cells[key] = orjson.loads(cell)
            except orjson.JSONDecodeError:
                continue  # text that looks like JSON; whether that will do is for the layout to say
    try:
        raw = _as_json(cells)
    except RecursionError:
        return Record(number, b"", None, "a cell is nested too deeply")
    if len(raw) > MAX_ROW_BYTES:
        return Record(number, raw[:KEPT_OF_A_LONG_ROW], None, TOO_LONG)
    return Record(number, raw, cells)


def _as_json(cells: dict[str, Any]) -> bytes:
    """Write a row as JSON: dates in ISO 8601, bytes in base64, decimals as text, NaN as null."""
    try:
        return orjson.dumps(cells, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # An integer of more than 64 bits, or nested beyond what orjson writes.
        return json.dumps(cells, default=_plain, ensure_ascii=False).encode(errors="replace")


def _plain(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def records_of(batch: pa.RecordBatch, first: int) -> Iterator[Record]:
    """Yield the records of an Arrow batch whose first row has the number ``first``."""
    try:
        rows = batch.to_pylist()
    except (ValueError, TypeError, OverflowError):
        # One cell, such as text that is not UTF-8, spoils the batch: find it row by row.
        yield from _one_by_one(batch, first)
        return
    for number, row in enumerate(rows, start=first):
        yield record_of(number, row)


def _one_by_one(batch: pa.RecordBatch, first: int) -> Iterator[Record]:
    for place in range(batch.num_rows):
        cells: dict[str, Any] = {}
        problem = None
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                cells[name] = column[place].as_py()
            except (ValueError, TypeError, OverflowError) as error:
                problem = problem or f"the column {name} cannot be read: {error}"
        if problem is None:
            yield record_of(first + place, cells)
        else:
            yield Record(first + place, _as_json(cells), None, problem[:200])
