"""What a selection leaves in the user's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tags_assets import __version__
from tags_assets.errors import InvalidInputError
from tags_assets.explanation.reproduction import facts_for_manifest
from tags_assets.formats.export.mark import refuse_to_overwrite
from tags_assets.formats.export.raw import write_parquet, write_raw
from tags_assets.selection.inferred import shows_inferred, tags_of
from tags_assets.selection.notes import notes_of
from tags_assets.selection.selected_rows import selected_rows
from tags_assets.store.durable import write_whole
from tags_assets.store.mark import is_marked
from tags_assets.store.opening import open_store
from tags_assets.store.upstream import figures_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from tags_assets.graph.runner import AssetRun
    from tags_assets.settings.home import Home
    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion

TOP_TAGS = 5

MANIFEST = "manifest.json"
_FILES = ("subset.jsonl", "selection.parquet", "report.html", MANIFEST)


_HOMES_OWN = {"artifacts", "cache", "dagster", "exports", "pools", "quarantine", "runs"}
"""Folders of a home whose content is ours alone."""


def check_outputs(folder: Path) -> None:
    """Make sure that the folder may be written to: nothing of somebody else's, and no folder of a home, is.

    Raises
    ------
    UserError
        If a file of that name is there and no selection wrote it, or the folder is a part of a home.
    """
    if folder.exists() and not folder.is_dir():
        raise InvalidInputError("is not a folder", where=str(folder), fix="Name another with --out.")
    whole = folder.resolve()
    for home in filter(is_marked, whole.parents):
        if whole.relative_to(home).parts[0] in _HOMES_OWN:
            raise InvalidInputError(
                f"belongs to the home {home}",
                where=str(folder),
                fix="Name a folder outside of it with --out.",
            )
    if not _is_manifest(folder / MANIFEST):
        refuse_to_overwrite((folder / name for name in _FILES), "--out")


def _is_manifest(file: Path) -> bool:
    try:
        manifest = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(manifest, dict) and {"tags_assets", "target"} <= manifest.keys()


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
    check_outputs(folder)
    if not (folder / MANIFEST).exists():  # the mark of the folder, should this process be killed half-way
        begun = {"tags_assets": __version__, "target": target, "unfinished": True}
        write_whole(folder / MANIFEST, orjson.dumps(begun) + b"\n")
    write_raw(selected_rows(store, made, raw), folder / "subset.jsonl")
    attribution = store.require("selection_attribution", ours["selection_attribution"], target)
    write_parquet(_with_drivers(store, made, attribution), folder / "selection.parquet")
    report = store.read(
        "selection_report", partition=target, data_version=ours["selection_report"], columns=["html"]
    )
    write_whole(folder / "report.html", report["html"][0])
    manifest = _manifest(store, made, raw, target, runs) | facts_for_manifest(
        store, made, raw, folder / "subset.jsonl"
    )
    text = orjson.dumps(manifest, option=orjson.OPT_INDENT_2).decode()
    write_whole(folder / MANIFEST, text + "\n")
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
        "rows_hold": counts.get("traits", {}),
        "fields_not_used": counts.get("unused", {}),
        "rows_eligible": figures["n_eligible"],
        "rows_selected": figures["rows_selected"],
        "tokens_selected": figures["tokens_selected"],
        **{
            name: figures.get(name)
            for name in (
                "budget",
                "alignment",
                "breadth",
                "text_share",
                "kl",
                "kl_reverse",
                "kl_pool",
                "kl_random",
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
