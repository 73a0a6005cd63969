"""`selected_subset` [target]: the rows to train on."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from tags_assets.assets.catalogue import declare
from tags_assets.assets.previews import markdown_table
from tags_assets.assets.selection_inputs import SelectionInputs
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.home import Home
from tags_assets.method.alignment import SHORTAGE_SCHEMA
from tags_assets.method.diversity import diversity
from tags_assets.method.selection import select
from tags_assets.method.selection_result import FRONTIER_SCHEMA
from tags_assets.partitions import targets
from tags_assets.resources.store import StoreResource
from tags_assets.target_registry import TargetRegistry

SCHEMA = pl.Schema(
    {
        "target": pl.String(),
        "instance_id": pl.String(),
        "id": pl.String(),
        "rank": pl.Int64(),
        "gain": pl.Float64(),
        "quality": pl.Float64(),
        "source": pl.String(),
        "language": pl.String(),
        "prompt_tokens": pl.Int32(),
        "response_tokens": pl.Int32(),
    }
)

RUNNERS_UP_SCHEMA = pl.Schema(
    {"instance_id": pl.String(), "gain": pl.Float64(), "beaten_by": pl.String(), "reason": pl.String()}
)


@dg.asset(
    deps=[
        "raw_instances",
        "knowledge_tree",
        "grounded_instances",
        "instance_scores",
        "target_distribution",
    ],
    partitions_def=targets,
    backfill_policy=dg.BackfillPolicy.single_run(),
    code_version="1",
    **declare(
        "selected_subset",
        SCHEMA,
        frontier=FRONTIER_SCHEMA,
        shortages=SHORTAGE_SCHEMA,
        runners_up=RUNNERS_UP_SCHEMA,
    ),
)
def selected_subset(context: dg.AssetExecutionContext, store: StoreResource) -> Materialized:
    """Pick rows by tree-level information gain, aligned with the target, under its budget and constraints."""
    registry = TargetRegistry(Home.resolve(store.home))

    def config(name: str) -> Mapping[str, Any]:
        spec = registry.load(name)
        return spec.model_dump(mode="json", exclude={"name", "path", "target"})

    def compute(inputs: Inputs, name: str) -> Artifact:
        problem = SelectionInputs.read(inputs, registry.load(name))
        result = select(
            problem.grounding,
            problem.tree,
            problem.quality,
            problem.target,
            problem.request,
            progress=inputs.progress,
        )
        rows = problem.rows[result.rows].with_columns(
            target=pl.lit(name), rank=pl.int_range(1, len(result.rows) + 1), gain=result.gains
        )
        ids = problem.rows["instance_id"]
        beaten_by = result.runners_up.beaten_by
        runners = pl.DataFrame(
            {
                "instance_id": ids.gather(result.runners_up.rows),
                "gain": result.runners_up.gains,
                "beaten_by": pl.select(
                    pl.when(pl.lit(pl.Series(beaten_by)) >= 0).then(
                        pl.lit(ids.gather(np.maximum(beaten_by, 0)))
                    )
                )[:, 0],
                "reason": result.runners_up.reasons,
            },
            schema=RUNNERS_UP_SCHEMA,
        )
        nodes = pl.DataFrame(
            {
                "node_id": list(problem.tree.node_ids),
                "selection_mass": problem.tree.ancestors.T @ result.leaf_mass,
                "pool_mass": problem.tree.ancestors.T @ problem.target.supply,
                "target_share": problem.tree.ancestors.T @ problem.target.mass,
                "quality_mass": result.node_mass,
                "capacity": result.node_capacity,
            }
        )
        figures = asdict(result.figures)
        figures["rows_selected"] = figures.pop("n_selected")
        variety = diversity(result.leaf_mass, problem.tree)
        variety_of_pool = diversity(problem.target.supply, problem.tree)
        return Artifact(
            {
                "data": rows.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items()),
                "frontier": result.frontier,
                "nodes": nodes,
                "shortages": result.shortages,
                "runners_up": runners,
                "diversity": _diversity_by_level(variety.levels, variety_of_pool.levels),
            },
            {
                **figures,
                "mean_quality": float(rows["quality"].to_numpy().mean()),
                "mean_quality_of_pool": float(problem.quality.mean()),
                "faith_pd_selection": variety.faith_pd,
                "faith_pd_pool": variety_of_pool.faith_pd,
                "rao_selection": variety.rao,
                "rao_pool": variety_of_pool.rao,
                "messages": list(result.messages),
            },
            {
                "first_picks": markdown_table(rows.select("rank", "id", "source", "gain", "quality"), 10),
                "in_short_supply": markdown_table(result.shortages, 10),
            },
        )

    return materialize(context, store.artifacts, compute, config=config)


def _diversity_by_level(selection: pl.DataFrame, pool: pl.DataFrame) -> pl.DataFrame:
    """Put the diversity of selection and pool side by side, one row per level."""
    return selection.select(
        "level",
        "nodes",
        covered_selection=pl.col("covered"),
        effective_selection=pl.col("hill_1"),
        covered_pool=pool["covered"],
        effective_pool=pool["hill_1"],
    )
