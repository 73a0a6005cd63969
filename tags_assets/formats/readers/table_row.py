"""A row of a table: its cells as a mapping, and as the JSON text that stands for the row as it came."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from tags_assets.formats.readers.record import KEPT_OF_A_LONG_ROW, MAX_ROW_BYTES, TOO_LONG, Record
from tags_assets.formats.recognise import CONVERSATION_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LIST_FIELDS = (*CONVERSATION_KEYS, "chosen", "rejected", "history")
"""Fields that hold lists; a table without nested types holds them as JSON text."""

_NULL_MEANS_SOMETHING = ("content", "value")


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
    nested = [field.name for field in batch.schema if _may_hold_more(field.type)]
    try:
        rows = batch.to_pylist(maps_as_pydicts="lossy")
    except (ValueError, TypeError, OverflowError):
        # One cell, such as text that is not UTF-8, spoils the batch: find it row by row.
        yield from _one_by_one(batch, first, nested)
        return
    for number, row in enumerate(rows, start=first):
        yield record_of(number, _tidied(row, nested))


def _may_hold_more(kind: pa.DataType) -> bool:
    """Say whether values of a type may hold padding, or text as bytes."""
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return True
    if pa.types.is_struct(kind) or pa.types.is_map(kind):
        return True
    if pa.types.is_nested(kind):
        return any(_may_hold_more(kind.field(place).type) for place in range(kind.num_fields))
    return False


def _tidied(row: dict[str, Any], nested: Sequence[str]) -> dict[str, Any]:
    for name in nested:
        with suppress(RecursionError):  # told where the row is written
            row[name] = _without_padding(row[name])
    return row


def _without_padding(value: object) -> object:
    """Take out the fields of structs and maps that are null because another row has them; read bytes as text.

    What is said may be null: a turn that calls a tool says nothing.
    """
    if isinstance(value, dict):
        return {
            key: _without_padding(inner)
            for key, inner in value.items()
            if inner is not None or key in _NULL_MEANS_SOMETHING
        }
    if isinstance(value, list):
        return [_without_padding(item) for item in value]
    if isinstance(value, bytes) and b"\x00" not in value:
        with suppress(UnicodeDecodeError):
            return value.decode()
    return value


def _one_by_one(batch: pa.RecordBatch, first: int, nested: Sequence[str]) -> Iterator[Record]:
    for place in range(batch.num_rows):
        cells: dict[str, Any] = {}
        problem = None
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                cells[name] = column[place].as_py(maps_as_pydicts="lossy")
            except (ValueError, TypeError, OverflowError) as error:
                problem = problem or f"the column {name} cannot be read: {error}"
        if problem is None:
            yield record_of(first + place, _tidied(cells, nested))
        else:
            yield Record(first + place, _as_json(cells), None, problem[:200])
