"""What each asset is: its group and its grain, said once for the UI and for the warehouse."""

from __future__ import annotations

from typing import Any

from tags_assets.checks import checks_of

OWNERS = ["team:data-selection"]

GRAINS: dict[str, tuple[str, str]] = {
    "landing": ("knowledge", "One row per file in the landing folder or named pool."),
    "raw_instances": ("knowledge", "One row per instance that could be read, in one normal form."),
    "rejected_rows": ("knowledge", "One row per line that could not be read, with the reason."),
    "filtered_rows": ("knowledge", "One row per instance that a rule of yours took out, with the rule."),
    "instance_embeddings": (
        "knowledge",
        "One row per kept instance: its vector (384 dimensions, unit norm).",
    ),
    "atomic_tags": ("knowledge", "One row per kept instance and tag, as the tagger gave it."),
    "tag_vocabulary": ("knowledge", "One row per canonical tag, with its aliases and the rows that hold it."),
    "tag_embeddings": ("knowledge", "One row per canonical tag: its vector (384 dimensions, unit norm)."),
    "instance_tags": (
        "knowledge",
        "One row per kept instance and canonical tag, with weight and origin; a row's weights add up to 1.",
    ),
    "knowledge_tree": ("knowledge", "One row per node of the knowledge tree; level 0 holds the leaves."),
    "grounded_instances": (
        "scoring",
        "One row per kept instance and leaf, with the mass there; the mass of a row adds up to 1.",
    ),
    "quality_judgements": ("scoring", "One row per kept instance that a judge rated; empty without a judge."),
    "instance_scores": ("scoring", "One row per kept instance: its quality and every term of it."),
    "target_distribution": ("sampling", "One row per leaf of the tree: what the target asks of it."),
    "selected_subset": ("sampling", "One row per selected instance, in the order of the picks."),
    "selection_attribution": (
        "sampling",
        "One row per selected instance, node and part: what it gave; a row's amounts add up to its gain.",
    ),
    "selection_report": ("sampling", "One row: the report (HTML) and its figures (JSON)."),
    "exported_subset": ("sampling", "One row per file written for trainers, with its checksum."),
}
"""Asset -> (group, what one row is)."""


def asset_options(asset: str, *, external: bool = False) -> dict[str, Any]:
    """Give the options that Dagster's decorators take: group, description, kinds, owners and checks."""
    group, grain = GRAINS[asset]
    options: dict[str, Any] = {"group_name": group, "description": grain, "owners": OWNERS}
    if external:
        return options | {"kinds": {"file"}}
    return options | {
        "kinds": {"duckdb", "polars"},
        "check_specs": [check.spec() for check in checks_of(asset)],
    }
