"""Writes selected rows in the forms that trainers read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from tags_assets.errors import UserError
from tags_assets.formats.export import axolotl, llama_factory, trl
from tags_assets.formats.export.files import (
    EXPORT_SCHEMA,
    ExportedFile,
    described,
    export_frame,
    write_json_lines,
)
from tags_assets.formats.export.mark import is_export, mark_export, refuse_to_overwrite
from tags_assets.formats.export.pairs import PAIR_SCHEMA, pairs
from tags_assets.formats.export.raw import write_parquet, write_raw
from tags_assets.formats.export.turns import readable

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMATS: dict[str, str] = {
    "raw": "subset.jsonl: the rows as they came",
    "parquet": "one Parquet file: messages and everything known of each row",
    "llamafactory": "LLaMA-Factory, conversations, with dataset_info.json",
    "llamafactory-alpaca": "LLaMA-Factory, instruction and output",
    "llamafactory-openai": "LLaMA-Factory, its openai form (adds “detailed thinking off” to system prompts)",
    "trl": "TRL, messages",
    "trl-prompt-completion": "TRL, prompt and completion (loss on the last answer alone)",
    "axolotl": "Axolotl, chat_template, with the configuration that reads it",
}
"""Formats by the name that `export` takes, and what each is."""

NEEDED = ("instance_id", "id", "source", "file", "line", "format", "messages", "raw")

__all__ = ["EXPORT_SCHEMA", "FORMATS", "NEEDED", "ExportedFile", "export", "export_frame"]


def export(
    rows: pl.DataFrame,
    directory: Path | str,
    formats: Sequence[str] = ("raw",),
    *,
    name: str = "subset",
    preferences: Literal["pairs", "chosen"] = "pairs",
    is_ours: bool = False,
) -> list[ExportedFile]:
    """Write rows in one or several formats below a folder.

    ``raw`` and ``parquet`` are files of the folder itself; each trainer has a folder of its own in it. A file
    is written beside its place and renamed, so that a reader sees the old file or the new one. Rows that a
    trainer cannot take, or would skip without a word, are left out, counted and named in the notes, and
    listed in ``left_out.jsonl`` beside the data.

    Parameters
    ----------
    rows
        In the order in which they are to be written, with the columns `NEEDED` of ``raw_instances``; others
        are kept by ``parquet`` alone.
    directory
        Is made where it does not exist.
    formats
        Names of `FORMATS`.
    name
        Stem of the files, and the data set's name for LLaMA-Factory. Letters, digits, ``_``, ``-`` and ``.``.
    preferences
        ``pairs`` writes rows with a chosen and a rejected answer whole, to a file of their own
        (``NAME_dpo``); ``chosen`` takes their chosen side as an ordinary conversation.
    is_ours
        Whether files in the folder may be overwritten, although it does not bear the mark of an export.

    Returns
    -------
    One entry per file, in the order of ``formats``.

    Raises
    ------
    UserError
        For an unknown format, a name that cannot be a file's, columns that are missing, a folder that cannot
        be written to, or files in it that no export wrote.
    """
    folder = Path(directory)
    _check(rows, formats, name)
    if not (is_ours or is_export(folder)):
        suffixes = {"raw": f"{name}.jsonl", "parquet": f"{name}.parquet"}
        refuse_to_overwrite((folder / suffixes.get(one, one) for one in formats), "--out")
    mark_export(folder)
    plain = readable(rows)
    written: list[ExportedFile] = []
    needs_pairs = preferences == "pairs" and any(f not in ("raw", "parquet") for f in formats)
    paired = pl.col("format").fill_null("") == "preference"
    both = pairs(plain.filter(paired)) if needs_pairs else plain.clear().with_columns(**_no_pairs())
    talks = plain.filter(~paired) if needs_pairs else plain
    for format_name in dict.fromkeys(formats):
        if format_name == "raw":
            written.append(write_raw(rows, folder / f"{name}.jsonl"))
        elif format_name == "parquet":
            written.append(write_parquet(plain.drop("raw"), folder / f"{name}.parquet"))
        else:
            written.extend(_for_trainer(format_name, talks, both, folder, name))
    mark_export(folder, (file.path for file in written))
    return written


def _for_trainer(
    format_name: str, talks: pl.DataFrame, both: pl.DataFrame, folder: Path, name: str
) -> list[ExportedFile]:
    """Write one trainer's files: conversations where there are any (or no pairs either), pairs where there
    are any.
    """
    trainer, _, form = format_name.partition("-")
    here = folder / format_name
    files: list[ExportedFile] = []
    dropped: list[pl.DataFrame] = []
    if not talks.is_empty() or both.is_empty():
        if trainer == "llamafactory":
            more, out = llama_factory.write_sft(talks, here, name, _LLAMA_FORMS[form])
        elif trainer == "axolotl":
            more, out = axolotl.write_sft(talks, here, name)
        else:
            write = trl.write_prompt_completion if form else trl.write_messages
            file, out = write(talks, here / f"{name}.jsonl")
            more = [file]
        files.extend(more)
        dropped.append(out)
    if not both.is_empty():
        if trainer == "trl":
            file, out = trl.write_preferences(both, here / f"{name}_dpo.jsonl")
            more = [file]
        else:
            write_pairs = llama_factory.write_dpo if trainer == "llamafactory" else axolotl.write_dpo
            more, out = write_pairs(both, here, f"{name}_dpo")
        files.extend(more)
        dropped.append(out)
    if trainer == "llamafactory":
        names = [file.path.stem for file in files]
        files.append(llama_factory.describe(here, names))
    everything = pl.concat(dropped)
    beside = here / "left_out.jsonl"
    if everything.is_empty():
        beside.unlink(missing_ok=True)  # of an export before this one
    else:
        write_json_lines(beside, everything)
        files.append(described(format_name, beside, everything.height))
    return [replace(file, format=format_name) for file in files]


_LLAMA_FORMS: dict[str, llama_factory.Form] = {"": "sharegpt", "alpaca": "alpaca", "openai": "openai"}


def _no_pairs() -> dict[str, pl.Expr]:
    return {name: pl.lit(None, dtype=dtype) for name, dtype in PAIR_SCHEMA.items()}


def _check(rows: pl.DataFrame, formats: Sequence[str], name: str) -> None:
    for format_name in formats:
        if format_name not in FORMATS:
            raise UserError.unknown("export format", format_name, FORMATS)
    if not name or name.startswith(".") or not all(c.isalnum() or c in "_-." for c in name):
        raise UserError(
            f"{name!r} cannot name a file", where="export", fix="Use letters, digits, '_', '-' and '.'."
        )
    missing = [column for column in NEEDED if column not in rows.columns]
    if missing:
        raise UserError(f"the rows lack the columns {', '.join(missing)}", where="export")
