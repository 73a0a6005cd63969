"""The layouts of pandas' ``to_json`` that are one object for the whole table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from tags_assets.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 64 * 2**20
"""Bytes of such an object, which has to be held whole."""

_ORIENTATIONS = {
    "columns": re.compile(rb'\s*\{\s*"[^"]+"\s*:\s*\{\s*"0"\s*:'),
    "index": re.compile(rb'\s*\{\s*"0"\s*:\s*\{'),
    "split": re.compile(rb'\s*\{\s*"columns"\s*:\s*\['),
}


def orientation_of(head: bytes) -> str | None:
    """Tell which layout a document has by its beginning, None where it has none of them."""
    return next((name for name, begins in _ORIENTATIONS.items() if begins.match(head)), None)


def rows_of(stream: Iterator[bytes], orientation: str, path: Path) -> list[dict[str, Any]] | None:
    """Return the rows of such a document, None where it turns out to be another.

    Raises
    ------
    UserError
        If it is too large to be held.
    """
    content = bytearray()
    for block in stream:
        content += block
        if len(content) > MAX_BYTES:
            raise UserError(
                f"is one JSON object of more than {MAX_BYTES // 2**20} MiB",
                where=str(path),
                fix='Write it with to_json(..., orient="records", lines=True).',
            )
    try:
        table = orjson.loads(bytes(content))
        return _rows(table, orientation)
    except (orjson.JSONDecodeError, ValueError, TypeError, AttributeError, KeyError):
        return None


def _rows(table: dict[str, Any], orientation: str) -> list[dict[str, Any]]:
    if orientation == "split":
        if not set(table) <= {"columns", "index", "data"}:
            raise KeyError("data")
        return [dict(zip(table["columns"], cells, strict=True)) for cells in table["data"]]
    inner = list(table.values())
    if orientation == "index":
        if not all(key.isdigit() and isinstance(row, dict) for key, row in table.items()):
            raise KeyError("0")
        return inner
    labels = list(inner[0])
    if not all(list(cells) == labels for cells in inner):
        raise KeyError("0")
    return [{name: cells[label] for name, cells in table.items()} for label in labels]
