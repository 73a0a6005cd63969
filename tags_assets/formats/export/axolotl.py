"""Axolotl: JSON Lines in the ``chat_template`` form, and the part of a configuration that reads them.

Arguments of calls and parameters of tools are JSON text, which Axolotl decodes: their types may differ from
row to row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import yaml

from tags_assets.formats.export import rich
from tags_assets.formats.export.files import ExportedFile, Written, described, write_json_lines
from tags_assets.formats.export.turns import left_out, left_out_notes, turns, why_nothing_to_learn
from tags_assets.store.durable import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tags_assets.formats.export.options import Options

FIELDS = {
    "field_messages": "messages",
    "message_property_mappings": {"role": "role", "content": "content"},
    "roles": {"user": ["user"], "assistant": ["assistant"], "system": ["system"], "tool": ["tool"]},
}
HEADER = """\
# Put this into your Axolotl configuration (paths are as seen from {folder}).
# chat_template: tokenizer_default uses the model's own template, and chatml where it has none.
"""
MULTIMODAL = (
    "# The rows have pictures, films or sound: set processor_type and skip_prepare_dataset as well.\n"
)


def write_sft(rows: pl.DataFrame, folder: Path, name: str, options: Options) -> Written:
    """Write conversations and the configuration that trains on the assistant's turns."""
    reason = rows.select(
        pl.coalesce(pl.lit(why_nothing_to_learn(rows)), rich.why_not_common(rich.MEDIA_KINDS, options))
    ).to_series()
    dropped = left_out(rows, reason)
    taken = rows.filter(reason.is_null())
    path = folder / f"{name}.jsonl"
    source: dict[str, object] = {"path": path.name, "ds_type": "json", "type": "chat_template"}
    source |= FIELDS | {"roles_to_train": ["assistant"], "train_on_eos": "turn"}
    header = HEADER
    if taken["is_rich"].any():
        talks = rich.talks(taken, options.reasoning)
        keys = rich.optional_keys(talks)
        parts = any(talk.media for talk in talks)
        if "train" in keys:
            source["message_field_training"] = "train"
        if any(talk.tools for talk in talks):
            source["field_tools"] = "tools"
        header += MULTIMODAL if parts else ""
        rich.write_rows(path, taken, _bodies(talks, keys, parts=parts))
    else:
        write_json_lines(path, taken.select("messages"))
    config: dict[str, object] = {
        "chat_template": "tokenizer_default_fallback_chatml",
        "datasets": [source],
    }
    notes = left_out_notes(dropped, "because they have nothing to learn from")
    file = described("axolotl", path, taken.height, left_out=dropped.height, notes=notes)
    return [file, _write_config(folder / f"{name}.yaml", config, header)], dropped


def _bodies(talks: Sequence[rich.Talk], keys: Sequence[str], *, parts: bool) -> Iterator[dict[str, Any]]:
    has_tools = any(talk.tools for talk in talks)
    for talk in talks:
        masked = any(turn.get("train") is False for turn in talk.turns)
        body: dict[str, Any] = {
            "messages": [
                rich.chat_turn(turn, keys, arguments_as_text=True, parts=parts, masked=masked)
                for turn in talk.turns
            ]
        }
        if has_tools:
            body["tools"] = [_tool(tool) for tool in talk.tools] or None
        yield body


def _tool(tool: object) -> dict[str, Any]:
    function = rich.openai_tool(tool)["function"]
    kept = {name: function.get(name) for name in ("name", "description")}
    kept["parameters"] = rich.as_text(function.get("parameters") or {})
    return {"type": "function", "function": kept}


def write_dpo(pairs: pl.DataFrame, folder: Path, name: str, options: Options) -> Written:
    """Write preference pairs and the configuration for DPO."""
    dropped = left_out(pairs.drop("reason"), pairs["reason"])
    taken = pairs.filter(pl.col("reason").is_null())
    path = folder / f"{name}.jsonl"
    if taken["is_rich"].any():
        talks = rich.talks(taken, options.reasoning)
        rejected = [rich.placed(turn, options.reasoning) for turn in rich.rejected_turns(taken)]
        whole = [
            rich.Talk([*talk.turns, turn], talk.tools, talk.media)
            for talk, turn in zip(talks, rejected, strict=True)
        ]
        keys = [key for key in rich.optional_keys(whole) if key != "train"]
        rich.write_rows(path, taken, map(_as_pair, _bodies(whole, keys, parts=False)))
    else:
        write_json_lines(path, taken.select(pl.col("prompt").alias("messages"), "chosen", "rejected"))
    notes = left_out_notes(dropped, "because they are no pair of answers to one prompt")
    source = {"path": path.name, "ds_type": "json", "split": "train", "type": "chat_template.default"}
    config: dict[str, object] = {
        "rl": "dpo",
        "chat_template": "tokenizer_default_fallback_chatml",
        "datasets": [source | FIELDS | {"field_chosen": "chosen", "field_rejected": "rejected"}],
    }
    file = described("axolotl", path, taken.height, left_out=dropped.height, notes=notes)
    return [file, _write_config(folder / f"{name}.yaml", config)], dropped


def _as_pair(body: Mapping[str, Any]) -> dict[str, Any]:
    messages = body["messages"]
    return {**body, "messages": messages[:-2], "chosen": messages[-2], "rejected": messages[-1]}


def write_kto(rows: pl.DataFrame, folder: Path, name: str, options: Options) -> Written:
    """Write answers with their label and the configuration for KTO; the forms take one question each."""
    order = (
        turns(rows)
        .group_by("row")
        .agg(pl.col("role").str.join(","))
        .join(rows.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row")), on="row", how="right")
        .sort("row")["role"]
    )
    reason = rows.select(
        pl.coalesce(
            rich.why_not_common((), options),
            pl.when(pl.lit(order).fill_null("") != "user,assistant").then(
                pl.lit("Axolotl's KTO takes one question and one answer")
            ),
        )
    ).to_series()
    dropped = left_out(rows, reason)
    taken = rows.filter(reason.is_null())
    talks = rich.talks(taken, options.reasoning)
    path = folder / f"{name}.jsonl"
    bodies = (
        {
            "system": talk.turns[0]["content"] if talk.turns[0]["role"] == "system" else "",
            "prompt": talk.turns[-2]["content"],
            "completion": talk.turns[-1]["content"],
            "label": label,
        }
        for talk, label in zip(talks, taken["label"], strict=True)
    )
    rich.write_rows(path, taken, bodies)
    notes = left_out_notes(dropped, "because the form has no place for them")
    source = {"path": path.name, "ds_type": "json", "split": "train", "type": "chatml.ultra"}
    config: dict[str, object] = {"rl": "kto", "remove_unused_columns": False, "datasets": [source]}
    file = described("axolotl", path, taken.height, left_out=dropped.height, notes=notes)
    return [file, _write_config(folder / f"{name}.yaml", config)], dropped


def _write_config(path: Path, config: dict[str, object], header: str = HEADER) -> ExportedFile:
    text = header.format(folder=f"{path.parent.name}/") + yaml.safe_dump(
        config, sort_keys=False, allow_unicode=True
    )
    write_whole(path, text)
    return described("axolotl", path, None)
