"""What layout a row has, judged by the row alone, and its normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tags_assets.formats.instance import Format, Message, Recognised, RowError
from tags_assets.formats.turns import as_json, checked, is_sharegpt, text_of, transcript, turn, turns
from tags_assets.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CONVERSATION_KEYS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat")
"""Fields that hold a list of turns."""

PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("query", "response"),
    ("inputs", "targets"),
    ("input", "output"),
)
"""Pairs of fields that hold a prompt and its completion."""

_ALPACA_INPUTS = ("input", "context")
_ALPACA_OUTPUTS = ("output", "response", "completion", "answer")
_PROMPTS = ("prompt", "question", "query")
_NO_INPUT = ("<noinput>", "<no input>")

TEXT_FIELDS = frozenset(
    {*CONVERSATION_KEYS, *(key for pair in PAIRS for key in pair), *_ALPACA_INPUTS, *_ALPACA_OUTPUTS}
    | {"instruction", "system", "history", "chosen", "rejected"}
)
"""The fields that a row's text is taken from; fields beside them, ``id`` and ``source`` are not looked at."""


def recognise(row: Mapping[str, object]) -> Recognised:
    """Bring a row of any known layout into the normal form.

    A field that is null counts as absent as long as the row has another layout's fields, as tables with
    columns for several layouts have it.

    Raises
    ------
    RowError
        If the row has no known layout, or is malformed in the one that it has.
    """
    layout, read = _layout(row)
    messages = read(row)
    system = row.get("system")
    if isinstance(system, str) and messages and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    return Recognised(
        id=_identifier(row.get("id")),
        source=_source(row.get("source")),
        messages=checked(messages),
        format=layout,
    )


def _layout(row: Mapping[str, object]) -> tuple[Format, Callable[[Mapping[str, object]], list[Message]]]:
    # Preference first: such rows often carry `messages` or `prompt` beside the pair.
    if row.get("chosen") is not None and "rejected" in row:
        return "preference", _preference
    conversation = _first(row, CONVERSATION_KEYS)
    if conversation is not None and row[conversation] is not None:
        return ("sharegpt" if is_sharegpt(row[conversation]) else "messages"), _conversation
    if row.get("instruction") is not None:
        return "alpaca", _alpaca
    pair = _pair(row)
    if pair is not None and row[pair[0]] is not None:
        return "prompt_completion", _prompt_completion
    raise _no_layout(row)


def _no_layout(row: Mapping[str, object]) -> RowError:
    for key in (*CONVERSATION_KEYS, "instruction", "chosen", *(_pair(row) or ())):
        if key in row and row[key] is None:
            return RowError(f"{key} is null")
    for key in _PROMPTS:
        if key in row:
            return RowError(f"{key} without a completion, response or answer")
    if not row:
        return RowError("the row is an empty object")
    fields = listed([str(key)[:30] for key in row], 6)
    return RowError(f"no known layout: the row has the fields {fields}")


def _conversation(row: Mapping[str, object]) -> list[Message]:
    key = _first(row, CONVERSATION_KEYS) or ""
    return turns(row[key], key)


def _alpaca(row: Mapping[str, object]) -> list[Message]:
    key = _first(row, _ALPACA_OUTPUTS)
    if key is None:
        raise RowError("instruction without an output")
    answer: Message = {"role": "assistant", "content": text_of(row[key], key)}
    return [*_history(row), _alpaca_prompt(row), answer]


def _alpaca_prompt(row: Mapping[str, object]) -> Message:
    parts = [text_of(row["instruction"], "instruction")]
    key = _first(row, _ALPACA_INPUTS)
    if key is not None and row[key] is not None:
        given = text_of(row[key], key)
        if given.strip().casefold() not in _NO_INPUT:
            parts.append(given)
    return {"role": "user", "content": "\n\n".join(part for part in parts if part.strip())}


def _prompt_completion(row: Mapping[str, object]) -> list[Message]:
    prompt, completion = _pair(row) or PAIRS[0]
    return [*_said(row, prompt, "user"), *_said(row, completion, "assistant")]


def _preference(row: Mapping[str, object]) -> list[Message]:
    """Read the chosen side; the prompt stands beside it, or is repeated in it."""
    chosen = row["chosen"]
    prompt = _preference_prompt(row)
    if isinstance(chosen, str) and not prompt:
        # Anthropic's hh-rlhf has the whole dialogue in `chosen`, as a transcript.
        return transcript(chosen) or _said(row, "chosen", "assistant")
    answer = [turn(chosen, "chosen")] if isinstance(chosen, dict) else _said(row, "chosen", "assistant")
    whole = any(message["role"] == "user" for message in answer)
    return answer if whole else [*prompt, *answer]


def _preference_prompt(row: Mapping[str, object]) -> list[Message]:
    for key in CONVERSATION_KEYS:
        # The trainers' ranking format: a dialogue up to the answer; elsewhere it ends with the chosen answer.
        if isinstance(row.get(key), list):
            found = turns(row[key], key)
            return found[:-1] if found[-1]["role"] == "assistant" else found
    if row.get("instruction") is not None:
        return [*_history(row), _alpaca_prompt(row)]
    key = _first(row, _PROMPTS) or ""
    return _said(row, key, "user") if row.get(key) is not None else []


def _history(row: Mapping[str, object]) -> list[Message]:
    """Return the earlier rounds of an Alpaca row, a list of pairs of instruction and answer."""
    history = row.get("history")
    if not isinstance(history, list):
        return []
    messages: list[Message] = []
    for number, pair in enumerate(history, start=1):
        where = f"round {number} of history"
        if not isinstance(pair, list) or len(pair) != 2:
            raise RowError(f"{where} is not a pair of instruction and answer")
        messages.append({"role": "user", "content": text_of(pair[0], f"the instruction in {where}")})
        messages.append({"role": "assistant", "content": text_of(pair[1], f"the answer in {where}")})
    return messages


def _said(row: Mapping[str, object], key: str, role: Literal["user", "assistant"]) -> list[Message]:
    """Return a prompt or completion, which is text or, in TRL's conversational form, a list of turns."""
    value = row[key]
    if isinstance(value, list):
        return turns(value, key)
    return [{"role": role, "content": text_of(value, key)}]


def _pair(row: Mapping[str, object]) -> tuple[str, str] | None:
    """Return the first pair whose fields are both set, else the first whose fields are both there."""
    present = [pair for pair in PAIRS if pair[0] in row and pair[1] in row]
    full = [pair for pair in present if row[pair[0]] is not None and row[pair[1]] is not None]
    return next(iter(full + present), None)


def _first(row: Mapping[str, object], keys: Sequence[str]) -> str | None:
    """Return the first key that is set, else the first that is there."""
    present = [key for key in keys if key in row]
    return next((key for key in present if row[key] is not None), present[0] if present else None)


def _identifier(value: object) -> str | None:
    """Return an identifier as text; one that is neither text nor a number, such as MongoDB's, as JSON."""
    if value is None or isinstance(value, str):
        return value or None
    return as_json(value, "id") if isinstance(value, dict | list | bool) else str(value)


def _source(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None
