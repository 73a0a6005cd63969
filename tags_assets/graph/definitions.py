"""The one Definitions object: it assembles, nothing else."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import TypeAlias

import dagster as dg

from tags_assets.assets.dagster_internals import CacheableAssetsDefinition
from tags_assets.assets.registry import declarations, modules, selection_assets, target_assets
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
    selection=dg.AssetSelection.assets(*sorted(target_assets())),
    description="Selects again for one target, with the existing knowledge tree and scores.",
    tags={WHOLE_TAG: "true"},
)


Asset: TypeAlias = dg.AssetsDefinition | dg.SourceAsset | CacheableAssetsDefinition | dg.AssetSpec


def fresh(asset: Asset, home: Home) -> Asset:
    """Put the pool's ``freshness_hours`` on an asset that has an age."""
    hours = _freshness_hours(home)
    if hours is None or not isinstance(asset, dg.AssetSpec | dg.AssetsDefinition):
        return asset
    if not declarations()[asset.key.to_user_string()].shows_age:
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


def _condition(asset: str) -> dg.AutomationCondition[dg.AssetKey]:
    of_selection = asset in selection_assets()
    return cascade(of_target=asset in target_assets() and not of_selection, of_selection=of_selection)


def graph_of(home: Home) -> dg.Definitions:
    """Assemble assets, jobs, sensors and resources."""
    assets: list[Asset] = []
    for name, module in modules().items():
        if declarations()[name].schema is None:  # nothing here makes it
            assets.append(getattr(module, name))
        else:
            assets += dg.load_assets_from_modules([module], automation_condition=_condition(name))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        # The page of each asset links to its code.
        linked = dg.with_source_code_references(assets)
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
