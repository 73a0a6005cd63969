"""Structures that came as text: JSON is decoded wherever a structure is expected, Python's repr is named."""

from __future__ import annotations

import json
import re

import orjson

from tags_assets.formats.instance import RowError

_PYTHON_REPR = re.compile(
    r"\s*\[?\s*\{\s*(?:'\w+'\s*:|\"\w+\"\s*:\s*(?:'|None\b|True\b|False\b))|\s*\[?\s*array\(\[\s*\{"
)
_TURN_REPR = re.compile(r"\s*\[?\s*(?:array\(\[\s*)?\{\s*'(?:role|content|from|value)'\s*:")


def decoded(value: object, where: str) -> object:
    """Return the list or object that a text writes as JSON; anything else as it is.

    Raises
    ------
    RowError
        If the text is Python's repr of such a value: what was a string and what was not can only be guessed.
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
            raise python_repr(where) from None
    return value


def turns_or_text(value: object, where: str) -> object:
    """Return the turns that a text writes as JSON; other text, JSON or not, is text.

    Raises
    ------
    RowError
        If the text is Python's repr of turns.
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        if _TURN_REPR.match(value):
            raise python_repr(where) from None
        return value
    items = found if isinstance(found, list) else [found]
    return found if items and all(map(is_turn, items)) else value


def is_turn(value: object) -> bool:
    return isinstance(value, dict) and ("role" in value or ("from" in value and "value" in value))


def python_repr(where: str) -> RowError:
    return RowError(f"{where} is Python's repr of a list, not JSON; write it with json.dumps")


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
