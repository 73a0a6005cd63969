"""Rows that hold more than text, in the shapes that trainers take: calls, tools, reasoning, marks, pictures.

What concerns all rows of a file is decided for all of them at once; the turns of rows that are not plain are
laid out one by one, as the reader of the pool read them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
import pyarrow as pa

from tags_assets.formats.attachments import INLINE, marker
from tags_assets.formats.export.files import write_json_lines
from tags_assets.formats.turns import is_empty, with_reasoning
from tags_assets.store.durable import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tags_assets.formats.export.options import Options, Reasoning
    from tags_assets.formats.instance import Attachment, Turn

OPENS_THINKING = "<think>"
_TRACE = re.compile(r"\s*<think>\s*(.*?)\s*(?:</think>\s*|\Z)", re.DOTALL)
MEDIA_KINDS = ("image", "video", "audio")

FACTS: dict[str, pl.DataType] = {
    "is_rich": pl.Boolean(),
    "masked": pl.Boolean(),
    "last_masked": pl.Boolean(),
    "unlearnt": pl.Boolean(),
    "calls": pl.Boolean(),
    "says_and_calls": pl.Boolean(),
    "media": pl.List(pl.String()),
    "inline_media": pl.Boolean(),
    "marks_differ": pl.Boolean(),
    "only_reasoning": pl.Boolean(),
}
"""What is known of each row before it is written; all false for a row of plain text."""


@dataclass(frozen=True)
class Talk:
    """A row's conversation on its way into a trainer's file."""

    turns: list[Turn]
    tools: list[Any]
    media: list[Attachment]


def with_facts(rows: pl.DataFrame, reasoning: Reasoning) -> pl.DataFrame:
    """Add `FACTS` to rows with ``messages`` and ``structure``."""
    thinks = pl.col("messages").list.eval(
        pl.element().struct.field("content").str.contains(OPENS_THINKING, literal=True)
    )
    holds_trace = thinks.list.any() if reasoning != "inline" else pl.lit(value=False)
    known = rows.select("structure", "messages", holds_trace=holds_trace)
    facts = [
        _facts(talk_of(messages, structure, reasoning))
        if structure is not None or holds
        else dict.fromkeys(FACTS)
        for structure, messages, holds in known.iter_rows()
    ]
    frame = pl.DataFrame(facts, schema=FACTS).with_columns(
        pl.col(name).fill_null(value=False) for name, kind in FACTS.items() if kind == pl.Boolean()
    )
    return rows.drop(FACTS.keys() & set(rows.columns)).hstack(frame)


def talk_of(messages: Sequence[Turn], structure: str | None, reasoning: Reasoning) -> Talk:
    """Lay out one row: its turns as it holds them, its reasoning where it is wanted."""
    held: dict[str, Any] = orjson.loads(structure) if structure else {}
    turns = [placed(turn, reasoning) for turn in held.get("turns") or messages]
    media = [each for turn in turns for each in turn.get("attachments", ())]
    return Talk(_marked(turns, media), held.get("tools", []), media)


def placed(turn: Mapping[str, Any], reasoning: Reasoning) -> Turn:
    """Put a turn's reasoning where it is wanted."""
    read = dict(turn)
    thought = read.pop("reasoning", None)
    holds = read["role"] == "assistant" and reasoning != "inline" and thought is None
    if holds and (found := _TRACE.match(read["content"])):
        thought, read["content"] = found[1], read["content"][found.end() :]
    if thought and reasoning == "inline":
        read["content"] = with_reasoning(thought, read["content"])
    elif thought and reasoning == "keep":
        read["reasoning"] = thought
    return read  # type: ignore[return-value]


def _facts(talk: Talk) -> dict[str, object]:
    answers = [turn for turn in talk.turns if turn["role"] == "assistant"]
    masked = [turn.get("train") is False for turn in answers]
    kinds = [each["kind"] for each in talk.media]
    marks = {kind: sum(turn["content"].count(marker(kind)) for turn in talk.turns) for kind in set(kinds)}
    return {
        "is_rich": True,
        "masked": any(masked),
        "last_masked": talk.turns[-1].get("train") is False,
        "unlearnt": bool(masked) and all(masked),
        "calls": any("tool_calls" in turn for turn in answers),
        "says_and_calls": any(
            "tool_calls" in turn and not is_empty(_TRACE.sub("", turn["content"], count=1))
            for turn in answers
        ),
        "media": sorted(set(kinds)),
        "inline_media": any(
            each["reference"].startswith(INLINE) or not each["reference"] for each in talk.media
        ),
        "marks_differ": any(marks[kind] != kinds.count(kind) for kind in marks),
        "only_reasoning": any(is_empty(turn["content"]) and "tool_calls" not in turn for turn in answers),
    }


def _marked(turns: list[Turn], media: Sequence[Attachment]) -> list[Turn]:
    """Put marks for pictures that have none before the first question."""
    missing = [
        marker(kind) * n
        for kind in MEDIA_KINDS
        if (n := sum(each["kind"] == kind for each in media))
        and not any(marker(kind) in turn["content"] for turn in turns)
    ]
    if not missing:
        return turns
    place = next((n for n, turn in enumerate(turns) if turn["role"] == "user"), 0)
    asked = dict(turns[place]) | {"content": "".join(missing) + turns[place]["content"]}
    return [*turns[:place], asked, *turns[place + 1 :]]  # type: ignore[list-item]


def why_not_common(media: Sequence[str], options: Options) -> pl.Expr:
    """Say why a row with `FACTS` cannot be written: its pictures are not wanted, or nothing is learnt.

    Parameters
    ----------
    media
        Kinds of attachments that the form takes, where they are wanted.
    """
    has = pl.col("media").list.len() > 0
    foreign = pl.col("media").list.eval(~pl.element().is_in(list(media))).list.any()
    return pl.coalesce(
        pl.when(has & pl.lit(not options.attachments)).then(
            pl.lit("it has pictures, films, sound or files; --attachments keep exports them")
        ),
        pl.when(has & foreign).then(pl.lit("it has an attachment of a kind that the form does not take")),
        pl.when(has & pl.col("inline_media")).then(
            pl.lit("its attachment stands in the row itself and not in a file")
        ),
        pl.when(has & pl.col("marks_differ")).then(
            pl.lit("it has another number of attachments than of marks for them")
        ),
        pl.when("unlearnt").then(pl.lit("none of its turns is to be learnt")),
        pl.when("only_reasoning").then(pl.lit("nothing but reasoning stands in an answer")),
    )


def write_rows(path: Path, plain: pl.DataFrame, bodies: Iterator[dict[str, Any]] | None) -> None:
    """Write rows as JSON Lines: a frame where all are plain, else each as it was laid out."""
    if bodies is None:
        write_json_lines(path, plain)
        return
    with written_whole(path) as beside, beside.open("wb") as file:
        for body in bodies:
            file.write(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS, default=str) + b"\n")


def talks(rows: pl.DataFrame, reasoning: Reasoning) -> list[Talk]:
    """Lay out all rows of a file."""
    return [
        talk_of(messages, structure, reasoning)
        for messages, structure in rows.select("messages", "structure").iter_rows()
    ]


def rejected_turns(pairs: pl.DataFrame) -> list[Turn]:
    """Return the rejected answers of pairs as they are held; each row has one."""
    return [orjson.loads(structure)["rejected"] for structure in pairs["structure"]]


def optional_keys(every: Sequence[Talk]) -> list[str]:
    """List the keys that some turn of the file has: all turns get them, so that loaders see one schema."""
    used = {key for talk in every for turn in talk.turns for key in turn}
    return [key for key in ("reasoning", "tool_calls", "tool_call_id", "name", "train") if key in used]


def chat_turn(
    turn: Turn, keys: Sequence[str], *, arguments_as_text: bool, parts: bool = False, masked: bool = False
) -> dict[str, Any]:
    """Write a turn as chat templates take it, with all keys of the file."""
    body: dict[str, Any] = {"role": turn["role"], "content": _parts(turn) if parts else turn["content"]}
    for key in keys:
        if key == "reasoning":
            body["reasoning_content"] = turn.get("reasoning")
        elif key == "tool_calls":
            calls = turn.get("tool_calls")
            body["tool_calls"] = calls and [_openai_call(call, as_text=arguments_as_text) for call in calls]
        elif key == "train":
            if masked:
                is_answer = turn["role"] == "assistant"
                body["train"] = turn.get("train", True) if is_answer else None
            else:
                body["train"] = None
        else:
            body[key] = turn.get(key)
    return body


def _openai_call(call: Mapping[str, Any], *, as_text: bool) -> dict[str, Any]:
    arguments = call["arguments"]
    if as_text and not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    function = {"name": call["name"], "arguments": arguments}
    return {"id": call.get("id"), "type": "function", "function": function}


def _parts(turn: Turn) -> list[dict[str, Any]]:
    """Cut a content at its marks into parts of text and pictures."""
    files = {kind: [e for e in turn.get("attachments", ()) if e["kind"] == kind] for kind in MEDIA_KINDS}
    cut = re.split("(<(?:image|video|audio)>)", turn["content"]) if any(files.values()) else [turn["content"]]
    found: list[dict[str, Any]] = []
    for piece in cut:
        kind = piece[1:-1]
        if kind in files and files[kind] and piece == marker(kind):
            found.append({"type": kind, "text": None, "path": files[kind].pop(0)["reference"]})
        elif piece:
            found.append({"type": "text", "text": piece, "path": None})
    return found or [{"type": "text", "text": "", "path": None}]


def arguments_need_text(every: Sequence[Talk]) -> bool:
    """Say whether arguments of calls must be written as JSON text: a value of theirs has several types."""
    arguments = [
        call["arguments"] for talk in every for turn in talk.turns for call in turn.get("tool_calls", ())
    ]
    try:
        pa.array(arguments)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return True
    return not all(isinstance(each, dict) for each in arguments)


def openai_tool(tool: object) -> dict[str, Any]:
    """Bring the schema of a tool into OpenAI's form, in which most chat templates take it."""
    inner = tool.get("function", tool) if isinstance(tool, dict) else {"name": str(tool)}
    function = dict(inner) if isinstance(inner, dict) else {"name": str(inner)}
    if "input_schema" in function:
        function["parameters"] = function.pop("input_schema")
    return {"type": "function", "function": function}


def as_text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
