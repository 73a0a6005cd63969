"""Axolotl: JSON Lines in the ``chat_template`` form, and the part of a configuration that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import yaml

from tags_assets.formats.export.files import ExportedFile, described, write_json_lines
from tags_assets.formats.export.trl import write_messages
from tags_assets.formats.export.turns import left_out, left_out_notes
from tags_assets.store.durable import write_whole

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = {
    "field_messages": "messages",
    "message_property_mappings": {"role": "role", "content": "content"},
    "roles": {"user": ["user"], "assistant": ["assistant"], "system": ["system"], "tool": ["tool"]},
}
HEADER = """\
# Put this into your Axolotl configuration (paths are as seen from {folder}).
# chat_template: tokenizer_default uses the model's own template, and chatml where it has none.
"""


def write_sft(rows: pl.DataFrame, folder: Path, name: str) -> tuple[list[ExportedFile], pl.DataFrame]:
    """Write conversations and the configuration that trains on the assistant's turns."""
    file, dropped = write_messages(rows, folder / f"{name}.jsonl", format_name="axolotl")
    source = {"path": f"{name}.jsonl", "ds_type": "json", "type": "chat_template"}
    config: dict[str, object] = {
        "chat_template": "tokenizer_default_fallback_chatml",
        "datasets": [source | FIELDS | {"roles_to_train": ["assistant"], "train_on_eos": "turn"}],
    }
    return [file, _write_config(folder / f"{name}.yaml", config)], dropped


def write_dpo(pairs: pl.DataFrame, folder: Path, name: str) -> tuple[list[ExportedFile], pl.DataFrame]:
    """Write preference pairs and the configuration for DPO."""
    dropped = left_out(pairs.drop("reason"), pairs["reason"])
    body = pairs.filter(pl.col("reason").is_null()).select(
        pl.col("prompt").alias("messages"), "chosen", "rejected"
    )
    path = folder / f"{name}.jsonl"
    write_json_lines(path, body)
    notes = left_out_notes(dropped, "because they are no pair of answers to one prompt")
    source = {"path": path.name, "ds_type": "json", "split": "train", "type": "chat_template.default"}
    config: dict[str, object] = {
        "rl": "dpo",
        "chat_template": "tokenizer_default_fallback_chatml",
        "datasets": [source | FIELDS | {"field_chosen": "chosen", "field_rejected": "rejected"}],
    }
    file = described("axolotl", path, body.height, left_out=dropped.height, notes=notes)
    return [file, _write_config(folder / f"{name}.yaml", config)], dropped


def _write_config(path: Path, config: dict[str, object]) -> ExportedFile:
    text = HEADER.format(folder=f"{path.parent.name}/") + yaml.safe_dump(
        config, sort_keys=False, allow_unicode=True
    )
    write_whole(path, text)
    return described("axolotl", path, None)
