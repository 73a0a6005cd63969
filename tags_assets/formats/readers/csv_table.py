"""CSV and its cousins with tabs or semicolons; the first row names the columns."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from tags_assets.errors import UserError
from tags_assets.formats.readers.json_row import BOM
from tags_assets.formats.readers.record import KEPT_OF_A_LONG_ROW, MAX_ROW_BYTES, TOO_LONG, Position, Record
from tags_assets.formats.readers.streams import blocks, head, lines, with_line_ends
from tags_assets.formats.readers.table_row import record_of
from tags_assets.formats.recognise import TEXT_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_DELIMITERS = (",", "\t", ";", "|")
_NAMES_DELIMITER = re.compile(r"\"?sep=([,;|\t])\"?", re.IGNORECASE)
_ESCAPED = re.compile(r'\\(["\\])')
_LOOKED_AT = 2**16
_MAX_COLUMNS = 10_000
"""More are no table of texts, and each row would take their names' memory."""


def columns_of(header: str, delimiters: Sequence[str] = _DELIMITERS) -> tuple[str, list[str]]:
    """Return a header's delimiter, the one that gives most known fields, then columns, and its columns."""
    readings = [(delimiter, next(csv.reader([header], delimiter=delimiter), [])) for delimiter in delimiters]
    return max(readings, key=lambda reading: (known_fields(reading[1]), len(reading[1])))


def known_fields(columns: Iterable[str]) -> int:
    """Count the columns that are fields of text, written with capitals or not."""
    return len(TEXT_FIELDS.intersection(column.strip().casefold() for column in columns))


def delimiter_line(line: str) -> str | None:
    """Return the delimiter that a sheet's first line names, as ``sep=;``; None where it names none."""
    match = _NAMES_DELIMITER.fullmatch(line.removeprefix("\ufeff").strip())
    return None if match is None else match[1]


def read_csv(path: Path, compression: str | None, position: Position) -> Iterator[Record]:
    """Yield the rows of a CSV file, each with the line on which it begins; an empty cell is null.

    Raises
    ------
    UserError
        If the header cannot be read.
    """
    csv.field_size_limit(2 * MAX_ROW_BYTES)  # `_Lines` bounds the row, and cuts what is kept of it
    source = _Lines(with_line_ends(blocks(path, compression, position)))
    header = next(iter(source), None)
    named = None if header is None else delimiter_line(header)
    if named is not None:
        header = next(iter(source), None)
    if header is None:
        return
    try:
        delimiter, columns = columns_of(header.removeprefix("\ufeff"), [named] if named else _DELIMITERS)
    except csv.Error as error:
        raise UserError(f"the header cannot be read: {error}", where=f"{path}:1") from error
    if not source.whole or len(columns) > _MAX_COLUMNS:
        raise UserError(
            f"the header names more than {_MAX_COLUMNS:,} columns or is longer than a row may be",
            where=f"{path}:1",
            fix="Keep the columns of text only.",
        )
    columns = [column.strip() for column in columns]
    source.backslashes = _escapes_by_backslash(path, compression, delimiter, len(columns))
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
            yield _record(source, columns, cells, delimiter)


def _escapes_by_backslash(path: Path, compression: str | None, delimiter: str, n_columns: int) -> bool:
    """Say whether quotation marks are escaped by a backslash, as Spark, Hive and MySQL write them."""
    start = next(with_line_ends(iter([head(path, compression)])), b"").decode(errors="replace")
    if '\\"' not in start:
        return False
    rows = start.split("\n")[:-1] if len(start) >= _LOOKED_AT else start.split("\n")
    as_usual = _misfits(rows, delimiter, n_columns)
    return _misfits(map(_without_backslashes, rows), delimiter, n_columns) < as_usual


def _misfits(lines_of_file: Iterable[str], delimiter: str, n_columns: int) -> int:
    reader = csv.reader((f"{line}\n" for line in lines_of_file), delimiter=delimiter, strict=True)
    found = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return found
        except csv.Error:
            found += 1
        else:
            found += bool(cells) and len(cells) != n_columns


def _without_backslashes(line: str) -> str:
    """Write escapes by a backslash as CSV has them; a backslash before anything else is one."""
    return _ESCAPED.sub(lambda match: '""' if match[1] == '"' else match[1], line)


def _is_strict(raw: bytes, delimiter: str) -> bool:
    try:
        list(
            csv.reader(
                raw.decode(errors="replace").splitlines(keepends=True), delimiter=delimiter, strict=True
            )
        )
    except csv.Error:
        return False
    return True


def _record(source: _Lines, columns: list[str], cells: list[str], delimiter: str) -> Record:
    raw = source.raw()
    if not source.whole:
        return Record(source.first, raw, None, TOO_LONG)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte 0x{raw[error.start]:02x} at byte {error.start + 1}"
        return Record(source.first, raw, None, reason)
    if b'\\"' in raw and not source.backslashes and not _is_strict(raw, delimiter):
        reason = "not CSV: a quotation mark is escaped by a backslash here, and not in the rows before"
        return Record(source.first, raw, None, reason)
    if len(cells) > len(columns) and not any(cells[len(columns) :]):
        cells = cells[: len(columns)]  # delimiters at the end of a line
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
        self.backslashes = False

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
        text = line.decode(errors="surrogateescape")
        return (_without_backslashes(text) if self.backslashes else text) + "\n"

    def begin_row(self) -> None:
        self._row, self.first, self.whole, self._n_bytes = [], self._next, True, 0

    def raw(self) -> bytes:
        return b"\n".join(self._row).removeprefix(BOM)
