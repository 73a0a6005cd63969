"""`tags-assets export`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tags_assets.commands.console import err, out
from tags_assets.errors import UserError
from tags_assets.formats.export import FORMATS, export
from tags_assets.method.selection.mixture import mixture_sizes
from tags_assets.selection.selected_rows import selected_rows
from tags_assets.selection.selected_targets import selected_target
from tags_assets.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tags_assets.settings.home import Home
    from tags_assets.store.artifacts import ArtifactStore


def run_export(
    home: Home, folder: Path, target: str | None, formats: Sequence[str], mixture: Sequence[str]
) -> None:
    """Write the current selection of a target, or several as one mixture."""
    store = open_store(home.path)
    if mixture and target:
        raise UserError("--target and --mixture exclude each other", fix="Name every target with --mixture.")
    if mixture:
        rows, name = _mixed(store, mixture), "mixture"
    else:
        name = selected_target(store, target)
        rows = _rows_of(store, name)
    for file in export(rows, folder, formats or list(FORMATS), name=name):
        size = "" if file.rows is None else f", {file.rows:,} rows"
        out.print(f"{file.format}: {file.path}{size}", markup=False)
        for note in file.notes:
            err.print(f"  note: {note}", markup=False, soft_wrap=True)


def _rows_of(store: ArtifactStore, target: str) -> pl.DataFrame:
    made = store.require("selected_subset", None, target)
    return selected_rows(store, made, store.require("raw_instances", made.upstream["raw_instances"]))


def _mixed(store: ArtifactStore, mixture: Sequence[str]) -> pl.DataFrame:
    """Take the best rows of each target in proportion to its share; a row in several counts for the first."""
    shares: dict[str, float] = {}
    for text in mixture:
        name, _, share = text.partition("=")
        try:
            shares[selected_target(store, name)] = float(share)
        except ValueError:
            raise UserError(
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
        err.print(f"{name}: {len(fresh):,} rows", markup=False)
    return pl.concat(taken)
