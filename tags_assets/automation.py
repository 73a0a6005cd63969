"""What runs without a hand: landed data and edited targets lead to new selections."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from tags_assets.assets.versioned import TARGET_ASSETS
from tags_assets.errors import UserError
from tags_assets.home import Home
from tags_assets.partitions import targets as target_partitions
from tags_assets.pool import Landed, landed
from tags_assets.store.opening import open_store
from tags_assets.target_registry import TargetRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEHIND = (
    dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
).with_label("new data upstream")


def cascade() -> dg.AutomationCondition[dg.AssetKey]:
    """Build the condition under which an asset follows what it depends on.

    It asks for an asset once when data versions upstream have changed, when its code has, when it goes
    missing, and once more after a failure; a re-run upstream that gave the same version asks for nothing.
    The signal is held until the asset is requested, so that a change that arrives during a run is not lost.
    """
    condition = dg.AutomationCondition
    return (
        (
            condition.any_deps_match(_BEHIND).since(
                condition.newly_requested() | condition.initial_evaluation()
            )
            | condition.code_version_changed()
            | condition.missing().newly_true()
            | condition.execution_failed().newly_true()
        )
        & ~condition.any_deps_missing()
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
    ).with_label("follows its inputs")


def landing_event(data: Landed) -> dg.AssetMaterialization:
    """Build the event that tells Dagster which data lies in the pool; no run stands behind it."""
    return dg.AssetMaterialization(
        "landing",
        metadata={"files": len(data.files), "versions": dg.MetadataValue.json(dict(data.files))},
        tags={DATA_VERSION_TAG: data.version},
    )


@dg.sensor(
    name="landing_sensor",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches the files of the pool and reports their version; what depends on them follows.",
)
def landing_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Report a new version of `landing` when the pool's files have changed."""
    home = Home.resolve().prepare()
    try:
        data = landed(home)
    except UserError as error:
        return dg.SkipReason(str(error))
    if data.version == context.cursor:
        return dg.SkipReason(f"{len(data.files)} files, none of them new or changed")
    return dg.SensorResult(asset_events=[landing_event(data)], cursor=data.version)


@dg.sensor(
    name="targets_sensor",
    target=["target_distribution"],
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches the target files: one partition each; asks for what was added or edited.",
)
def targets_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Keep the partitions equal to the targets and request the distribution of those that changed."""
    home = Home.resolve().prepare()
    registry = TargetRegistry(home)
    try:
        versions = registry.fingerprints()
    except UserError as error:
        return dg.SkipReason(str(error))
    seen = json.loads(context.cursor) if context.cursor else _selected_already(home, versions)
    present = set(context.instance.get_dynamic_partitions("targets"))
    added, gone = sorted(set(versions) - present), sorted(present - set(versions))
    changed = sorted(name for name, version in versions.items() if seen.get(name) != version)
    if not (added or gone or changed):
        return dg.SkipReason(f"{len(versions)} targets, none of them new or changed")
    for name in gone:
        _retire(home, name)
    requests = []
    if added:
        requests.append(target_partitions.build_add_request(added))
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"{name}:{versions[name]}", partition_key=name) for name in changed
        ],
        dynamic_partitions_requests=[
            *requests,
            *([target_partitions.build_delete_request(gone)] if gone else []),
        ],
        cursor=json.dumps(versions, sort_keys=True),
    )


def _retire(home: Home, name: str) -> None:
    """Take a target that is gone out of the warehouse; its past versions stay readable."""
    store = open_store(home.path)
    for asset in sorted(TARGET_ASSETS):
        store.remove_partition(asset, name)
    store.publish()


def _selected_already(home: Home, versions: Mapping[str, str]) -> dict[str, str]:
    """Take targets that have a selection as seen when the sensor starts: the command line made it."""
    store = open_store(home.path)
    return {name: version for name, version in versions.items() if store.current("selected_subset", name)}


@dg.schedule(
    name="daily_reselection",
    cron_schedule="0 3 * * *",
    target="*",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="For people who prefer a time of day: re-selects every target at 3 in the morning.",
)
def daily_reselection(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
    """Request everything for every target; what is up to date returns at once."""
    return [dg.RunRequest(partition_key=name) for name in context.instance.get_dynamic_partitions("targets")]


automation_sensor = dg.AutomationConditionSensorDefinition(
    "automation", target="*", default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=15
)
