"""The one Definitions object: it assembles, nothing else."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import TypeAlias

import dagster as dg

from tags_assets.assets import atomic_tags as _atomic_tags
from tags_assets.assets import exported_subset as _exported_subset
from tags_assets.assets import filtered_rows as _filtered_rows
from tags_assets.assets import grounded_instances as _grounded_instances
from tags_assets.assets import instance_embeddings as _instance_embeddings
from tags_assets.assets import instance_scores as _instance_scores
from tags_assets.assets import instance_tags as _instance_tags
from tags_assets.assets import knowledge_tree as _knowledge_tree
from tags_assets.assets import landing as _landing
from tags_assets.assets import quality_judgements as _quality_judgements
from tags_assets.assets import raw_instances as _raw_instances
from tags_assets.assets import rejected_rows as _rejected_rows
from tags_assets.assets import selected_subset as _selected_subset
from tags_assets.assets import selection_attribution as _selection_attribution
from tags_assets.assets import selection_report as _selection_report
from tags_assets.assets import tag_embeddings as _tag_embeddings
from tags_assets.assets import tag_vocabulary as _tag_vocabulary
from tags_assets.assets import target_distribution as _target_distribution
from tags_assets.assets.dagster_internals import CacheableAssetsDefinition
from tags_assets.assets.versioned import TARGET_ASSETS
from tags_assets.errors import UserError
from tags_assets.graph.alarms import alarm_on_failed_check, alarm_on_failed_run
from tags_assets.graph.automation import (
    WHOLE_TAG,
    automation_sensor,
    cascade,
    daily_reselection,
    landing_sensor,
    targets_sensor,
)
from tags_assets.graph.cost_estimate import dry_run
from tags_assets.graph.pruning import prune, weekly_pruning
from tags_assets.resources.run import run_resource
from tags_assets.settings.home import Home

ASSET_MODULES = (
    _raw_instances,
    _rejected_rows,
    _filtered_rows,
    _instance_embeddings,
    _atomic_tags,
    _quality_judgements,
    _tag_vocabulary,
    _tag_embeddings,
    _instance_tags,
    _knowledge_tree,
    _grounded_instances,
    _instance_scores,
    _target_distribution,
    _selected_subset,
    _selection_attribution,
    _selection_report,
    _exported_subset,
)

everything = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets("landing"),
    description="Reads the pool and selects for one target; reuses what is up to date.",
    tags={WHOLE_TAG: "true"},
)
read_pool = dg.define_asset_job(
    "read_pool",
    selection=dg.AssetSelection.assets("raw_instances", "rejected_rows", "filtered_rows"),
    description="Reads the pool only; calls no language model.",
)
one_target = dg.define_asset_job(
    "one_target",
    selection=dg.AssetSelection.assets(*sorted(TARGET_ASSETS)),
    description="Selects again for one target, with the existing knowledge tree and scores.",
    tags={WHOLE_TAG: "true"},
)


Asset: TypeAlias = dg.AssetsDefinition | dg.SourceAsset | CacheableAssetsDefinition | dg.AssetSpec

FRESH = frozenset({"landing", "selected_subset"})
"""Assets whose age the UI shows if the pool sets `freshness_hours`."""


def fresh(asset: Asset, home: Home) -> Asset:
    """Put the pool's ``freshness_hours`` on an asset that has an age."""
    hours = _freshness_hours(home)
    if hours is None or not isinstance(asset, dg.AssetSpec | dg.AssetsDefinition):
        return asset
    if asset.key.to_user_string() not in FRESH:
        return asset
    policy = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=hours))
    if isinstance(asset, dg.AssetSpec):
        return asset.replace_attributes(freshness_policy=policy)
    return asset.map_asset_specs(lambda spec: spec.replace_attributes(freshness_policy=policy))


def _freshness_hours(home: Home) -> float | None:
    try:
        return home.pool().freshness_hours
    except UserError:  # the sensors and the assets report invalid settings
        return None


@dg.definitions
def defs() -> dg.Definitions:
    """Assemble the graph of the home that the environment names."""
    return graph_of(Home.resolve())


def graph_of(home: Home) -> dg.Definitions:
    """Assemble assets, jobs, sensors and resources."""
    of_selection = [_selection_attribution, _selection_report, _exported_subset]
    of_target = [_target_distribution, _selected_subset]
    of_pool = [module for module in ASSET_MODULES if module not in (*of_selection, *of_target)]
    assets = [
        *dg.load_assets_from_modules(of_pool, automation_condition=cascade()),
        *dg.load_assets_from_modules(of_target, automation_condition=cascade(of_target=True)),
        *dg.load_assets_from_modules(of_selection, automation_condition=cascade(of_selection=True)),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        # The page of each asset links to its code.
        linked = dg.with_source_code_references([_landing.landing, *assets])
    return dg.Definitions(
        assets=[fresh(asset, home) for asset in linked],
        jobs=[everything, read_pool, one_target, dry_run, prune],
        sensors=[
            landing_sensor,
            targets_sensor,
            automation_sensor,
            alarm_on_failed_run,
            alarm_on_failed_check,
        ],
        schedules=[daily_reselection, weekly_pruning],
        executor=dg.in_process_executor,
        resources={
            "run": run_resource(home),
            # Nothing is handed over in files, whose folder a run's configuration could name.
            "io_manager": dg.mem_io_manager,
        },
    )
