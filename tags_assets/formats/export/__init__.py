"""Writes selected rows in the forms that trainers read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import polars as pl

from tags_assets.errors import UserError
from tags_assets.formats.export import axolotl, llama_factory, rich, trl
from tags_assets.formats.export.files import (
    EXPORT_SCHEMA,
    ExportedFile,
    Written,
    described,
    export_frame,
    write_json_lines,
)
from tags_assets.formats.export.mark import is_export, mark_export, refuse_to_overwrite
from tags_assets.formats.export.options import Options, Reasoning
from tags_assets.formats.export.pairs import PAIR_SCHEMA, pairs
from tags_assets.formats.export.raw import write_parquet, write_raw
from tags_assets.formats.export.turns import left_out, readable

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
USED = ("structure", "label", "attachments")
"""Columns of ``raw_instances`` that are written where rows have them."""

UNDESIRABLE = "its label says that the answer is not to be imitated"

__all__ = ["EXPORT_SCHEMA", "FORMATS", "NEEDED", "ExportedFile", "export", "export_frame"]


def export(
    rows: pl.DataFrame,
    directory: Path | str,
    formats: Sequence[str] = ("raw",),
    *,
    name: str = "subset",
    preferences: Literal["pairs", "chosen"] = "pairs",
    reasoning: Reasoning = "inline",
    attachments: Literal["leave_out", "keep"] = "leave_out",
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
        (``NAME_dpo``), and rows with a label to another (``NAME_kto``); ``chosen`` takes the chosen sides and
        the answers that are to be imitated as ordinary conversations, and leaves out the others.
    reasoning
        Where traces of reasoning go in the trainers' forms: ``inline`` into the text as ``<think>``, ``keep``
        into a field of their own where the trainer has one, ``drop`` nowhere.
    attachments
        ``keep`` writes rows with pictures, films and sound for trainers of multimodal models.
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
    parts = None
    for format_name in dict.fromkeys(formats):
        if format_name == "raw":
            written.append(write_raw(rows, folder / f"{name}.jsonl"))
        elif format_name == "parquet":
            written.append(write_parquet(plain.drop("raw"), folder / f"{name}.parquet"))
        else:
            options = Options(reasoning, attachments == "keep")
            parts = parts or _parted(plain, options, whole=preferences == "pairs")
            written.extend(_for_trainer(format_name, parts, options, folder, name))
    mark_export(folder, (file.path for file in written))
    return written


class _Parts(NamedTuple):
    """Rows by the kind of training that they are for, and those that are for none."""

    talks: pl.DataFrame
    pairs: pl.DataFrame
    labelled: pl.DataFrame
    undesirable: pl.DataFrame


def _parted(plain: pl.DataFrame, options: Options, *, whole: bool) -> _Parts:
    rows = rich.with_facts(plain, options.reasoning)
    paired = pl.col("format").fill_null("") == "preference"
    labelled = ~paired & pl.col("label").is_not_null()
    if whole:
        both = pairs(rows.filter(paired))
        # A row that was stored before pairs had a structure has one now.
        both = rich.with_facts(both, options.reasoning)
        return _Parts(
            rows.filter(~paired & ~labelled), _usable(both, options), rows.filter(labelled), rows.clear()
        )
    bad = labelled & ~pl.col("label").fill_null(value=True)
    nothing = rows.clear()
    return _Parts(rows.filter(~bad), nothing.with_columns(**_no_pairs()), nothing, rows.filter(bad))


def _usable(both: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Leave out pairs that no trainer can be given whole; pairs with pictures are written for none."""
    return both.with_columns(pl.coalesce("reason", rich.why_not_common((), options)).alias("reason"))


def _for_trainer(
    format_name: str, parts: _Parts, options: Options, folder: Path, name: str
) -> list[ExportedFile]:
    """Write one trainer's files: conversations where there are any (or nothing else), pairs and labelled rows
    where there are any.
    """
    here = folder / format_name
    undesirable = pl.Series([UNDESIRABLE] * parts.undesirable.height, dtype=pl.String)
    files: list[ExportedFile] = []
    dropped = [left_out(parts.undesirable, undesirable)]
    write_talks, write_pairs, write_labelled = _WRITERS[format_name]
    nothing_else = parts.pairs.is_empty() and parts.labelled.is_empty()
    for rows, write, stem in (
        (parts.talks, write_talks, name),
        (parts.pairs, write_pairs, f"{name}_dpo"),
        (parts.labelled, write_labelled, f"{name}_kto"),
    ):
        if not rows.is_empty() or (nothing_else and rows is parts.talks):
            more, out = write(rows, here, stem, options)
            files.extend(more)
            dropped.append(out)
    if format_name.startswith("llamafactory"):
        names = [file.path.stem for file in files if file.rows is not None]
        files.append(llama_factory.describe(here, names))
    everything = pl.concat(dropped)
    beside = here / "left_out.jsonl"
    if everything.is_empty():
        beside.unlink(missing_ok=True)  # of an export before this one
    else:
        write_json_lines(beside, everything)
        files.append(described(format_name, beside, everything.height))
    return [replace(file, format=format_name) for file in files]


_Write: TypeAlias = Callable[[pl.DataFrame, Path, str, Options], Written]
_LLAMA_FACTORY: tuple[_Write, _Write] = (llama_factory.write_dpo, llama_factory.write_kto)
_WRITERS: dict[str, tuple[_Write, _Write, _Write]] = {
    "llamafactory": (llama_factory.write_sft, *_LLAMA_FACTORY),
    "llamafactory-alpaca": (partial(llama_factory.write_sft, form="alpaca"), *_LLAMA_FACTORY),
    "llamafactory-openai": (partial(llama_factory.write_sft, form="openai"), *_LLAMA_FACTORY),
    "trl": (trl.write_messages, trl.write_preferences, trl.write_labelled),
    "trl-prompt-completion": (trl.write_prompt_completion, trl.write_preferences, trl.write_labelled),
    "axolotl": (axolotl.write_sft, axolotl.write_dpo, axolotl.write_kto),
}
"""What writes conversations, pairs and labelled answers, by format."""


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
