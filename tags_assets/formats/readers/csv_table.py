"""CSV and its cousins with tabs or semicolons; the first row names the columns."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from tags_assets.errors import UserError
from tags_assets.formats.readers.json_row import BOM
from tags_assets.formats.readers.record import KEPT_OF_A_LONG_ROW, MAX_ROW_BYTES, TOO_LONG, Position, Record
from tags_assets.formats.readers.streams import blocks, lines
from tags_assets.formats.readers.table_row import record_of
from tags_assets.formats.recognise import TEXT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DELIMITERS = (",", "\t", ";", "|")


def columns_of(header: str) -> tuple[str, list[str]]:
    """Return a header's delimiter, the one that gives most known fields, then columns, and its columns."""
    readings = [(delimiter, next(csv.reader([header], delimiter=delimiter), [])) for delimiter in _DELIMITERS]
    return max(readings, key=lambda reading: (len(TEXT_FIELDS.intersection(reading[1])), len(reading[1])))


def read_csv(path: Path, compression: str | None, position: Position) -> Iterator[Record]:
    """Yield the rows of a CSV file, each with the line on which it begins; an empty cell is null.

    Raises
    ------
    UserError
        If the header cannot be read.
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    source = _Lines(blocks(path, compression, position))
    header = next(iter(source), None)
    if header is None:
        return
    try:
        delimiter, columns = columns_of(header.removeprefix("\ufeff"))
    except csv.Error as error:
        raise UserError(f"the header cannot be read: {error}", where=f"{path}:1") from error
    columns = [column.strip() for column in columns]
    reader = csv.reader(source, delimiter=delimiter)
    while True:
        source.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except _TooLongError:
            yield Record(source.first, source.raw(), None, TOO_LONG)
            continue
        except csv.Error as error:
            yield Record(source.first, source.raw(), None, f"not CSV: {error}")
            continue
        if cells:
            yield _record(source, columns, cells)


def _record(source: _Lines, columns: list[str], cells: list[str]) -> Record:
    raw = source.raw()
    if not source.whole:
        return Record(source.first, raw, None, TOO_LONG)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte 0x{raw[error.start]:02x} at byte {error.start + 1}"
        return Record(source.first, raw, None, reason)
    if len(cells) != len(columns):
        reason = f"{len(cells)} cells where the header names {len(columns)} columns"
        return Record(source.first, raw, None, reason)
    return record_of(source.first, {key: cell or None for key, cell in zip(columns, cells, strict=True)})


class _TooLongError(Exception):
    """A row of many lines that is longer than any row may be."""


class _Lines:
    """The lines of a file as text, remembering those that make up the row being read.

    A byte that is not UTF-8 comes through as a lone surrogate, so that it spoils its own row and no other.
    """

    def __init__(self, stream: Iterator[bytes]) -> None:
        self._lines = lines(stream)
        self._row: list[bytes] = []
        self.first = self._next = 1
        self.whole = True
        self._n_bytes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        number, line, whole = next(self._lines)
        self._next = number + 1
        self.whole = self.whole and whole
        self._row.append(line)
        self._n_bytes += len(line) + 1
        if self._n_bytes > MAX_ROW_BYTES + KEPT_OF_A_LONG_ROW:  # the reader begins anew behind it
            self._row = [b"\n".join(self._row)[:KEPT_OF_A_LONG_ROW]]
            raise _TooLongError
        return line.decode(errors="surrogateescape") + "\n"

    def begin_row(self) -> None:
        self._row, self.first, self.whole, self._n_bytes = [], self._next, True, 0

    def raw(self) -> bytes:
        return b"\n".join(self._row).removeprefix(BOM)
