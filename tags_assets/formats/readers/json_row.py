"""A row of JSON text: strict, as every tool that takes the exported row will read it."""

from __future__ import annotations

import re
from typing import Any

import orjson

from tags_assets.formats.instance import RowError
from tags_assets.formats.turns import kind_of

BOM = b"\xef\xbb\xbf"

_BOMS = re.compile(rb"(?:\xef\xbb\xbf\s*+)++")
_NOT_A_NUMBER = re.compile(r"-?(NaN|Infinity)\b")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def clean(raw: bytes) -> bytes:
    """Return JSON text without the byte order mark and the white space around it."""
    raw = raw.strip()
    if match := _BOMS.match(raw):  # there may be millions of them
        raw = raw[match.end() :]
    return raw


def parse(text: bytes) -> dict[str, Any]:
    """Parse a row, which is a JSON object (RFC 8259) in UTF-8.

    Python's own parser takes more (NaN, lone surrogates, numbers beyond a double); Arrow and Rust do not, so
    such a row would break the tools that read what was exported.

    Raises
    ------
    RowError
        With what is wrong and the place in the row.
    """
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _explained(text, error) from None
    if not isinstance(row, dict):
        raise RowError(f"a row is a JSON object, and this is {_kind(row)}")
    if isinstance(row.get("id"), float):
        row["id"] = _number_as_written(text, row["id"])
    return row


def _kind(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else kind_of(value)


def _explained(text: bytes, error: orjson.JSONDecodeError) -> RowError:
    """Say why a text is no JSON, the causes that are common in dumps by name."""
    if text.startswith(_LFS_POINTER):
        return RowError("a Git LFS pointer stands where the data should be; run `git lfs pull`")
    if b"\x00" in text:
        return RowError(f"NUL byte at byte {text.index(0) + 1}")
    try:
        decoded = text.decode()
    except UnicodeDecodeError as wrong:
        return RowError(f"not UTF-8: byte 0x{text[wrong.start]:02x} at byte {wrong.start + 1}")
    # The parser stops at the N of -NaN, one behind the sign.
    if match := _NOT_A_NUMBER.match(decoded, max(error.pos - 1, 0)) or _NOT_A_NUMBER.match(
        decoded, error.pos
    ):
        return RowError(f"not JSON: {match[0]} at character {match.start() + 1}; JSON knows null only")
    problem = {
        "number is infinity when parsed as double": "a number beyond the range of a double",
        "invalid high surrogate in string": "a lone surrogate, which no UTF-8 text can hold",
        "no low surrogate in string": "a lone surrogate, which no UTF-8 text can hold",
        "unexpected content after document": "something follows the end of the row",
    }.get(error.msg.split(":")[0], error.msg.split(": line")[0])
    return RowError(f"not JSON: {problem}, at character {error.pos + 1}")


def _number_as_written(text: bytes, value: float) -> str:
    """Return the row's ``id`` digit by digit: one that no 64 bits hold comes back as a rounded float."""
    written = re.findall(rb'"id"\s*:\s*(-?[0-9.eE+-]+)', text)
    same = [number.decode() for number in written if float(number) == value]
    return same[-1] if same else str(value)
