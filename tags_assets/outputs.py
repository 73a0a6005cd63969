"""What a selection leaves in the user's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tags_assets import __version__
from tags_assets.errors import UserError
from tags_assets.formats.export.files import write_text
from tags_assets.formats.export.raw import write_parquet, write_raw
from tags_assets.home import replace_text
from tags_assets.reproduce import facts_for_manifest
from tags_assets.selected_rows import selected_rows
from tags_assets.selection.inferred import shows_inferred, tags_of
from tags_assets.selection.inputs import figures_of
from tags_assets.selection.notes import notes_of
from tags_assets.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from tags_assets.home import Home
    from tags_assets.runner import AssetRun
    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion

TOP_TAGS = 5


def write_outputs(home: Home, target: str, runs: Sequence[AssetRun], folder: Path) -> dict[str, Any]:
    """Write ``subset.jsonl``, ``selection.parquet``, ``report.html`` and ``manifest.json``, always in full.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    UserError
        Where the folder cannot be written.
    """
    store = open_store(home.path)
    # What this run made, not what is current: another run may have finished meanwhile.
    ours = {run.asset: run.data_version for run in runs}
    made = store.require("selected_subset", ours["selected_subset"], target)
    raw = store.require("raw_instances", made.upstream["raw_instances"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot be made: {error.strerror}", where=str(folder), mend="Name another with --out."
        ) from None
    write_raw(selected_rows(store, made, raw), folder / "subset.jsonl")
    attribution = store.require("selection_attribution", ours["selection_attribution"], target)
    write_parquet(_with_drivers(store, made, attribution), folder / "selection.parquet")
    report = store.read(
        "selection_report", partition=target, data_version=ours["selection_report"], columns=["html"]
    )
    write_text(folder / "report.html", report["html"][0])
    manifest = _manifest(store, made, raw, target, runs) | facts_for_manifest(
        store, made, raw, folder / "subset.jsonl"
    )
    text = orjson.dumps(manifest, option=orjson.OPT_INDENT_2).decode()
    replace_text(folder / "manifest.json", text + "\n")
    return manifest


def _with_drivers(store: ArtifactStore, made: ArtifactVersion, attribution: ArtifactVersion) -> pl.DataFrame:
    """Read the selection with, for each row, the concepts that gave most of its gain."""
    tree = store.require("knowledge_tree", made.upstream["knowledge_tree"])
    tags = tags_of(store, store.require("grounded_instances", made.upstream["grounded_instances"]))
    return store.query(
        "assets/selection_with_drivers",
        {
            "selected_subset": made,
            "selection_attribution": attribution,
            "knowledge_tree": tree,
            "instance_tags": tags,
        },
        {"top": TOP_TAGS, "inferred": shows_inferred(figures_of(tags)["rows"])},
    )


def _manifest(
    store: ArtifactStore, made: ArtifactVersion, raw: ArtifactVersion, target: str, runs: Sequence[AssetRun]
) -> dict[str, Any]:
    figures: Mapping[str, Any] = made.metadata["figures"]  # type: ignore[assignment]
    counts: Mapping[str, Any] = raw.metadata["figures"]  # type: ignore[assignment]
    asked = store.require("target_distribution", made.upstream["target_distribution"], target)
    wish: Mapping[str, Any] = asked.metadata["figures"]  # type: ignore[assignment]
    exported = next(
        (
            store.find("exported_subset", run.data_version, target)
            for run in runs
            if run.asset == "exported_subset"
        ),
        None,
    )
    return {
        "target": target,
        "tags_assets": __version__,
        **{name: counts[name] for name in ("rows_in", "rows_kept", "rows_rejected", "rows_duplicate")},
        "rows_eligible": figures["n_eligible"],
        "rows_selected": figures["rows_selected"],
        "tokens_selected": figures["tokens_selected"],
        **{
            name: figures[name]
            for name in (
                "budget",
                "alignment",
                "breadth",
                "text_share",
                "kl",
                "kl_reverse",
                "kl_pool",
                "kl_floor",
                "certificate",
            )
        },
        "messages": notes_of(figures, wish),
        "request": made.config,
        "exports": None if exported is None else exported.metadata["figures"]["folder"],  # type: ignore[index]
        "assets": {
            run.asset: {
                "data_version": run.data_version,
                "seconds": run.seconds,
                "peak_mb": run.peak_mb,
                "status": run.status,
            }
            for run in runs
        },
    }
