"""TRL: ``messages``, or ``prompt`` and ``completion``, or ``prompt``, ``chosen`` and ``rejected``, as JSON
Lines.

Prompts are lists of messages in every form: TRL applies the model's chat template to those and leaves plain
texts as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tags_assets.formats.export.files import ExportedFile, described, write_json_lines
from tags_assets.formats.export.turns import left_out, left_out_notes, why_nothing_to_learn

if TYPE_CHECKING:
    from pathlib import Path


def write_messages(
    rows: pl.DataFrame, path: Path, *, format_name: str = "trl"
) -> tuple[ExportedFile, pl.DataFrame]:
    """Write whole conversations for `SFTTrainer` (use ``assistant_only_loss`` to learn the answers alone)."""
    reason = why_nothing_to_learn(rows)
    dropped = left_out(rows, reason)
    taken = rows.filter(reason.is_null())
    write_json_lines(path, taken.select("messages"))
    notes = left_out_notes(dropped, "because they have nothing to learn from")
    return described(format_name, path, taken.height, left_out=dropped.height, notes=notes), dropped


def write_prompt_completion(rows: pl.DataFrame, path: Path) -> tuple[ExportedFile, pl.DataFrame]:
    """Write the last answer as ``completion`` and all before it as ``prompt``: the loss is on the completion
    alone.
    """
    reason = why_nothing_to_learn(rows, last=True)
    dropped = left_out(rows, reason)
    body = rows.filter(reason.is_null()).select(
        pl.col("messages").list.slice(0, pl.col("messages").list.len() - 1).alias("prompt"),
        pl.col("messages").list.slice(-1).alias("completion"),
    )
    write_json_lines(path, body)
    notes = left_out_notes(dropped, "because they have no last answer")
    return described(
        "trl-prompt-completion", path, body.height, left_out=dropped.height, notes=notes
    ), dropped


def write_preferences(pairs: pl.DataFrame, path: Path) -> tuple[ExportedFile, pl.DataFrame]:
    """Write preference pairs for `DPOTrainer` and `RewardTrainer`."""
    dropped = left_out(pairs.drop("reason"), pairs["reason"])
    body = pairs.filter(pl.col("reason").is_null()).select(
        "prompt", pl.concat_list("chosen").alias("chosen"), pl.concat_list("rejected").alias("rejected")
    )
    write_json_lines(path, body)
    notes = left_out_notes(dropped, "because they are no pair of answers to one prompt")
    return described("trl", path, body.height, left_out=dropped.height, notes=notes), dropped
