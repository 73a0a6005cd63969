"""What layout a row has, judged by the row alone, and its normal form."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import orjson

from tags_assets.formats import attachments
from tags_assets.formats.fields import (
    ALPACA_OUTPUTS,
    ANSWERS,
    CHOICES,
    CHOSEN,
    CONVERSATION_KEYS,
    DIFFICULTY,
    HISTORY,
    INPUTS,
    INSTRUCTION,
    KNOWN_FIELDS,
    LABELS,
    PAIRS,
    PASS_RATES,
    PROMPTS,
    REASONING,
    REJECTED,
    SYSTEMS,
    TEXT_FIELDS,
    TOOLS,
    content_like,
)
from tags_assets.formats.instance import Format, Recognised, RowError, Structure, Turn
from tags_assets.formats.structured import as_json, decoded, is_repr_of_turns, turns_or_text
from tags_assets.formats.tool_calls import calls_in_text
from tags_assets.formats.turns import (
    as_text,
    checked,
    is_empty,
    is_sharegpt,
    reasoning_of,
    text_of,
    transcript,
    turn,
    turns,
)
from tags_assets.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CONVERSATION_KEYS", "TEXT_FIELDS", "recognise"]

_NO_INPUT = ("<noinput>", "<no input>")
_CHOICE_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class _Read(NamedTuple):
    """A row's conversation, its layout, the fields that it was read from, and its answer not preferred."""

    turns: list[Turn]
    layout: Format
    used: tuple[str, ...]
    rejected: Turn | None = None
    unpaired: str | None = None


def recognise(row: Mapping[str, object]) -> Recognised:
    """Bring a row of any known layout into the normal form.

    A field that is null or empty counts as absent as long as the row has another layout's fields, as tables
    with columns for several layouts have it.

    Raises
    ------
    RowError
        If the row has no known layout, or is malformed in the one that it has.
    """
    fields = {
        key: value
        for key, value in row.items()
        if (value or value == 0) and not (value.__class__ is str and value.isspace())
    }
    read = _conversation(fields, row)
    if read is None:
        # Headers of sheets are written with capitals.
        plain = {key.strip().casefold(): value for key, value in fields.items() if isinstance(key, str)}
        read = _conversation(plain, row) if plain.keys() != fields.keys() else None
        if read is None:
            raise _no_layout(row)
        fields = plain
    conversation = read.turns
    used = read.used
    for key in SYSTEMS:
        system = fields.get(key)
        if isinstance(system, str):
            used += (key,)
            if conversation[0]["role"] != "system":
                conversation = [{"role": "system", "content": system}, *conversation]
    return _finished(read, checked(conversation), fields, used, row)


def _finished(
    read: _Read,
    conversation: list[Turn],
    fields: Mapping[str, object],
    used: tuple[str, ...],
    row: Mapping[str, object],
) -> Recognised:
    """Add what a row holds beyond its conversation."""
    structure: Structure = {}
    identity: dict[str, object] = {}
    label = pass_rate = difficulty = None
    n_attachments = 0
    if fields.keys() & KNOWN_FIELDS - TEXT_FIELDS:
        conversation, more = _with_row_fields(conversation, fields)
        used += more
        tools, key = _tools(fields)
        used += (key,)
        if tools:
            structure["tools"] = identity["tools"] = tools
        label = _label(fields) if read.layout != "preference" else None
        pass_rate = next((_number(fields[key]) for key in PASS_RATES if key in fields), None)
        difficulty = _number(fields.get(DIFFICULTY))
    if any(len(each) > 2 for each in conversation):
        files = [each["attachments"] for each in conversation if "attachments" in each]
        if files:
            identity["attachments"], n_attachments = files, sum(map(len, files))
        masked = [place for place, each in enumerate(conversation) if each.get("train") is False]
        if masked:
            identity["masked"] = masked
        structure["turns"] = conversation
        messages = [as_text(each, f"turn {place}") for place, each in enumerate(conversation, start=1)]
    else:
        messages = [*conversation]
    if label is not None:
        identity["label"] = label
    if read.rejected is not None:
        structure["rejected"] = read.rejected
    elif read.unpaired is not None:
        structure["unpaired"] = read.unpaired
    return Recognised(
        id=_identifier(row.get("id")),
        source=_source(row.get("source")),
        messages=messages,
        # An Alpaca row may ask by its input alone.
        format="alpaca" if row.get(INSTRUCTION) == "" and "input" in used else read.layout,
        structure=_packed(structure) if structure else None,
        identity=_packed(identity) if identity else None,
        attachments=n_attachments,
        label=label,
        pass_rate=pass_rate,
        difficulty=difficulty,
        unused=_unused(fields, used),
        is_repr=any(is_repr_of_turns(fields.get(key)) for key in used),
    )


def _conversation(fields: Mapping[str, object], row: Mapping[str, object]) -> _Read | None:
    """Read a row in the first layout whose fields it has; None where it has none's."""
    # Preference first: such rows often carry `messages` or `prompt` beside the pair.
    chosen, rejected = _first(fields, CHOSEN), _first(fields, REJECTED)
    if chosen is not None and (rejected is not None or any(key in row for key in REJECTED)):
        return _preference(fields, chosen, rejected)
    read = _single(fields)
    if read is not None and rejected is not None:
        return _against(read, fields, rejected)
    return read


def _single(fields: Mapping[str, object]) -> _Read | None:
    """Read a row with one answer."""
    key = _first(fields, CONVERSATION_KEYS)
    if key is not None:
        value = decoded(fields[key], key)
        if isinstance(value, str):
            talk = transcript(value)
            others = {name: given for name, given in fields.items() if name != key}
            read = _Read(talk, "messages", (key,)) if talk else _single(others)
            if read is not None:
                return read
        layout: Format = "sharegpt" if is_sharegpt(value) else "messages"
        return _Read(turns(value, key), layout, (key,))
    if INSTRUCTION in fields:
        return _alpaca(fields)
    pair = _pair(fields)
    if pair is not None:
        return _prompt_completion(fields, *pair)
    for key in ("text", "sample"):
        value = fields.get(key)
        if isinstance(value, str) and (talk := transcript(value)) is not None:
            return _Read(talk, "messages", (key,))
    return None


def _no_layout(row: Mapping[str, object]) -> RowError:
    for key in (*CONVERSATION_KEYS, INSTRUCTION, "chosen", *(_named_pair(row) or ())):
        if key in row and not row[key]:
            value = row[key]
            is_list = isinstance(value, list)
            if value is None or is_list:
                return RowError(f"{key} is {'empty' if is_list else 'null'}")
            return RowError("the prompt is empty" if key not in CONVERSATION_KEYS else f"{key} is empty")
    pair = _named_pair(row)
    for key in PROMPTS:
        if pair is None and row.get(key):
            return RowError(f"{key} without a completion, response or answer")
    if pair is not None and (empty := [key for key in pair if not row[key]]):
        what = "null, not text" if row[empty[0]] is None else "empty"
        return RowError(f"{empty[0]} is {what}")
    if not row:
        return RowError("the row is an empty object")
    fields = listed([str(key)[:30] for key in row], 6)
    return RowError(f"no known layout: the row has the fields {fields}")


def _named_pair(row: Mapping[str, object]) -> tuple[str, str] | None:
    """Return the first pair of prompt and answer that the row has fields for, set or not."""
    for prompt, answer in PAIRS:
        if prompt in row and answer in row:
            return prompt, answer
    prompts = [key for key in PROMPTS if key in row]
    answers = [key for key in ANSWERS if key in row and key not in prompts]
    return (prompts[0], answers[0]) if prompts and answers else None


def _alpaca(fields: Mapping[str, object]) -> _Read:
    key = _first(fields, ALPACA_OUTPUTS) or _first(fields, ANSWERS)
    if key is None:
        raise RowError("instruction without an output")
    asked, used = _asked(fields, INSTRUCTION)
    history, past = _history(fields)
    return _Read(
        [*history, *asked, *_said(fields, key, "assistant")], "alpaca", (INSTRUCTION, key, *used, *past)
    )


def _prompt_completion(fields: Mapping[str, object], prompt: str, answer: str) -> _Read:
    asked, used = _asked(fields, prompt)
    history, past = _history(fields)
    given = (prompt, answer, *used, *past)
    if CHOICES in fields and isinstance(fields[answer], int | str):
        options = decoded(fields[CHOICES], CHOICES)
        if isinstance(options, list) and options and all(isinstance(option, str) for option in options):
            return _Read([*history, *_choice(asked, options, fields[answer])], "prompt_completion", given)
    return _Read([*history, *asked, *_said(fields, answer, "assistant")], "prompt_completion", given)


def _choice(asked: list[Turn], options: list[Any], answer: object) -> list[Turn]:
    """Read a question of multiple choice, whose answer is a number from 0, a letter or the text itself."""
    lines = [f"{letter}. {option}" for letter, option in zip(_CHOICE_LETTERS, options, strict=False)]
    question = asked[-1] | {"content": "\n".join([asked[-1]["content"], *lines])}
    said = str(answer)
    if isinstance(answer, int) and 0 <= answer < len(options):
        said = options[answer]
    elif len(said) == 1 and said in _CHOICE_LETTERS[: len(options)]:
        said = options[_CHOICE_LETTERS.index(said)]
    return [*asked[:-1], question, {"role": "assistant", "content": said}]


def _asked(fields: Mapping[str, object], prompt: str) -> tuple[list[Turn], tuple[str, ...]]:
    """Return what is asked: a prompt, and the input that stands below it."""
    value = turns_or_text(fields[prompt], prompt)
    if not isinstance(value, str):
        return _said(fields, prompt, "user"), ()
    for key in INPUTS:
        if key != prompt and key in fields:
            given = text_of(fields[key], key) if prompt == INSTRUCTION else fields[key]
            if isinstance(given, str):
                known = given.strip().casefold() in _NO_INPUT
                text = value if known else f"{value}\n\n{given}"
                return [{"role": "user", "content": text}], (key,)
    return [{"role": "user", "content": value}], ()


def _preference(fields: Mapping[str, object], chosen: str, rejected: str | None) -> _Read:
    """Read both sides; the prompt stands beside them, or is repeated in them."""
    prompt, used = _preference_prompt(fields)
    liked = _side(fields, chosen, prompt)
    used += (chosen,)
    if rejected is None:
        return _Read(liked, "preference", used, unpaired="the rejected side is empty")
    used += (rejected,)
    try:
        disliked = _side(fields, rejected, prompt)
    except RowError as error:
        return _Read(liked, "preference", used, unpaired=f"the rejected side cannot be read ({error.reason})")
    return _paired(liked, disliked, used)


def _paired(liked: list[Turn], disliked: list[Turn], used: tuple[str, ...]) -> _Read:
    why = None
    if len(liked) != len(disliked) or liked[:-1] != disliked[:-1]:
        why = "the two sides do not answer the same prompt"
    elif liked[-1]["role"] != "assistant" or disliked[-1]["role"] != "assistant":
        why = "a side does not end with the assistant"
    elif liked[-1] == disliked[-1]:
        why = "both sides are the same"
    elif is_empty(disliked[-1]["content"]) and not disliked[-1].get("tool_calls"):
        why = "the rejected side is empty"
    return _Read(liked, "preference", used, None if why else disliked[-1], why)


def _side(fields: Mapping[str, object], key: str, prompt: list[Turn]) -> list[Turn]:
    value = turns_or_text(fields[key], key)
    if isinstance(value, str) and not prompt:
        # Anthropic's hh-rlhf has the whole dialogue in `chosen`, as a transcript.
        return transcript(value) or [{"role": "assistant", "content": value}]
    answer = [turn(value, key)] if isinstance(value, dict) else _said(fields, key, "assistant")
    if not any(each["role"] == "user" for each in answer):
        return [*prompt, *answer]
    first = answer[1 if answer[0]["role"] == "system" else 0]
    if len(prompt) > 1 and first == prompt[-1]:
        # The side repeats the last question alone.
        return [*prompt[:-1], *answer]
    if prompt and prompt[0]["role"] == "system" and answer[0]["role"] != "system":
        return [prompt[0], *answer]
    return answer


def _preference_prompt(fields: Mapping[str, object]) -> tuple[list[Turn], tuple[str, ...]]:
    for key in CONVERSATION_KEYS:
        # The trainers' ranking format: a dialogue up to the answer; elsewhere it ends with the chosen answer.
        value = turns_or_text(fields.get(key), key)
        if isinstance(value, list):
            found = turns(value, key)
            return (found[:-1] if found[-1]["role"] == "assistant" else found), (key,)
    for key in (INSTRUCTION, *PROMPTS):
        if key in fields:
            asked, used = _asked(fields, key)
            history, past = _history(fields)
            return [*history, *asked], (key, *used, *past)
    return [], ()


def _against(read: _Read, fields: Mapping[str, object], rejected: str) -> _Read:
    """Read a row with a whole conversation, and an answer beside its last one that was not preferred."""
    disliked = _side(fields, rejected, read.turns[:-1])
    return _paired(read.turns, disliked, (*read.used, rejected))


def _history(fields: Mapping[str, object]) -> tuple[list[Turn], tuple[str, ...]]:
    """Return the earlier rounds of a row: pairs of question and answer, or turns."""
    history = decoded(fields.get(HISTORY), HISTORY)
    if not isinstance(history, list):
        return [], ()
    if isinstance(history[0] if history else None, dict):
        return turns(history, HISTORY), (HISTORY,)
    rounds: list[Turn] = []
    for number, pair in enumerate(history, start=1):
        where = f"round {number} of history"
        if not isinstance(pair, list) or len(pair) != 2:
            raise RowError(f"{where} is not a pair of instruction and answer")
        rounds.append({"role": "user", "content": text_of(pair[0], f"the instruction in {where}")})
        rounds.append({"role": "assistant", "content": text_of(pair[1], f"the answer in {where}")})
    return rounds, (HISTORY,)


def _said(fields: Mapping[str, object], key: str, role: Literal["user", "assistant"]) -> list[Turn]:
    """Return a prompt or an answer: text, turns (TRL's conversational form), or calls of tools."""
    value = turns_or_text(fields[key], key)
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        calls = calls_in_text(value) if role == "assistant" else None
        if calls is not None:
            return [{"role": role, "content": "", "tool_calls": calls}]
        return turns(value, key)
    if role == "assistant" and isinstance(value, str) and any(name in fields for name in TOOLS):
        calls = calls_in_text(value) if value.lstrip()[:1] in ("[", "{") else None
        if calls is not None:
            return [{"role": role, "content": "", "tool_calls": calls}]
    return [{"role": role, "content": text_of(value, key)}]


def _with_row_fields(
    conversation: list[Turn], fields: Mapping[str, object]
) -> tuple[list[Turn], tuple[str, ...]]:
    """Bring what a row says of its turns to them: pictures to the first question, reasoning to the answer."""
    files, used = attachments.of_row(fields)
    if files:
        held = [each for turn in conversation for each in turn.get("attachments", ())]
        # A part of a content holds the place of a file that a column names.
        conversation = [_without(turn, "attachments") for turn in conversation]
        place = next((n for n, turn in enumerate(conversation) if turn["role"] == "user"), 0)
        known = {each["reference"] for each in held if each["reference"]}
        more = [each for each in files if each["reference"] not in known]
        every = files if len(held) <= len(files) else [*held, *more]
        conversation[place] = conversation[place] | {"attachments": every}
    thought = reasoning_of(fields)
    answer = conversation[-1]
    if thought is not None and answer["role"] == "assistant" and "reasoning" not in answer:
        conversation = [*conversation[:-1], answer | {"reasoning": thought}]
        used += REASONING
    return conversation, used


def _without(turn: Turn, key: str) -> Turn:
    return cast("Turn", {name: value for name, value in turn.items() if name != key}) if key in turn else turn


def _tools(fields: Mapping[str, object]) -> tuple[list[object], str]:
    for key in TOOLS:
        if key in fields:
            found = decoded(fields[key], key)
            found = [found] if isinstance(found, dict) else found
            if isinstance(found, list):
                return [decoded(tool, key) for tool in found], key
    return [], ""


def _label(fields: Mapping[str, object]) -> bool | None:
    """Return whether the answer is to be imitated; None where the row does not say."""
    for key in LABELS:
        value = fields.get(key)
        if isinstance(value, str) and value.strip().casefold() in ("true", "false"):
            return value.strip().casefold() == "true"
        if isinstance(value, bool) or (key == "kto_tag" and value in (0, 1)):
            return bool(value)
    return None


def _number(value: object) -> float | None:
    if isinstance(value, str):
        with suppress(ValueError):
            value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if math.isfinite(value) else None


def _pair(fields: Mapping[str, object]) -> tuple[str, str] | None:
    """Return the first pair of prompt and answer that is set."""
    for prompt, answer in PAIRS:
        if prompt in fields and answer in fields:
            return prompt, answer
    asked, answered = _first(fields, PROMPTS), _first(fields, ANSWERS)
    return None if asked is None or answered is None else (asked, answered)


def _first(fields: Mapping[str, object], keys: Sequence[str]) -> str | None:
    return next((key for key in keys if key in fields), None)


def _unused(fields: Mapping[str, object], used: tuple[str, ...]) -> tuple[str, ...]:
    names = content_like(tuple(fields), used)
    return tuple([name for name in names if isinstance(fields[name], str | list | dict)]) if names else ()


def _packed(value: object) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()
    except TypeError:  # an integer of more than 64 bits, or nested beyond what orjson writes
        return as_json(value, "the row")


def _identifier(value: object) -> str | None:
    """Return an identifier as text; one that is neither text nor a number, such as MongoDB's, as JSON."""
    if value is None or isinstance(value, str):
        return value or None
    return as_json(value, "id") if isinstance(value, dict | list | bool) else str(value)


def _source(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None
