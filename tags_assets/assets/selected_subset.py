"""`selected_subset` [target]: the rows to train on."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from tags_assets.assets import target_pages
from tags_assets.assets.catalogue import declare
from tags_assets.assets.partitions import targets
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.method.selection.alignment import SHORTAGE_SCHEMA
from tags_assets.method.selection.result import BEYOND_SCHEMA, FRONTIER_SCHEMA
from tags_assets.resources.run import RunResource
from tags_assets.selection.inputs import SelectionInputs
from tags_assets.selection.tables import (
    CODE_VERSION,
    LEFT_OUT_SCHEMA,
    LEVELS_SCHEMA,
    NODES_SCHEMA,
    RUNNERS_UP_SCHEMA,
    SCHEMA,
    select_target,
)
from tags_assets.settings.target_registry import TargetRegistry


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
    code_version=CODE_VERSION,
    **declare(
        "selected_subset",
        SCHEMA,
        frontier=FRONTIER_SCHEMA,
        beyond=BEYOND_SCHEMA,
        shortages=SHORTAGE_SCHEMA,
        runners_up=RUNNERS_UP_SCHEMA,
        left_out=LEFT_OUT_SCHEMA,
        nodes=NODES_SCHEMA,
        diversity=LEVELS_SCHEMA,
    ),
)
def selected_subset(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Pick rows by tree-level information gain, aligned with the target, under its budget and constraints."""

    def config(name: str) -> Mapping[str, Any]:
        return TargetRegistry.selection_config(run.record.target(name))

    def compute(inputs: Inputs, name: str) -> Artifact:
        spec = run.record.target(name)
        made = select_target(SelectionInputs.read(inputs, spec), name, progress=inputs.progress)
        return Artifact(made.tables, made.figures, target_pages.selected_subset(inputs, made, run.home))

    def grows(_inputs: Inputs, name: str) -> bool:
        return run.record.target(name).stability > 0

    return materialize(context, run, compute, config=config, grows=grows)
