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
from typing import TYPE_CHECKING, Literal

import polars as pl

from tags_assets.errors import UserError
from tags_assets.formats.export.files import ExportedFile, described, write_json_lines
from tags_assets.formats.export.turns import left_out, left_out_notes, why_not_alternating
from tags_assets.store.durable import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

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
"""All seven. ``function_call`` names no turn of ours: its content would have to be JSON, and one that is not
would end the training run."""

MEDIA = ["<image>", "<video>", "<audio>"]
SKIPPED = "because LLaMA-Factory would drop them with a line in its log"
LACKS = "because LLaMA-Factory would drop them with a line in its log, or the form has no place for them"


def write_sft(
    rows: pl.DataFrame, folder: Path, name: str, form: Form = "sharegpt"
) -> tuple[list[ExportedFile], pl.DataFrame]:
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
        ``alpaca`` takes only rows without tool turns.

    Returns
    -------
    The files, and the rows that were left out with the reason.
    """
    reason = why_not_alternating(rows, join_tools=form == "openai")
    if form == "alpaca":
        roles = pl.col("messages").list.eval(pl.element().struct.field("role"))
        reason = rows.select(
            pl.coalesce(
                pl.lit(reason),
                pl.when(roles.list.contains("tool")).then(pl.lit("the alpaca form has no tool turns")),
            )
        ).to_series()
    taken = rows.filter(reason.is_null())
    dropped = left_out(rows, reason)
    body = _as_alpaca(taken) if form == "alpaca" else taken.select("messages")
    notes = left_out_notes(dropped, LACKS if form == "alpaca" else SKIPPED) + _media_notes(taken)
    return [
        _write(body, folder, name, _entry(name, form), left=dropped.height, notes=notes, form=form)
    ], dropped


def write_dpo(pairs: pl.DataFrame, folder: Path, name: str) -> tuple[list[ExportedFile], pl.DataFrame]:
    """Write preference pairs for stage ``dpo`` (and ``rm``); see `write_sft`."""
    prompts = pairs.with_columns(pl.col("prompt").alias("messages"))
    reason = pairs.select(
        pl.coalesce("reason", pl.lit(why_not_alternating(prompts, answered=False)))
    ).to_series()
    taken = pairs.filter(reason.is_null())
    dropped = left_out(pairs.drop("reason"), reason)
    body = taken.select(pl.col("prompt").alias("messages"), "chosen", "rejected")
    entry = _entry(name, "sharegpt") | {"ranking": True}
    entry["columns"] = {"messages": "messages", "chosen": "chosen", "rejected": "rejected"}
    notes = left_out_notes(dropped, SKIPPED)
    return [_write(body, folder, name, entry, left=dropped.height, notes=notes)], dropped


def describe(folder: Path, names: Sequence[str]) -> ExportedFile:
    """Measure ``dataset_info.json`` once all data sets have been named in it."""
    sets = [f"`dataset: {name}`{' for stage `dpo`' if name.endswith('_dpo') else ''}" for name in names]
    note = f"Train with `dataset_dir: {folder}` and {', or '.join(sets)}."
    return described("llamafactory", folder / "dataset_info.json", None, notes=(note,))


def _write(
    body: pl.DataFrame,
    folder: Path,
    name: str,
    entry: Mapping[str, object],
    *,
    left: int,
    notes: tuple[str, ...],
    form: Form = "sharegpt",
) -> ExportedFile:
    path = folder / f"{name}.jsonl"
    write_json_lines(path, body)
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
    n = rows.filter(holds).height
    if not n:
        return ()
    note = (
        f"{n:,} rows hold <image>, <video> or <audio> in their text: a model that takes pictures or sound "
        "will look for the files and stop."
    )
    return (note,)
