"""Automation: new data and edited targets lead to new selections."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from operator import or_
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from tags_assets.assets.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    AUTOMATION_CONDITION_TAG,
    DATA_VERSION_TAG,
)
from tags_assets.assets.partitions import targets as target_partitions
from tags_assets.assets.registry import last_target_assets, target_assets
from tags_assets.errors import UserError
from tags_assets.formats.pool_files import status_of
from tags_assets.settings.home import Home
from tags_assets.settings.pool import Landed, landed, landed_files
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets.store.fingerprint import canonical
from tags_assets.store.opening import open_store
from tags_assets.store.upstream import GROWN_FROM
from tags_assets.store.warehouse import Warehouse
from tags_assets.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from tags_assets.store.artifacts import ArtifactStore


Condition: TypeAlias = Any
"""A Dagster condition; its class and methods are not public types."""

WHOLE_TAG = "tags_assets/whole"
"""Tag of a run that makes for its targets all that follows from what it makes: nothing in it is followed."""


def cascade(*, of_target: bool = False, of_selection: bool = False) -> dg.AutomationCondition[dg.AssetKey]:
    """Build the condition under which an asset follows what it depends on.

    It asks for an asset once when data versions upstream have changed, when its code has, when it goes
    missing, and once more after a failure; a re-run upstream that gave the same version asks for nothing.
    The signal is held until the asset is requested, so that a change that arrives during a run is not lost.
    It is answered when that run is over: the assets of the pool are asked for together, and those of a target
    together, so that a change is followed by one run of each. (Asked for one by one while an earlier run is
    still at work on what comes after, the same assets would be run for the same change up to four times.)

    Parameters
    ----------
    of_target
        Whether the asset is partitioned by target. What it shares with all targets may have changed in a run
        that made the asset for one of them alone.
    of_selection
        Whether it is made from a selection. Whatever it reads of the pool the selection is made from too, so
        that it follows the selection alone: not the new rows, while the selection is still the old one.
    """
    condition = dg.AutomationCondition
    behind = _behind(of_target=of_target, of_selection=of_selection)
    failed = condition.execution_failed().newly_true()
    failed_before = failed.since(behind | condition.newly_updated()) & ~failed
    # A running asset has not failed, so the failure of a retry is new as well. What was requested after a
    # failure was the retry: it uses up the leave for one, until there are new data or a success.
    may_retry = (behind | condition.newly_updated() | condition.initial_evaluation()).since(
        condition.newly_requested() & failed_before
    )
    asked: Condition = (
        (
            _held(behind, condition.newly_requested())
            | condition.code_version_changed()
            | condition.missing().newly_true()
            | (failed & may_retry).with_label("failed for the first time")
        )
        & ~condition.any_deps_missing()
        & ~condition.any_deps_in_progress()
        & ~_waiting(of_target=of_target or of_selection)
    )
    labelled: dg.AutomationCondition[dg.AssetKey] = asked.with_label("follows its inputs")
    return labelled


def _waiting(*, of_target: bool) -> Condition:
    """Whether something else is to come first: a run that is at work, or new data for the pool's assets."""
    condition = dg.AutomationCondition
    pool_is_busy = _unfinished("instance_scores").with_label("the pool's assets are being made")
    if not of_target:
        return pool_is_busy | condition.in_progress()
    landed = condition.asset_matches("landing", condition.data_version_changed())
    unseen = _held(landed, condition.asset_matches("raw_instances", condition.newly_requested()))
    target_is_busy = reduce(or_, map(_unfinished, last_target_assets()))
    return (
        pool_is_busy
        | target_is_busy.with_label("the target's assets are being made")
        | unseen.with_label("the pool's assets take up the new data first")
    )


def _held(signal: Condition, answered: Condition) -> Condition:
    """Hold a signal until it was answered at the tick before; what comes at this very tick is new."""
    return signal.since((answered & ~signal) | dg.AutomationCondition.initial_evaluation())


def _unfinished(last: str) -> Condition:
    """Whether a run is on the way to an asset that comes last in it; to ask after all would take seconds."""
    return dg.AutomationCondition.asset_matches(last, dg.AutomationCondition.in_progress())


def _behind(*, of_target: bool, of_selection: bool) -> dg.AutomationCondition[Any]:
    """Whether what an asset is made from has changed since a tick ago, or is about to."""
    condition, label = dg.AutomationCondition, "new data upstream"
    # A run that makes several assets makes them from one another: what changed in it need not be followed.
    changed = condition.data_version_changed() & ~condition.executed_with_root_target()
    if of_target or of_selection:
        # Of a run for many targets Dagster takes that to be so for the last one only; our own runs say it.
        for tag in (WHOLE_TAG, AUTOMATION_CONDITION_TAG):
            changed &= ~condition.all_new_updates_have_run_tags(tag_keys={tag})
    alone = condition.any_deps_match(changed | condition.will_be_requested())
    targets = dg.AssetSelection.assets(*sorted(target_assets()))
    if of_selection:
        return alone.allow(targets).with_label(label)
    if not of_target:
        return alone.with_label(label)
    shared = condition.any_deps_match(condition.data_version_changed() | condition.will_be_requested())
    return (alone.allow(targets) | shared.ignore(targets)).with_label(label)


def landing_event(data: Landed) -> dg.AssetMaterialization:
    """Build the event that tells Dagster which data lies in the pool; no run stands behind it."""
    return dg.AssetMaterialization(
        "landing",
        metadata={"files": len(data.files), "versions": dg.MetadataValue.json(dict(data.files))},
        tags={DATA_VERSION_TAG: data.version},
    )


@dg.sensor(
    name="landing_sensor",
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches the pool's files and reports their version; dependent assets follow.",
)
def landing_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Report a new version of `landing` when the pool's files have changed and are whole.

    A file counts as complete when it stops changing. The sensor waits for a file that is new, or whose size
    or time differs from the previous tick.
    """
    home = Home.resolve().prepare()
    seen = _LandingCursor.read(context.cursor)
    try:
        files = {str(file): status_of(file) for file in landed_files(home)}
        changing = [name for name, status in files.items() if seen.files.get(name) != status]
        if changing and not _all_old(changing, files):
            context.update_cursor(_LandingCursor(seen.version, files).write())
            return dg.SkipReason(f"waiting for a file to stop changing: {listed(changing, 1)}")
        data = landed(home)
    except UserError as error:
        return dg.SkipReason(str(error))
    cursor = _LandingCursor(data.version, files).write()
    if data.version == seen.version:
        context.update_cursor(cursor)
        return dg.SkipReason(f"{len(data.files)} files, none new or changed")
    return dg.SensorResult(asset_events=[landing_event(data)], cursor=cursor)


SETTLED_S = 60.0
"""Seconds without a write after which a file counts as complete, even when first seen."""


def _all_old(names: Sequence[str], files: Mapping[str, tuple[int, ...]]) -> bool:
    return all(time.time() - files[name][1] / 1e9 >= SETTLED_S for name in names)


@dataclass(frozen=True)
class _LandingCursor:
    """State of the landing sensor at its previous tick: reported version, size and time of each file."""

    version: str | None
    files: Mapping[str, tuple[int, ...]]

    @classmethod
    def read(cls, text: str | None) -> _LandingCursor:
        read = json.loads(text or "{}")
        files = read.get("files", {})
        return cls(read.get("version"), {name: tuple(status) for name, status in files.items()})

    def write(self) -> str:
        return json.dumps({"version": self.version, "files": self.files}, sort_keys=True)


@dg.sensor(
    name="targets_sensor",
    target=sorted(target_assets()),
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Watches the target files (one partition each); selects for new and edited targets.",
)
def targets_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Keep the partitions equal to the targets and select for those that changed, many in one run."""
    home = Home.resolve().prepare()
    registry = TargetRegistry(home)
    try:
        versions = registry.fingerprints()
    except UserError as error:
        return dg.SkipReason(str(error))
    for problem in registry.problems():
        context.log.warning("not a target: %s", problem)
    seen = _TargetsCursor.read(context.cursor).seen or _selected_from(home, versions)
    context.update_cursor(_TargetsCursor(versions).write())
    before = context.instance.get_dynamic_partitions("targets")
    added, gone = sorted(set(versions) - set(before)), sorted(set(before) - set(versions))
    changed = {name for name, version in versions.items() if seen.get(name) != version}
    if not (added or gone or changed):
        return dg.SkipReason(f"{len(versions)} targets, none new or changed")
    for name in gone:
        _retire(home, name)
    partitions = [name for name in before if name in versions] + added
    requests: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if added:
        requests.append(target_partitions.build_add_request(added))
    if gone:
        requests.append(target_partitions.build_delete_request(gone))
    return dg.SensorResult(
        run_requests=[_select_for(names) for names in _stretches(partitions, changed)]
        if _has_scores(home)
        else [],
        dynamic_partitions_requests=requests,
    )


SESSION_VARIABLE = "TAGS_UI_SESSION"
"""Set by each start of `tags-assets ui`. A process id changes too often: the daemon replaces its code servers
every minute."""


def _session() -> str:
    return os.environ.get(SESSION_VARIABLE, "")


@dataclass(frozen=True)
class _TargetsCursor:
    """The targets as the sensor saw them a tick ago, in the same session of the UI.

    After a start the store says instead what was selected for: a run that a tick asked for may never have
    ended. Within a session an edit is asked for once, so that a target that cannot be selected for costs one
    attempt and not one a tick.
    """

    seen: Mapping[str, str] | None

    @classmethod
    def read(cls, text: str | None) -> _TargetsCursor:
        read = json.loads(text or "{}")
        return cls(read["seen"] if read.get("session") == _session() else None)

    def write(self) -> str:
        return json.dumps({"session": _session(), "seen": self.seen}, sort_keys=True)


def _stretches(partitions: Sequence[str], wanted: AbstractSet[str]) -> list[list[str]]:
    """Part the wanted partitions into stretches of neighbours, which is what one run can be asked for."""
    grouped = groupby(partitions, key=wanted.__contains__)
    return [list(names) for is_wanted, names in grouped if is_wanted]


def _select_for(names: Sequence[str]) -> dg.RunRequest:
    """Ask for one run that selects for all these targets, neighbours in the order of the partitions.

    There is no run key: a target that is edited and edited back is to be selected for again.
    """
    assets = [dg.AssetKey(asset) for asset in sorted(target_assets())]
    tags = {
        ASSET_PARTITION_RANGE_START_TAG: names[0],
        ASSET_PARTITION_RANGE_END_TAG: names[-1],
        WHOLE_TAG: "true",
    }
    return dg.RunRequest(tags=tags, asset_selection=assets)


def _has_scores(home: Home) -> bool:
    return open_store(home.path).current("instance_scores") is not None


def _retire(home: Home, name: str) -> None:
    """Take a target that is gone out of the warehouse; its past versions stay readable."""
    store = open_store(home.path)
    for asset in sorted(target_assets()):
        store.remove_partition(asset, name)
    Warehouse(store).publish()


def _selected_from(home: Home, versions: Mapping[str, str]) -> dict[str, str]:
    """List the targets whose current selection was made from what their file asks for now."""
    store, registry = open_store(home.path), TargetRegistry(home)
    return {name: version for name, version in versions.items() if _is_selected(store, registry, name)}


def _is_selected(store: ArtifactStore, registry: TargetRegistry, name: str) -> bool:
    selection = store.current("selected_subset", name)
    if selection is None:
        return False
    try:
        spec = registry.load(name)
        asked = registry.distribution_config(spec)
    except UserError:
        return False  # the asset says what is wrong
    distribution = store.find("target_distribution", selection.upstream["target_distribution"], name)
    if distribution is None:
        return False
    config = {field: value for field, value in selection.config.items() if field != GROWN_FROM}
    made_from = {field: distribution.config.get(field) for field in asked}
    return canonical([config, made_from]) == canonical([registry.selection_config(spec), asked])


@dg.schedule(
    name="daily_reselection",
    cron_schedule="0 3 * * *",
    target="*",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Re-selects every target at 03:00, for those who prefer a fixed time of day.",
)
def daily_reselection(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
    """Request everything for every target; what is up to date returns at once."""
    return [dg.RunRequest(partition_key=name) for name in context.instance.get_dynamic_partitions("targets")]


automation_sensor = dg.AutomationConditionSensorDefinition(
    "automation", target="*", default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=15
)
