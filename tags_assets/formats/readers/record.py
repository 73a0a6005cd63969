"""What every reader yields, and where it stands in its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_ROW_BYTES = 16 * 2**20
"""A row longer than this is rejected: no trainer takes it, and it would be held in memory many times over."""

KEPT_OF_A_LONG_ROW = 2**16
"""Bytes of a row that is too long that are kept for the person who looks into `rejected_rows`."""

TOO_LONG = f"the row is longer than {MAX_ROW_BYTES // 2**20} MiB"


class Record(NamedTuple):
    """One row of a file: what stood there, and either what it holds or why it cannot be read."""

    line: int
    """1-based: the line in the file; the row's number in JSON arrays and tables."""
    raw: bytes
    """The row as it came; as JSON where it came from a table."""
    row: dict[str, Any] | None
    reason: str | None = None


@dataclass(slots=True)
class Position:
    """How far a reader has come, in bytes of the file as it lies on disk."""

    done: int = 0
