"""LLaMA-Factory: JSON Lines and the ``dataset_info.json`` that names them.

Written against ``src/llamafactory/data/{parser,converter}.py`` of LLaMA-Factory. Three things there decide
what is written here:

- naming any tag in ``tags`` sets every tag that is not named to None, so all seven are always named;
- a conversation whose turns do not alternate is dropped with a line in the log, so such rows are taken out
  first and named;
- the converter for ``openai`` adds "detailed thinking off" to every system prompt and the one for
  ``sharegpt`` does not, so the latter, with the tags of the former, is the default.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from tags_assets.errors import UserError
from tags_assets.formats.export import rich
from tags_assets.formats.export.files import ExportedFile, Written, described
from tags_assets.formats.export.turns import MESSAGE, left_out, left_out_notes, why_not_alternating
from tags_assets.formats.turns import with_reasoning
from tags_assets.store.durable import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tags_assets.formats.export.options import Options
    from tags_assets.formats.instance import Turn

Form = Literal["sharegpt", "alpaca", "openai"]

TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function_call",
    "system_tag": "system",
}
"""All seven. A turn of ``function_call`` holds the JSON of its calls, behind its reasoning if it has any."""

MEDIA = ["<image>", "<video>", "<audio>"]
SKIPPED = "because LLaMA-Factory would drop them with a line in its log"
LACKS = "because LLaMA-Factory would drop them with a line in its log, or the form has no place for them"


def write_sft(
    rows: pl.DataFrame, folder: Path, name: str, options: Options, form: Form = "sharegpt"
) -> Written:
    """Write conversations for stage ``sft``.

    Parameters
    ----------
    rows
        With ``messages`` as `tags_assets.formats.export.turns.readable` leaves them.
    folder
        Becomes (or is) a ``dataset_dir``. Other data sets named in its ``dataset_info.json`` stay.
    name
        The data set's name there, and the file's stem.
    form
        ``alpaca`` takes only rows without tools and attachments.

    Returns
    -------
    The files, and the rows that were left out with the reason.
    """
    alternates = why_not_alternating(rows, join_tools=form == "openai")
    reason = rows.select(
        pl.coalesce(
            pl.lit(alternates),
            _why_not(options, form),
            pl.when("masked").then(pl.lit("a turn of it is not to be learnt, and the form has no mask")),
        )
    ).to_series()
    taken = rows.filter(reason.is_null())
    dropped = left_out(rows, reason)
    entry = _entry(name, form)
    body, bodies = taken.select("messages"), None
    if taken["is_rich"].any():
        talks = rich.talks(taken, options.reasoning)
        if form == "alpaca":
            taken = taken.with_columns(_texts(talks))
        else:
            bodies, columns = _bodies(talks)
            entry["columns"] = {"messages": "messages", **columns}
    if form == "alpaca":
        body = _as_alpaca(taken)
    notes = left_out_notes(dropped, LACKS if form == "alpaca" or rows["is_rich"].any() else SKIPPED)
    notes += _media_notes(taken)
    left = dropped.height
    return [_write(body, folder, name, entry, bodies, left=left, notes=notes, form=form)], dropped


def _why_not(options: Options, form: Form) -> pl.Expr:
    """Say why a row cannot be written, whatever its turns."""
    media = () if form == "alpaca" else rich.MEDIA_KINDS
    common = rich.why_not_common(media, options)
    both = pl.when("says_and_calls").then(
        pl.lit("a turn speaks and calls a tool, and LLaMA-Factory takes one or the other")
    )
    if form != "alpaca":
        return pl.coalesce(common, both)
    roles = pl.col("messages").list.eval(pl.element().struct.field("role"))
    tools = roles.list.contains("tool") | pl.col("calls")
    return pl.coalesce(common, pl.when(tools).then(pl.lit("the alpaca form has no tool turns")))


def _texts(talks: Sequence[rich.Talk]) -> pl.Series:
    turns = [[{"role": t["role"], "content": t["content"]} for t in talk.turns] for talk in talks]
    return pl.Series("messages", turns, dtype=pl.List(MESSAGE))


def _bodies(
    talks: Sequence[rich.Talk], *more: Mapping[str, Sequence[object]]
) -> tuple[Iterator[dict[str, Any]], dict[str, str]]:
    """Lay rows out, and name the columns beside their messages."""
    kinds = [kind for kind in rich.MEDIA_KINDS if any(_of(talk, kind) for talk in talks)]
    columns = {f"{kind}s": f"{kind}s" for kind in kinds}
    if any(talk.tools for talk in talks):
        columns["tools"] = "tools"

    def bodies() -> Iterator[dict[str, Any]]:
        for place, talk in enumerate(talks):
            body: dict[str, Any] = {"messages": [turn_of(turn) for turn in talk.turns]}
            if "tools" in columns:
                tools = [rich.openai_tool(tool)["function"] for tool in talk.tools]
                body["tools"] = rich.as_text(tools) if tools else ""
            body |= {f"{kind}s": _of(talk, kind) for kind in kinds}
            yield body | {name: values[place] for each in more for name, values in each.items()}

    return bodies(), columns


def _of(talk: rich.Talk, kind: str) -> list[str]:
    return [each["reference"] for each in talk.media if each["kind"] == kind]


def turn_of(turn: Turn) -> dict[str, str]:
    """Write a turn: calls of tools are a turn of ``function_call`` that holds their JSON."""
    content = turn["content"]
    if calls := turn.get("tool_calls"):
        named = [{"name": call["name"], "arguments": call["arguments"]} for call in calls]
        content = "\n".join(
            filter(None, [content.rstrip(), rich.as_text(named if len(named) > 1 else named[0])])
        )
        return {"role": TAGS["function_tag"], "content": content}
    if thought := turn.get("reasoning"):  # its templates look for the trace in the text
        content = with_reasoning(thought, content)
    return {"role": turn["role"], "content": content}


def write_kto(rows: pl.DataFrame, folder: Path, name: str, options: Options) -> Written:
    """Write answers with their label for stage ``kto``; see `write_sft`."""
    reason = rows.select(
        pl.coalesce(pl.lit(why_not_alternating(rows)), _why_not(options, "sharegpt"))
    ).to_series()
    taken = rows.filter(reason.is_null())
    dropped = left_out(rows, reason)
    talks = rich.talks(taken, options.reasoning)
    bodies, columns = _bodies(talks, {"label": taken["label"].to_list()})
    entry = _entry(name, "sharegpt")
    entry["columns"] = {"messages": "messages", "kto_tag": "label", **columns}
    notes = left_out_notes(dropped, SKIPPED)
    return [_write(taken, folder, name, entry, bodies, left=dropped.height, notes=notes)], dropped


def write_dpo(pairs: pl.DataFrame, folder: Path, name: str, options: Options) -> Written:
    """Write preference pairs for stage ``dpo`` (and ``rm``); see `write_sft`."""
    prompts = pairs.with_columns(pl.col("prompt").alias("messages"))
    reason = pairs.select(
        pl.coalesce("reason", pl.lit(why_not_alternating(prompts, answered=False)))
    ).to_series()
    taken = pairs.filter(reason.is_null())
    dropped = left_out(pairs.drop("reason"), reason)
    body, bodies = taken.select(pl.col("prompt").alias("messages"), "chosen", "rejected"), None
    entry = _entry(name, "sharegpt") | {"ranking": True}
    columns: dict[str, str] = {}
    if taken["is_rich"].any():
        rejected = [rich.placed(turn, options.reasoning) for turn in rich.rejected_turns(taken)]
        whole = rich.talks(taken, options.reasoning)
        sides = {
            "chosen": [turn_of(talk.turns[-1]) for talk in whole],
            "rejected": list(map(turn_of, rejected)),
        }
        talks = [rich.Talk(talk.turns[:-1], talk.tools, talk.media) for talk in whole]
        bodies, columns = _bodies(talks, sides)
    entry["columns"] = {"messages": "messages", "chosen": "chosen", "rejected": "rejected", **columns}
    notes = left_out_notes(dropped, SKIPPED)
    return [_write(body, folder, name, entry, bodies, left=dropped.height, notes=notes)], dropped


def describe(folder: Path, names: Sequence[str]) -> ExportedFile:
    """Measure ``dataset_info.json`` once all data sets have been named in it."""
    stages = {"dpo": " for stage `dpo`", "kto": " for stage `kto`"}
    sets = [f"`dataset: {name}`{stages.get(name.rpartition('_')[2], '')}" for name in names]
    note = f"Train with `dataset_dir: {folder}` and {', or '.join(sets)}."
    return described("llamafactory", folder / "dataset_info.json", None, notes=(note,))


def _write(
    body: pl.DataFrame,
    folder: Path,
    name: str,
    entry: Mapping[str, object],
    bodies: Iterator[dict[str, Any]] | None = None,
    *,
    left: int,
    notes: tuple[str, ...],
    form: Form = "sharegpt",
) -> ExportedFile:
    path = folder / f"{name}.jsonl"
    rich.write_rows(path, body, bodies)
    _register(folder / "dataset_info.json", name, entry)
    format_name = "llamafactory" if form == "sharegpt" else f"llamafactory-{form}"
    return described(format_name, path, body.height, left_out=left, notes=notes)


def _entry(name: str, form: Form) -> dict[str, object]:
    entry: dict[str, object] = {"file_name": f"{name}.jsonl", "formatting": form}
    if form == "alpaca":
        columns = ("instruction", "input", "output", "system", "history")
        named = ("prompt", "query", "response", "system", "history")
        return entry | {"columns": dict(zip(named, columns, strict=True))}
    return entry | {"columns": {"messages": "messages"}, "tags": TAGS}


def _register(path: Path, name: str, entry: Mapping[str, object]) -> None:
    """Name a data set in ``dataset_info.json`` and leave the others that it names alone."""
    known: dict[str, object] = {}
    if path.exists():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(
                f"is not JSON ({error})",
                where=str(path),
                fix="Fix or remove it, or export to another folder.",
            ) from error
        if not isinstance(known, dict):
            raise UserError("is not a JSON object", where=str(path), fix="Fix or remove it.")
    # LLaMA-Factory opens it in the machine's own encoding: stay in ASCII.
    write_whole(path, json.dumps(known | {name: dict(entry)}, indent=2, ensure_ascii=True) + "\n")


def _as_alpaca(rows: pl.DataFrame) -> pl.DataFrame:
    """Take conversations apart: the last exchange is instruction and output, the ones before it are
    history.
    """
    first = pl.col("messages").list.first().struct
    led = first.field("role") == "system"
    rest = pl.when(led).then(pl.col("messages").list.slice(1)).otherwise(pl.col("messages"))
    contents = rest.list.eval(pl.element().struct.field("content"))
    return (
        rows.select(
            pl.when(led).then(first.field("content")).otherwise(pl.lit("")).alias("system"),
            contents.alias("contents"),
        )
        .with_columns(past=pl.col("contents").list.slice(0, pl.col("contents").list.len() - 2))
        .select(
            pl.col("contents").list.get(-2).alias("instruction"),
            pl.lit("").alias("input"),
            pl.col("contents").list.get(-1).alias("output"),
            "system",
            _exchanges(pl.col("past")).alias("history"),
        )
    )


def _exchanges(past: pl.Expr) -> pl.Expr:
    """Pair texts 0 and 1, 2 and 3, ... of a list of an even length: a list of lists of two."""
    pair = pl.concat_list(pl.element().gather_every(2), pl.element().gather_every(2, 1))
    return past.list.eval(pair)


def _media_notes(rows: pl.DataFrame) -> tuple[str, ...]:
    holds = (
        pl.col("messages").list.eval(pl.element().struct.field("content").str.contains_any(MEDIA)).list.any()
    )
    n = rows.filter(holds & (pl.col("media").list.len().fill_null(0) == 0)).height
    if not n:
        return ()
    note = (
        f"{n:,} rows hold <image>, <video> or <audio> in their text: a model that takes pictures or sound "
        "will look for the files and stop."
    )
    return (note,)
