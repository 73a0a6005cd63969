"""`tags-assets export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tags_assets.commands.console import err, out
from tags_assets.commands.options import HomeOption, TargetOption
from tags_assets.errors import InvalidInputError
from tags_assets.settings.home import Home
from tags_assets.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from tags_assets.store.artifacts import ArtifactStore


Reasoning = Literal["inline", "keep", "drop"]


def export(  # noqa: PLR0917 - each is an option
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    target: TargetOption = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            help="raw, parquet, llamafactory, llamafactory-alpaca, llamafactory-openai, trl, "
            "trl-prompt-completion or axolotl; may be repeated. [default: all]",
        ),
    ] = None,
    mixture: Annotated[
        list[str] | None,
        typer.Option(help="Export several targets as one mixture: `maths=0.7`, once per target."),
    ] = None,
    reasoning: Annotated[
        Reasoning,
        typer.Option(
            help="Where traces of reasoning go: `inline` into the text as `<think>`, `keep` into a field of "
            "their own where the trainer has one, `drop` nowhere."
        ),
    ] = "inline",
    home: HomeOption = None,
) -> None:
    """Write a selection in the formats that trainers load."""
    from tags_assets.formats.export import FORMATS
    from tags_assets.formats.export import export as write
    from tags_assets.selection.selected_targets import selected_target
    from tags_assets.store.opening import open_store

    store = open_store(Home.resolve(home).path)
    if mixture and target:
        raise InvalidInputError(
            "--target and --mixture exclude each other", fix="Name every target with --mixture."
        )
    if mixture:
        rows, name = _mixed(store, mixture), "mixture"
    else:
        name = selected_target(store, target)
        rows = _rows_of(store, name)
    # What the pool's settings keep of rows with pictures is in the selection on purpose.
    files = write(rows, folder, formats or list(FORMATS), name=name, reasoning=reasoning, attachments="keep")
    for file in files:
        size = "" if file.rows is None else f", {counted(file.rows, 'row')}"
        out.print(f"{file.format}: {file.path}{size}", markup=False)
        for note in file.notes:
            err.print(f"  note: {note}", markup=False, soft_wrap=True)


def _rows_of(store: ArtifactStore, target: str) -> pl.DataFrame:
    from tags_assets.selection.selected_rows import selected_rows

    made = store.require("selected_subset", None, target)
    return selected_rows(store, made, store.require("raw_instances", made.upstream["raw_instances"]))


def _mixed(store: ArtifactStore, mixture: Sequence[str]) -> pl.DataFrame:
    """Take the best rows of each target in proportion to its share; a row of several counts for the first."""
    import polars as pl

    from tags_assets.method.selection.mixture import mixture_sizes
    from tags_assets.selection.selected_targets import selected_target

    shares: dict[str, float] = {}
    for text in mixture:
        name, _, share = text.partition("=")
        try:
            shares[selected_target(store, name)] = float(share)
        except ValueError:
            raise InvalidInputError(
                f"{text!r} is not target=share", where="--mixture", fix="Write maths=0.7."
            ) from None
    parts = {name: _rows_of(store, name) for name in shares}
    sizes = mixture_sizes(shares, {name: len(rows) for name, rows in parts.items()})
    taken: list[pl.DataFrame] = []
    seen: set[str] = set()
    for name, rows in parts.items():
        fresh = rows.filter(~pl.col("instance_id").is_in(list(seen))).head(sizes[name])
        seen |= set(fresh["instance_id"].to_list())
        taken.append(fresh)
        err.print(f"{name}: {counted(len(fresh), 'row')}", markup=False)
    return pl.concat(taken)
