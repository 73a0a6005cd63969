"""Runs the graph in this process, against the same Dagster instance that the UI shows."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tags_assets.errors import UserError, out_of_memory, tells_of_no_memory
from tags_assets.graph.instance import (
    PROCESS_TAG,
    open_instance,
    prepare_dagster_home,
    process_mark,
    storage_errors,
)
from tags_assets.method.tagging.workers import started_ahead
from tags_assets.progress import watched_by
from tags_assets.settings.run_record import RunRecord, RunSettings
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets.store.opening import open_store
from tags_assets.store.shelf import DAMAGED, DamagedArtifactError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import dagster as dg
    from dagster_shared.error import SerializableErrorInfo

    from tags_assets.progress import Watcher
    from tags_assets.resources.run import Run
    from tags_assets.settings.home import Home


T = TypeVar("T")

_DAMAGED_AT_MOST = 3
"""Damaged versions that are rebuilt before the run gives up."""

_EVALUATED = "ASSET_CHECK_EVALUATION"


@dataclass(frozen=True)
class AssetRun:
    """Outcome of one asset in a run."""

    asset: str
    data_version: str
    status: str
    """``ran`` or ``reused``."""
    seconds: float
    peak_mb: float


def with_rebuild(work: Callable[[], T], warn: Callable[[str], None]) -> T:
    """Do some work, and repeat it if a version was damaged: reading it has moved it to quarantine."""
    for _ in range(_DAMAGED_AT_MOST):
        try:
            return work()
        except DamagedArtifactError as error:
            warn(str(error))
    return work()


def run_target(
    home: Home, target: str, watcher: Watcher, settings: RunSettings | None = None
) -> list[AssetRun]:
    """Materialize every asset for one target; existing versions are reused.

    Parameters
    ----------
    home
        The home of the run.
    target
        Name of the target, which is the partition.
    watcher
        Receives the progress.
    settings
        Settings of the run; those of the active pool if None. Later changes in the home have no effect.

    Returns
    -------
    list[AssetRun]
        One per asset, in the order of execution.

    Raises
    ------
    UserError
        The line with which an asset failed.
    """
    # The tagger's model is loaded in a process beside this one while Dagster is loaded in this.
    settings = settings or RunSettings.of_pool(home)
    with started_ahead() if _has_new_examples(home, target, settings) else nullcontext():
        return _run(home, settings, watcher, target)


def _has_new_examples(home: Home, target: str, settings: RunSettings) -> bool:
    """Whether new examples are all that needs tagging."""
    if settings.pool.tagger == "llm":
        return False
    store = open_store(home.path)
    if store.current("atomic_tags") is None:
        return False
    try:
        registry = TargetRegistry(home)
        examples = registry.examples(settings.targets.get(target) or registry.load(target))
    except UserError:
        return False  # the asset reports the error
    known = store.current("target_distribution", target)
    return bool(examples) and (known is None or known.config.get("examples") != examples)


def run_reading(home: Home, watcher: Watcher, settings: RunSettings) -> Run:
    """Read the pool only, in a run that the UI does not show, and return that run.

    Raises
    ------
    UserError
        The line with which an asset failed.
    """
    warnings.simplefilter("ignore")
    import dagster as dg  # noqa: PLC0415

    from tags_assets.graph.definitions import graph_of  # noqa: PLC0415
    from tags_assets.resources.run import Run  # noqa: PLC0415

    run_id = _recorded(home, settings)
    with storage_errors(home), dg.DagsterInstance.ephemeral() as instance, watched_by(watcher):
        job = graph_of(home).resolve_job_def("read_pool")
        _execute(job, instance, run_id, None)
    return Run(home, run_id)


def _run(home: Home, settings: RunSettings, watcher: Watcher, target: str) -> list[AssetRun]:
    warnings.simplefilter("ignore")
    prepare_dagster_home(home)
    from tags_assets.assets.partitions import targets  # noqa: PLC0415
    from tags_assets.graph.automation import landing_event  # noqa: PLC0415
    from tags_assets.graph.definitions import graph_of  # noqa: PLC0415
    from tags_assets.settings.pool import landed  # noqa: PLC0415

    data = landed(home, settings.pool)
    with storage_errors(home), open_instance(home) as instance, watched_by(watcher):
        if not instance.has_dynamic_partition(str(targets.name), target):
            instance.add_dynamic_partitions(str(targets.name), [target])
        _report_landing(instance, landing_event(data), data.version)
        job = graph_of(home).resolve_job_def("everything")
        result = _execute(job, instance, _recorded(home, settings), target)
        return [_asset_run(event) for event in result.all_events if event.is_step_materialization]


def _recorded(home: Home, settings: RunSettings) -> str:
    """Record the settings of a new run; returns its id."""
    from tags_assets.assets.dagster_internals import make_new_run_id  # noqa: PLC0415

    run_id = make_new_run_id()
    RunRecord.open(home, run_id, lambda: settings)
    return run_id


def _execute(
    job: dg.JobDefinition, instance: dg.DagsterInstance, run_id: str, target: str | None
) -> dg.ExecuteInProcessResult:
    """Run a job in this process.

    Raises
    ------
    UserError
        The line with which a step failed.
    """
    result = job.execute_in_process(
        instance=instance,
        run_id=run_id,
        partition_key=target,
        # Listed in full, so that a daemon knows that the run made these assets from each other.
        asset_selection=sorted(job.asset_layer.executable_asset_keys),
        raise_on_error=False,
        tags={PROCESS_TAG: process_mark()},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    for event in result.all_events:
        if event.is_step_failure:
            raise _blocked(result.all_events) if _is_blocked(event) else _failure(event)
        if event.is_failure and not result.success:
            raise UserError(f"the run failed: {event.message}", fix="Open the run in the UI: tags-assets ui.")
    return result


def _report_landing(instance: dg.DagsterInstance, event: dg.AssetMaterialization, version: str) -> None:
    from tags_assets.assets.dagster_internals import DATA_VERSION_TAG  # noqa: PLC0415

    last = instance.get_latest_materialization_event(event.asset_key)
    known = last.asset_materialization.tags if last and last.asset_materialization else None
    if not known or known.get(DATA_VERSION_TAG) != version:
        instance.report_runless_asset_event(event)


def _is_interruption(error: SerializableErrorInfo) -> bool:
    """Say whether Ctrl-C is behind an error: DuckDB raises one of its own when it is stopped in a query."""
    signs = ("DagsterExecutionInterruptedError", "Query interrupted", "INTERRUPT Error")
    texts = [error.cls_name or "", error.message]
    if error.cause is not None:
        texts += [error.cause.cls_name or "", error.cause.message]
    return any(sign in text for sign in signs for text in texts)


def _failure(event: dg.DagsterEvent) -> UserError:
    data = event.step_failure_data
    if data.error and _is_interruption(data.error):
        raise KeyboardInterrupt
    failure = data.user_failure_data
    if failure is not None and failure.description:
        damaged = failure.metadata.get(DAMAGED)
        kind = DamagedArtifactError if damaged is not None and damaged.value else UserError
        return kind(failure.description)
    if os.environ.get("TAGS_DEBUG"):
        sys.stderr.write(data.error_display_string)
    cause = data.error.cause if data.error and data.error.cause else data.error
    if cause is not None and tells_of_no_memory(cause.cls_name or "", cause.message):
        return out_of_memory(event.step_key or "the run")
    first = cause.message.strip().splitlines()[0] if cause else "unknown error"
    return UserError(
        f"{event.step_key} failed: {first}",
        fix="This is a bug in tags-assets. Set TAGS_DEBUG=1 for the traceback, and please report it.",
    )


def _is_blocked(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return error is not None and error.cls_name == "DagsterAssetCheckFailedError"


def _blocked(events: Sequence[dg.DagsterEvent]) -> UserError:
    """Build the error that names the checks that stopped the run, and their findings."""
    checks = [event.asset_check_evaluation_data for event in events if event.event_type_value == _EVALUATED]
    failed = [check for check in checks if not check.passed and check.severity.value == "ERROR"]
    lines = [
        f"{check.asset_key.to_user_string()}: check {check.check_name}: {check.description}"
        for check in failed
    ]
    return UserError(
        "stopped by a blocking check: " + "; ".join(lines),
        fix="The previous selection is unchanged. Fix the data, or change the limit: --limit NAME=VALUE.",
    )


def _asset_run(event: dg.DagsterEvent) -> AssetRun:
    from tags_assets.assets.dagster_internals import DATA_VERSION_TAG  # noqa: PLC0415

    materialization = event.step_materialization_data.materialization
    facts: dict[str, Any] = {name: value.value for name, value in materialization.metadata.items()}
    return AssetRun(
        asset=materialization.asset_key.to_user_string(),
        data_version=(materialization.tags or {}).get(DATA_VERSION_TAG, ""),
        status=str(facts["status"]),
        seconds=float(facts["seconds"]),
        peak_mb=float(facts["peak MB"]),
    )
