"""The turns of a conversation: from what real dumps hold to the normal form, or a reason why not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tags_assets.formats import attachments
from tags_assets.formats.fields import CALL_IDS, REASONING, TURN_KEYS
from tags_assets.formats.instance import Message, Role, RowError, Turn
from tags_assets.formats.structured import as_json, decoded
from tags_assets.formats.tool_calls import call_text, calls_in_text, calls_of
from tags_assets.text import clipped

if TYPE_CHECKING:
    from collections.abc import Mapping

CALLING_ROLES = ("function_call", "tool_call", "tool_calls")
"""Roles of the assistant whose content is a call of a tool."""

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
    **dict.fromkeys(CALLING_ROLES, "assistant"),
    "tool": "tool",
    "tool_response": "tool",
    "tool_result": "tool",
    "tool_results": "tool",
    "function": "tool",
    "function_response": "tool",
    "function_result": "tool",
    "observation": "tool",
    "ipython": "tool",
}
"""Roles by their names in public dumps, in lower case; ``function_call`` is the assistant's."""

_PLAIN_ROLES = {name: role for name, role in ROLES.items() if name not in CALLING_ROLES and role != "tool"}

# A text of white space, control and zero-width characters, fillers and byte order marks alone is empty.
_VISIBLE = re.compile(
    r"[^\s\x00-\x1f\x7f-\xa0\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]"
)
_TRANSCRIPT = re.compile(r"(?:\A|\n\n)(Human|Assistant):[ \n]?")
_CALLING_TRANSCRIPT = re.compile(r"(?:\A|\n+)[ \t]*(SYSTEM|USER|ASSISTANT|FUNCTION RESPONSE):[ \n]*")
_SPEAKERS: dict[str, Role] = {
    "Human": "user",
    "Assistant": "assistant",
    "SYSTEM": "system",
    "USER": "user",
    "ASSISTANT": "assistant",
    "FUNCTION RESPONSE": "tool",
}
_END_OF_TEXT = "<|endoftext|>"
# A switch of a model's reasoning, not what was thought.
_SWITCHES = frozenset({"on", "off", "yes", "no", "true", "false", "none", "low", "medium", "high", "null"})
_NOT_TRAINED = frozenset({"false", "0", "0.0", "no"})
_TRAINED = frozenset({"true", "1", "1.0", "yes"})


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


def turns(value: object, where: str) -> list[Turn]:
    """Read a list of turns with ``role`` and ``content`` or with ``from`` and ``value``.

    Raises
    ------
    RowError
        If it is no such list, or a turn of it cannot be read.
    """
    value = decoded(value, where)
    if not isinstance(value, list):
        raise RowError(f"{where} is {kind_of(value)}, not a list of turns")
    if not value:
        raise RowError(f"{where} is empty")
    found: list[Turn] = []
    for number, item in enumerate(value, start=1):
        plain = plain_turn(item)
        if plain is not None:
            found.append(plain)
        else:
            found += [turn(each, f"turn {number} of {where}") for each in _parted(item)]
    return found


def _parted(item: object) -> list[object]:
    """Part a turn of the user whose content holds results of tools, as Anthropic's do, from these results."""
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(content, list):
        return [item]
    results = [part for part in content if isinstance(part, dict) and part.get("type") == "tool_result"]
    if not results:
        return [item]
    rest = [part for part in content if part not in results]
    of_tools: list[object] = [
        {"role": "tool", "content": part.get("content"), "tool_call_id": part.get("tool_use_id")}
        for part in results
    ]
    return [*of_tools, item | {"content": rest}] if rest else of_tools


def plain_turn(item: object) -> Turn | None:
    """Read a turn that is who speaks and a text and nothing else, as nearly all are; None for any other."""
    if item.__class__ is not dict or len(item) != 2:
        return None
    for role_key, content_key in TURN_KEYS:
        content = item.get(content_key)
        who = item.get(role_key)
        if content.__class__ is str and who.__class__ is str:
            role = _PLAIN_ROLES.get(who) or _PLAIN_ROLES.get(who.strip().casefold())
            return {"role": role, "content": content} if role else None
    return None


def turn(item: object, where: str) -> Turn:
    """Read one turn.

    Raises
    ------
    RowError
        If its keys, its role or its content are not those of a turn.
    """
    item = decoded(item, where)
    if not isinstance(item, dict):
        raise RowError(f"{where} is {kind_of(item)}, not an object")
    given = {key: value for key, value in item.items() if value is not None}
    calls = calls_of(given, where)
    keys = _keys(item, given, calls)
    if keys is None:
        names = ", ".join(_shown(key) for key in list(item)[:6]) or "no keys"
        raise RowError(f"{where} needs role and content, or from and value; it has {names}")
    role = _role(item[keys[0]], where)
    read: Turn = {"role": role, "content": ""}
    who = str(item[keys[0]]).strip().casefold()
    said = given.get(keys[1])
    if who in CALLING_ROLES and (found := calls_in_text(said)) is not None:
        calls, said = [*found, *calls], ""
    reasoning = reasoning_of(given) if role == "assistant" else None
    read["content"] = _content(said, read, role, where, may_be_null=bool(calls or reasoning))
    reasoning = reasoning or read.get("reasoning")
    if reasoning:
        read["reasoning"] = reasoning
    if calls := [*read.get("tool_calls", []), *calls]:
        read["tool_calls"] = calls
    _tell_more(read, given)
    return read


def _keys(item: dict[Any, Any], given: dict[Any, Any], calls: list[Any]) -> tuple[str, str] | None:
    """Return the keys of a turn's speaker and content: those that are set, else those that are there."""
    for fields in (given, item):
        for role_key, content_key in TURN_KEYS:
            if role_key in fields and (content_key in fields or calls or reasoning_of(given)):
                return role_key, content_key
    return None


def _tell_more(read: Turn, given: dict[Any, Any]) -> None:
    """Add which tool a result is of, and whether the turn is to be learnt."""
    if read["role"] == "tool":
        for key in CALL_IDS:
            if isinstance(given.get(key), str) and given[key]:
                read["tool_call_id"] = given[key]
                break
        if isinstance(given.get("name"), str) and given["name"]:
            read["name"] = given["name"]
    elif read["role"] == "assistant" and is_masked(given):
        read["train"] = False


def is_masked(given: Mapping[Any, Any]) -> bool:
    """Say whether a turn's marks keep it from being learnt; ``mask`` alone says so by being true."""
    for key in ("train", "loss", "weight", "loss_mask", "trainable"):
        if key in given and _flag(given[key]) is False:
            return True
    return "mask" in given and _flag(given["mask"]) is True


def _flag(value: object) -> bool | None:
    if isinstance(value, str):
        text = value.strip().casefold()
        return False if text in _NOT_TRAINED else True if text in _TRAINED else None
    return bool(value) if isinstance(value, bool | int | float) else None


def reasoning_of(given: Mapping[Any, Any]) -> str | None:
    """Return what a turn or a row holds as its reasoning, None where it holds none."""
    for key in REASONING:
        text = given.get(key)
        if isinstance(text, str) and not is_empty(text) and text.strip().casefold() not in _SWITCHES:
            return text
    return None


def is_sharegpt(value: object) -> bool:
    """Say whether a list's first turn is laid out as ShareGPT's are."""
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, dict) and first.get("from") is not None and first.get("role") is None


def transcript(text: str) -> list[Turn] | None:
    r"""Read a dialogue that is one text as turns; None where the text is not laid out so.

    Known are ``\n\nHuman: ...\n\nAssistant: ...`` of hh-rlhf, and ``USER: ... ASSISTANT: ...`` with
    ``FUNCTION RESPONSE: ...`` of Glaive, with its calls of tools.
    """
    parts = _TRANSCRIPT.split(text.strip())
    calling = len(parts) < 5 or bool(parts[0])
    if calling:
        parts = _CALLING_TRANSCRIPT.split(text.strip())
        if len(parts) < 5 or parts[0]:
            return None
    found: list[Turn] = []
    for who, part in zip(parts[1::2], parts[2::2], strict=True):
        said = part.strip()
        if calling:
            said = said.removesuffix(_END_OF_TEXT).strip()
        read: Turn = {"role": _SPEAKERS[who], "content": said}
        if calling and who == "ASSISTANT" and "<functioncall>" in said:
            before, _, call = said.partition("<functioncall>")
            calls = calls_in_text(f"<functioncall>{call}")
            if calls is not None:
                read["content"], read["tool_calls"] = before.strip(), calls
        found.append(read)
    return found


def as_text(turn: Turn, where: str) -> Message:
    """Write a turn as text: what was thought, said and called."""
    if len(turn) == 2:
        return turn
    text = "\n".join(
        filter(None, [turn["content"], *(call_text(call, where) for call in turn.get("tool_calls", ()))])
    )
    if reasoning := turn.get("reasoning"):
        text = with_reasoning(reasoning, text)
    return {"role": turn["role"], "content": text}


def with_reasoning(reasoning: str, said: str) -> str:
    """Put what was thought before what is said, in the form that most models write."""
    return f"<think>\n{reasoning}\n</think>\n\n{said}"


def checked(conversation: list[Turn]) -> list[Turn]:
    """Return the conversation without empty system turns, having made sure that there is something to learn.

    Raises
    ------
    RowError
        If the user or the assistant says nothing in one of their turns, if there is no user, or if no turn
        of the assistant follows the user's.
    """
    kept: list[Turn] = []
    asked = answered = False
    for number, message in enumerate(conversation, start=1):
        role = message["role"]
        if role != "tool" and is_empty(message["content"]) and not _says_more(message):
            if role == "system":
                continue
            what = "prompt" if role == "user" else "response"
            trace = " but for its reasoning" if message.get("reasoning") else ""
            raise RowError(
                f"the {what} is empty{trace}"
                if len(conversation) == 2
                else f"turn {number} ({role}) is empty{trace}"
            )
        asked = asked or role == "user"
        answered = answered or (asked and role == "assistant")
        kept.append(message)
    if not asked:
        raise RowError("no turn of the user")
    if not answered:
        raise RowError("no turn of the assistant after the user's")
    return kept


def _says_more(turn: Turn) -> bool:
    return bool(turn.get("tool_calls") or turn.get("attachments"))


def _role(value: object, where: str) -> Role:
    role = ROLES.get(value.strip().casefold()) if isinstance(value, str) else None
    if role is None:
        raise RowError(
            f"{where} has the unknown role {_shown(value)}; known are system, user, assistant and tool"
        )
    return role


def _content(value: object, read: Turn, role: Role, where: str, *, may_be_null: bool) -> str:
    """Return what is said in a turn as text; what else its parts hold is added to the turn."""
    if isinstance(value, str):
        return value
    if value is None and (may_be_null or role in ("tool", "system")):
        return ""
    if role == "tool" and not (isinstance(value, list) and all(map(_is_part, value))):
        return as_json(value, f"the content of {where}")
    if isinstance(value, list):
        return "\n".join(text for text in [_part(part, read, where) for part in value] if text is not None)
    return text_of(value, f"the content of {where}")


def _is_part(part: object) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and ("type" in part or part.keys() == {"text"}))


def _part(part: object, read: Turn, where: str) -> str | None:
    """Return the text of one part of a content that is a list of parts; None where it is no text."""
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise RowError(f"{where} holds a part that is {kind_of(part)}, not text")
    kind, text = part.get("type", "text"), part.get("text")
    if not isinstance(kind, str):
        raise RowError(f"{where} holds a part of type {_shown(kind)}; only text can be read")
    if kind in ("text", "input_text", "output_text") and isinstance(text, str):
        return text
    if kind in attachments.PART_KINDS:
        attachment = attachments.of_part(part, attachments.PART_KINDS[kind])
        read.setdefault("attachments", []).append(attachment)
        return attachments.marker(attachment["kind"])
    if kind in ("thinking", "reasoning") and (
        thought := part.get("thinking") or text or part.get("reasoning")
    ):
        read["reasoning"] = "\n".join(filter(None, [read.get("reasoning"), str(thought)]))
        return None
    if kind in ("tool_use", "tool_call"):
        read.setdefault("tool_calls", []).extend(calls_of({"tool_calls": [part]}, where))
        return None
    raise RowError(f"{where} holds a part of type {_shown(part.get('type'))}; only text can be read")


def _shown(value: object) -> str:
    """Show a value of the user's in a reason: short, on one line."""
    return clipped(repr(value), 40, "...")
