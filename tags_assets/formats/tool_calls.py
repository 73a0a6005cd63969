"""Calls of tools in a turn, in the forms in which dumps hold them, and the text that stands for them."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from tags_assets.formats.fields import ARGUMENTS
from tags_assets.formats.instance import RowError, ToolCall
from tags_assets.formats.structured import as_json, decoded

if TYPE_CHECKING:
    from collections.abc import Mapping

_GLAIVE = re.compile(r"\s*<functioncall>\s*(\{.*\})\s*", re.DOTALL)
_QUOTED_ARGUMENTS = re.compile(r"(\"arguments\"\s*:\s*)'(.*)'(\s*\})\s*$", re.DOTALL)


def calls_of(item: Mapping[Any, Any], where: str) -> list[ToolCall]:
    """Read a turn's ``tool_calls`` or its older ``function_call``; none where they are absent or empty.

    Raises
    ------
    RowError
        If a call names no function.
    """
    given = item.get("tool_calls") or item.get("function_call")
    if not given:
        return []
    calls = decoded(given, f"tool_calls of {where}")
    if isinstance(calls, dict):
        calls = [calls]
    if not isinstance(calls, list):
        return []
    return [_call(call, where) for call in calls]


def is_call(value: object) -> bool:
    """Say whether a value is laid out as a call of a tool."""
    if not isinstance(value, dict):
        return False
    function = value.get("function", value)
    return (
        isinstance(function, dict)
        and isinstance(function.get("name"), str)
        and (any(key in function for key in ARGUMENTS) or function.keys() == {"name"})
    )


def calls_in_text(text: object) -> list[ToolCall] | None:
    """Read a text that holds calls and nothing else: JSON, a line each or a list; None where it does not."""
    if isinstance(text, str):
        if match := _GLAIVE.fullmatch(text):
            text = _QUOTED_ARGUMENTS.sub(lambda m: m[1] + as_json(m[2], "") + m[3], match[1])
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            try:
                found = [orjson.loads(line) for line in text.splitlines() if line.strip()]
            except orjson.JSONDecodeError:
                return None
    else:
        found = text
    calls = found if isinstance(found, list) else [found]
    return [_call(call, "a call") for call in calls] if calls and all(map(is_call, calls)) else None


def _call(call: object, where: str) -> ToolCall:
    call = decoded(call, f"a tool call in {where}")
    function = decoded(call.get("function", call), where) if isinstance(call, dict) else None
    if (
        not isinstance(call, dict)
        or not isinstance(function, dict)
        or not isinstance(function.get("name"), str)
    ):
        raise RowError(f"a tool call in {where} names no function")
    arguments: object = {}
    for key in ARGUMENTS:
        if function.get(key) is not None:
            arguments = function[key]
            break
    if isinstance(arguments, str):
        # What the model wrote as arguments, right or wrong, is what there is to learn.
        with suppress(orjson.JSONDecodeError):
            arguments = orjson.loads(arguments)
    read: ToolCall = {"name": function["name"], "arguments": arguments}
    if isinstance(call.get("id"), str) and call["id"]:
        read["id"] = call["id"]
    return read


def call_text(call: ToolCall, where: str) -> str:
    """Write a tool call as ``{"name": ..., "arguments": ...}``, the form of ShareGPT dumps."""
    return as_json({"name": call["name"], "arguments": call["arguments"]}, where)
