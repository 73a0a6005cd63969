"""What every reader yields, and where it stands in its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tags_assets.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_ROW_BYTES = 16 * 2**20
"""A row longer than this is rejected: no trainer takes it, and it would be held in memory many times over."""

KEPT_OF_A_LONG_ROW = 2**16
"""Bytes of a row that is too long that are kept for the person who looks into `rejected_rows`."""

TOO_LONG = f"the row is longer than {MAX_ROW_BYTES // 2**20} MiB"

_FREE_BYTES, _MAX_RATIO = 64 * 2**20, 200
_BYTES_A_ROW = 128


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


def most_from(size: int) -> int:
    """Bytes that a file of this size may unpack to.

    Text shrinks to a tenth, templates to a fiftieth. What shrinks to a two-hundredth was made to fill
    memory and disks, or is repetition that nobody wants to train on.
    """
    return max(_FREE_BYTES, _MAX_RATIO * size)


def too_much(path: Path, unpacked: int) -> UserError:
    """Build the error for a file that unpacks to more than `most_from` allows."""
    return UserError(
        f"unpacks to more than {unpacked // 2**20} MiB, over {_MAX_RATIO} times its size",
        where=str(path),
        fix="If you trust it, unpack it yourself or save it as JSON Lines, and read that.",
    )


def bounded(records: Iterator[Record], path: Path) -> Iterator[Record]:
    """Yield records until they come to more than any data of the file's size holds.

    Raises
    ------
    UserError
        If they do.
    """
    taken, most = 0, most_from(path.stat().st_size)
    for record in records:
        taken += len(record.raw) + _BYTES_A_ROW
        if taken > most:
            raise too_much(path, taken)
        yield record
