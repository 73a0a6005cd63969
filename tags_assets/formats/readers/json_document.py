"""JSON documents: an array of rows, an object around such an array, or rows printed over several lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

from tags_assets.formats.instance import RowError
from tags_assets.formats.readers.json_row import clean, parse
from tags_assets.formats.readers.pandas_json import orientation_of, rows_of
from tags_assets.formats.readers.record import (
    KEPT_OF_A_LONG_ROW,
    MAX_ROW_BYTES,
    TOO_LONG,
    Position,
    Record,
)
from tags_assets.formats.readers.streams import blocks, head
from tags_assets.formats.recognise import recognise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOOKED_AT = 2**20
"""Bytes at the beginning of a document in which its first object is looked for."""

WRAPPERS = (b"data", b"rows", b"examples", b"instances", b"items", b"train")
"""Keys of an object around the array of rows."""

# A string, a bracket or a comma; a quotation mark alone opens a string whose end has not been read yet.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{},]|"', re.DOTALL)


def read_json_document(path: Path, compression: str | None, position: Position) -> Iterator[Record]:
    """Yield the rows of a JSON document, numbered from 1, each with its bytes as they stand in the file.

    The document is cut into rows as its blocks come in, by brackets and strings alone, so one broken row
    costs no other row and the file is never held whole.
    """
    start = head(path, compression, _LOOKED_AT)
    orientation = orientation_of(start)
    if orientation is not None:
        rows = rows_of(blocks(path, compression, position), orientation, path)
        if rows is not None:
            for number, row in enumerate(rows, start=1):
                yield Record(number, orjson.dumps(row), row)
            return
    number = 0
    wraps = not _is_row(start)
    for raw, problem in _Cutter(blocks(path, compression, position), wraps=wraps).rows():
        text = clean(raw)
        if not text and problem is None:
            continue
        number += 1
        yield Record(number, raw, None, problem) if problem else _record(number, raw, text)


def _record(number: int, raw: bytes, text: bytes) -> Record:
    try:
        return Record(number, text, parse(text))
    except RowError as error:
        return Record(number, raw, None, error.reason)


def _is_row(start: bytes) -> bool:
    """Say whether a document begins with an object that is a row itself, whatever arrays it holds."""
    depth = 0
    if not start.lstrip().startswith(b"{"):
        return False
    for match in _TOKEN.finditer(start):
        token = match[0]
        depth += (token in b"{[") - (token in b"}]")
        if depth == 0:
            try:
                recognise(parse(clean(start[: match.end()])))
            except (RowError, RecursionError):
                return False
            return True
    return False


class _Cutter:
    """Cuts a stream of bytes into the rows of a JSON document.

    The state is the depth of brackets, and the depth at which commas part rows: 1 in an array, 2 in an array
    inside an object, 0 where values stand by themselves.
    """

    def __init__(self, stream: Iterator[bytes], *, wraps: bool = True) -> None:
        self._stream = stream
        self._wrappers = WRAPPERS if wraps else ()
        self._buffer = b""
        self._start = 0  # where the row that is being read begins in the buffer
        self._place = 0  # where the next token is looked for
        self._too_long = b""  # the beginning of a row that is being skipped

    def rows(self) -> Iterator[tuple[bytes, str | None]]:  # noqa: C901, PLR0912 - one automaton
        """Yield each row's bytes, and what is wrong where its brackets tell."""
        depth, rows_at, after_rows, key = 0, 0, False, b""
        for token, begin, end in self._tokens():
            if after_rows:
                self._start = end
            if token in b"{[":
                if depth == 0:
                    yield self._cut(begin, begin if token == b"{" else end)
                    rows_at = 0 if token == b"{" else 1
                elif (
                    token == b"[" and depth == 1 and rows_at == 0 and key in self._wrappers and not after_rows
                ):
                    rows_at, self._start = 2, end
                depth += 1
            elif token in b"}]":
                depth = max(depth - 1, 0)
                if rows_at and depth == rows_at - 1:
                    yield self._cut(begin, end)
                    rows_at, after_rows = 0, depth > 0
                elif depth == 0:
                    if not after_rows:
                        yield self._cut(end, end)
                    after_rows = False
            elif token == b",":
                if depth == rows_at:
                    yield self._cut(begin, end)
            elif depth == 1:
                key = token[1:-1]
        rest, reason = self._cut(len(self._buffer), len(self._buffer))
        if rest.strip() or rows_at:
            cut_short = f"the file ends {'within this row' if rest.strip() else 'before its array'}"
            yield rest, reason or (cut_short if depth else None)

    def _cut(self, stop: int, start: int) -> tuple[bytes, str | None]:
        """End the row at ``stop`` and begin the next at ``start``."""
        if self._too_long:
            row, reason = self._too_long, TOO_LONG
        else:
            row, reason = self._buffer[self._start : stop], None
        self._start, self._too_long = start, b""
        return row, reason

    def _tokens(self) -> Iterator[tuple[bytes, int, int]]:
        """Yield brackets, commas and strings with their places in the buffer, which moves along."""
        for block in self._stream:
            drop = min(self._start, self._place)
            self._buffer = self._buffer[drop:] + block
            self._start -= drop
            self._place -= drop
            for match in _TOKEN.finditer(self._buffer, self._place):
                self._place = match.start()
                if match[0] == b'"':
                    break
                self._place = match.end()
                yield match[0], match.start(), match.end()
            else:
                self._place = len(self._buffer)
            if len(self._buffer) - self._place > MAX_ROW_BYTES:
                return  # a string that does not end: nothing behind it can be told from it
            if len(self._buffer) - self._start > MAX_ROW_BYTES:
                self._too_long = self._too_long or self._buffer[self._start :][:KEPT_OF_A_LONG_ROW]
                self._start = self._place
