"""The turns of a conversation: from what real dumps hold to the normal form, or a reason why not."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import orjson

from tags_assets.formats.instance import Message, Role, RowError
from tags_assets.text import clipped

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bard": "assistant",
    "bing": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "tool": "tool",
    "tool_response": "tool",
    "function": "tool",
    "function_response": "tool",
    "observation": "tool",
    "ipython": "tool",
}
"""Roles by their names in public dumps, in lower case; ``function_call`` is the assistant's."""

# A text of white space, control and zero-width characters, fillers and byte order marks alone is empty.
_VISIBLE = re.compile(
    r"[^\s\x00-\x1f\x7f-\xa0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]"
)
_TRANSCRIPT = re.compile(r"(?:\A|\n\n)(Human|Assistant):[ \n]?")


def is_empty(text: str) -> bool:
    """Say whether a text shows nothing to a reader."""
    return _VISIBLE.search(text) is None


def kind_of(value: object) -> str:
    """Name a JSON value's type as a person would."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case dict():
            return "an object"
        case _:
            return "a list"


def text_of(value: object, where: str) -> str:
    """Take a text field.

    Raises
    ------
    RowError
        If it is anything but text.
    """
    if isinstance(value, str):
        return value
    raise RowError(f"{where} is {kind_of(value)}, not text")


def turns(value: object, where: str) -> list[Message]:
    """Read a list of turns with ``role`` and ``content`` or with ``from`` and ``value``.

    Raises
    ------
    RowError
        If it is no such list, or a turn of it cannot be read.
    """
    if not isinstance(value, list):
        raise RowError(f"{where} is {kind_of(value)}, not a list of turns")
    if not value:
        raise RowError(f"{where} is empty")
    return [turn(item, f"turn {number} of {where}") for number, item in enumerate(value, start=1)]


def turn(item: object, where: str) -> Message:
    """Read one turn.

    Raises
    ------
    RowError
        If its keys, its role or its content are not those of a turn.
    """
    if not isinstance(item, dict):
        raise RowError(f"{where} is {kind_of(item)}, not an object")
    for role_key, content_key in (("role", "content"), ("from", "value")):
        if role_key in item and (content_key in item or _calls(item)):
            break
    else:
        keys = ", ".join(_shown(key) for key in list(item)[:6]) or "no keys"
        raise RowError(f"{where} needs role and content, or from and value; it has {keys}")
    role = _role(item[role_key], where)
    content = _content(item.get(content_key), _calls(item), role, where)
    return {"role": role, "content": content}


def is_sharegpt(value: object) -> bool:
    """Say whether a list's first turn is laid out as ShareGPT's are."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and "from" in first


def transcript(text: str) -> list[Message] | None:
    r"""Read ``\n\nHuman: ...\n\nAssistant: ...`` as turns; None where the text is not laid out so."""
    parts = _TRANSCRIPT.split(text.strip())
    if len(parts) < 5 or parts[0]:
        return None
    roles: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": roles[who], "content": part.strip()}
        for who, part in zip(parts[1::2], parts[2::2], strict=True)
    ]


def checked(messages: list[Message]) -> list[Message]:
    """Return the conversation without empty system turns, having made sure that there is something to learn.

    Raises
    ------
    RowError
        If the user or the assistant says nothing in one of their turns, if there is no user, or if no turn
        of the assistant follows the user's.
    """
    kept: list[Message] = []
    asked = answered = False
    for number, message in enumerate(messages, start=1):
        role = message["role"]
        if role in ("user", "assistant", "system") and is_empty(message["content"]):
            if role == "system":
                continue
            raise RowError(
                f"the {'prompt' if role == 'user' else 'response'} is empty"
                if len(messages) == 2
                else f"turn {number} ({role}) is empty"
            )
        asked = asked or role == "user"
        answered = answered or (asked and role == "assistant")
        kept.append(message)
    if not asked:
        raise RowError("no turn of the user")
    if not answered:
        raise RowError("no turn of the assistant after the user's")
    return kept


def _role(value: object, where: str) -> Role:
    role = ROLES.get(value.strip().casefold()) if isinstance(value, str) else None
    if role is None:
        raise RowError(
            f"{where} has the unknown role {_shown(value)}; known are system, user, assistant and tool"
        )
    return role


def _calls(item: dict[Any, Any]) -> list[object]:
    """Return the tool calls of a turn; none where the keys are absent, null or of another kind."""
    calls = item.get("tool_calls")
    if isinstance(calls, list) and calls:
        return calls
    call = item.get("function_call")
    return [call] if isinstance(call, dict) else []


def _content(value: object, calls: list[object], role: Role, where: str) -> str:
    """Return what is said in a turn as text, tool calls as a JSON object each on a line of its own."""
    if value is None and (calls or role == "tool"):
        text = ""
    elif isinstance(value, list):
        text = "\n".join(_part(part, where) for part in value)
    else:
        text = text_of(value, f"the content of {where}")
    return "\n".join(filter(None, [text, *(_call(call, where) for call in calls)]))


def _part(part: object, where: str) -> str:
    """Return the text of one part of a content that is a list of parts."""
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        text = part.get("text")
        if part.get("type", "text") in ("text", "input_text", "output_text") and isinstance(text, str):
            return text
        raise RowError(f"{where} holds a part of type {_shown(part.get('type'))}; only text can be read")
    raise RowError(f"{where} holds a part that is {kind_of(part)}, not text")


def _call(call: object, where: str) -> str:
    """Write a tool call as ``{"name": ..., "arguments": ...}``, the form of ShareGPT dumps."""
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise RowError(f"a tool call in {where} names no function")
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        # What the model wrote as arguments, right or wrong, is what there is to learn.
        with suppress(orjson.JSONDecodeError):
            arguments = orjson.loads(arguments)
    return as_json({"name": function["name"], "arguments": arguments}, where)


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


def _shown(value: object) -> str:
    """Show a value of the user's in a reason: short, on one line."""
    return clipped(repr(value), 40, "...")
