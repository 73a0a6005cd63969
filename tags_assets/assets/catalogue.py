"""What each asset is: its group, grain and tables, said once for the UI and for the warehouse."""

from __future__ import annotations

from typing import Any

import polars as pl

from tags_assets.assets.checks import checks_of
from tags_assets.store.catalogue import AssetTables

Schema = dict[str, pl.DataType] | pl.Schema

OWNERS = ["team:data-selection"]

GRAINS: dict[str, tuple[str, str]] = {
    "landing": ("knowledge", "One row per file in the landing folder or named pool."),
    "raw_instances": ("knowledge", "One row per instance that could be read, in one normal form."),
    "rejected_rows": ("knowledge", "One row per line that could not be read, with the reason."),
    "filtered_rows": ("knowledge", "One row per instance that a rule of yours took out, with the rule."),
    "instance_embeddings": (
        "knowledge",
        "One row per kept instance: its vector (unit norm; 384 dimensions with MiniLM).",
    ),
    "atomic_tags": (
        "knowledge",
        "One row per kept instance and tag, as the tagger gave it; of origin `assigned`: carried over.",
    ),
    "tag_vocabulary": ("knowledge", "One row per canonical tag, with its aliases and the rows that hold it."),
    "tag_embeddings": (
        "knowledge",
        "One row per canonical tag: its vector (unit norm; 384 dimensions with MiniLM).",
    ),
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


TABLES: dict[str, AssetTables] = {}
"""The tables of every asset that was declared, for the warehouse's views over those not made yet."""


def declare(asset: str, schema: Schema | None = None, **auxiliary: Schema) -> dict[str, Any]:
    """Declare an asset and its tables; give the options that Dagster's decorators take.

    Parameters
    ----------
    asset
        Its name, a key of `GRAINS`.
    schema
        Of its ``data`` table; None where the asset is external.
    auxiliary
        Schemas of its further tables.
    """
    group, grain = GRAINS[asset]
    options: dict[str, Any] = {"group_name": group, "description": grain, "owners": OWNERS}
    if schema is None:
        return options | {"kinds": {"file"}}
    further = {name: pl.Schema(columns) for name, columns in auxiliary.items()}
    TABLES[asset] = AssetTables(grain, pl.Schema(schema), further)
    return options | {
        "kinds": {"duckdb", "polars"},
        "check_specs": [check.spec() for check in checks_of(asset)],
    }
