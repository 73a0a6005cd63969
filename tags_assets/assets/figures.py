"""Which of an asset's numbers the UI plots over time, and what they are called there.

Dagster draws a plot for every number of a materialization. The few that a person follows from version to
version get a name and a unit; the others stand together in one table below them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from tags_assets.assets.previews import as_metadata, table

if TYPE_CHECKING:
    from collections.abc import Mapping

PLOTTED: Mapping[str, Mapping[str, str]] = {
    "raw_instances": {
        "rows_in": "rows in",
        "rows_kept": "rows kept",
        "rows_duplicate": "rows that are duplicates",
        "rows_rejected": "lines rejected",
        "files": "files",
    },
    "rejected_rows": {"rows_rejected": "lines rejected"},
    "filtered_rows": {"rows_filtered": "rows taken out", "rows_with_pii": "rows with personal data"},
    "instance_embeddings": {
        "cosine_to_teacher": "student's cosine to the model",
        "n_teacher": "rows read by the model",
        "n_student": "rows read by the student",
    },
    "atomic_tags": {
        "rows_tagged": "rows tagged",
        "rows_failed": "rows that failed",
        "tags_per_row": "tags a row",
        "distinct_tags": "distinct tags",
        "cost": "cost",
    },
    "quality_judgements": {
        "rows_judged": "rows judged",
        "rows_failed": "rows that failed",
        "cost": "cost",
    },
    "tag_vocabulary": {"tags": "canonical tags", "written_forms": "written forms"},
    "tag_embeddings": {"tags": "canonical tags"},
    "instance_tags": {
        "rows_untagged": "rows without a tag",
        "tags_per_row": "tags a row",
        "drift": "drift since tags were placed (share)",
    },
    "knowledge_tree": {
        "nodes": "nodes",
        "leaves": "leaves",
        "tags": "tags",
        "tags_attached": "tags attached since the build",
        "drift": "drift since the build (share)",
    },
    "grounded_instances": {"rows_grounded": "rows on the tree", "leaves_per_row": "leaves a row"},
    "instance_scores": {"mean_quality": "mean quality (0 to 1)", "rows_eligible": "rows to choose from"},
    "target_distribution": {"kl_from_pool": "KL from target to pool (nats)"},
    "selected_subset": {
        "rows_selected": "rows selected",
        "tokens_selected": "tokens selected",
        "kl": "KL from target to selection (nats)",
        "kl_floor": "the least KL of this size (nats)",
        "certificate": "certificate (share of the bound)",
        "mean_quality": "mean quality (0 to 1)",
        "value": "value (objective's unit)",
        "rows_added": "rows that came",
        "rows_dropped": "rows that left",
    },
    "selection_attribution": {
        "share_of_gain": "information gain (share of the value)",
        "share_of_closeness": "closeness (share of the value)",
        "share_of_coverage": "coverage (share of the value)",
        "share_of_text": "whole text (share of the value)",
    },
    "selection_report": {"html_bytes": "size (bytes)"},
    "exported_subset": {"files": "files", "bytes": "size (bytes)"},
}
"""Asset -> figure -> what its plot is called."""


def figures_shown(asset: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Make of a version's figures what Dagster shows: numbers to plot by name, then the rest in one table."""
    names = PLOTTED.get(asset, {})
    shown: dict[str, Any] = {}
    for name, label in names.items():
        figure = figures.get(name)
        if isinstance(figure, float):
            shown[label] = float(f"{figure:.6g}")
        elif isinstance(figure, int):
            shown[label] = figure
    rest = {name: figure for name, figure in figures.items() if name not in names and _says(figure)}
    further = {name: figure for name, figure in rest.items() if not isinstance(figure, dict | list)}
    if further:
        rows = pl.DataFrame({"figure": _words(further), "is": [_written(one) for one in further.values()]})
        shown["further figures"] = as_metadata(table(rows, len(rows)))
    for name in rest.keys() - further.keys():
        shown[name.replace("_", " ")] = dg.MetadataValue.json(rest[name])
    return shown


def _says(figure: object) -> bool:
    return figure is not None and figure not in ([], {}, "")


def _words(figures: Mapping[str, Any]) -> list[str]:
    return [name.replace("_", " ") for name in figures]


def _written(figure: object) -> str:
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    if isinstance(figure, int):
        return f"{figure:,}"
    return f"{figure:.5g}" if isinstance(figure, float) else str(figure)
