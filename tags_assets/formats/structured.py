"""Structures that came as text: JSON, or Python's repr, is decoded wherever a structure is expected."""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress

import orjson

from tags_assets.formats.instance import RowError

_PYTHON_REPR = re.compile(
    r"\s*\[?\s*\{\s*(?:'\w+'\s*:|\"\w+\"\s*:\s*(?:'|None\b|True\b|False\b))|\s*\[?\s*array\(\[\s*\{"
)
_LONGEST_REPR = 2**20
_TURN_REPR = re.compile(r"\s*\[?\s*(?:array\(\[\s*)?\{\s*'(?:role|content|from|value)'\s*:")


def decoded(value: object, where: str) -> object:
    """Return the list or object that a text writes as JSON or as Python's repr; anything else as it is.

    Raises
    ------
    RowError
        If the text is the repr of something that only Python could make again, such as an array.
    """
    if not isinstance(value, str):
        return value
    start = value.lstrip()[:1]
    if start not in ("[", "{"):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        if _PYTHON_REPR.match(value):
            return _of_repr(value, where)
    return value


def turns_or_text(value: object, where: str) -> object:
    """Return the turns that a text writes as JSON or as Python's repr; other text, JSON or not, is text.

    Raises
    ------
    RowError
        As `decoded`.
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        if _TURN_REPR.match(value):
            found = _of_repr(value, where)
        else:
            return value
    items = found if isinstance(found, list) else [found]
    return found if items and all(map(is_turn, items)) else value


def is_turn(value: object) -> bool:
    return isinstance(value, dict) and ("role" in value or ("from" in value and "value" in value))


def is_repr_of_turns(value: object) -> bool:
    """Say whether a text is Python's repr of turns."""
    return isinstance(value, str) and value.lstrip()[:1] in ("[", "{") and bool(_TURN_REPR.match(value))


def _of_repr(text: str, where: str) -> object:
    if len(text) <= _LONGEST_REPR:
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return ast.literal_eval(text.strip())
    raise RowError(f"{where} is Python's repr of a list, not JSON; write it with json.dumps")


def as_json(value: object, where: str) -> str:
    """Write a value as JSON text.

    Raises
    ------
    RowError
        If it is nested too deeply for that.
    """
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except RecursionError:
        raise RowError(f"{where} is nested too deeply") from None
