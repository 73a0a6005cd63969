"""`tags-assets reproduce`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tags_assets.commands.console import out
from tags_assets.commands.options import HomeOption
from tags_assets.errors import UserError
from tags_assets.settings.home import Home
from tags_assets.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from tags_assets.store.versions import ArtifactVersion


def reproduce(
    manifest: Annotated[Path, typer.Argument(help="The `manifest.json` of a selection, or its folder.")],
    home: HomeOption = None,
) -> None:
    """Make a selection again from the versions in its MANIFEST and compare it row for row."""
    warnings.simplefilter("ignore")  # Dagster's, about options of its own that it calls beta
    from tags_assets.assets.selected_subset import selected_subset
    from tags_assets.explanation.reproduction import Manifest
    from tags_assets.explanation.reproduction import reproduce as make_again
    from tags_assets.selection.inputs import SelectionInputs
    from tags_assets.selection.tables import select_target
    from tags_assets.settings.target_file import TargetSpec
    from tags_assets.store.opening import open_store
    from tags_assets.store.upstream import GROWN_FROM, Inputs

    store = open_store(Home.resolve(home).path)
    of = Manifest.read(manifest)
    key = selected_subset.key

    def select(
        inputs: Mapping[str, ArtifactVersion], target: str, request: Mapping[str, Any]
    ) -> Mapping[str, pl.DataFrame]:
        # What the target asks of each leaf is an input; the wish behind it is not read again.
        asked = {field: value for field, value in request.items() if field != GROWN_FROM}
        spec = TargetSpec.model_validate({"name": target, "target": "pool", **asked})
        base = None
        if GROWN_FROM in request:
            base = store.require("selected_subset", request[GROWN_FROM], target)
        read = Inputs(store, inputs, lambda *_: None, base=base)
        return select_target(SelectionInputs.read(read, spec), target).tables

    done = make_again(
        store,
        of,
        select,
        code_version=selected_subset.code_versions_by_key[key] or "",
        needed=sorted(dependency.to_user_string() for dependency in selected_subset.asset_deps[key]),
    )
    name = f"{of.target}@{of.data_version[:12]}"
    out.print(f"selection  {name}, made by tags-assets {of.tags_assets}", markup=False)
    out.print(f"made again {counted(done.rows, 'row')} from the same versions", markup=False)
    out.print(f"values     {_verdict(done.checksum, of.checksum)}", markup=False)
    out.print(f"subset     sha256 {_verdict(done.subset_sha256, of.subset_sha256)}", markup=False)
    stored = {None: "freed by retention; not compared", True: "equal", False: "DIFFERENT"}[done.stored]
    beside = {None: "not there; not compared", True: "equal", False: "DIFFERENT: edited since?"}[done.file]
    out.print(f"in store   {stored}", markup=False)
    out.print(f"on disk    {of.path.with_name('subset.jsonl')}: {beside}", markup=False)
    if not done.is_exact:
        raise UserError(
            "the reproduced selection differs",
            where=str(of.path),
            fix="Compare the versions of numpy, scipy and numba with those that made it.",
        )
    out.print("reproduced exactly", markup=False)


def _verdict(now: str, then: str) -> str:
    return f"{now[:16]} equal, row for row" if now == then else f"{now[:16]} DIFFERENT from {then[:16]}"
