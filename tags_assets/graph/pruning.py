"""Frees old versions at a time of day, for those who ask for it: the schedule is off unless turned on."""

from datetime import timedelta

import dagster as dg

from tags_assets.errors import UserError
from tags_assets.graph.leftovers import rubbish, sweep
from tags_assets.resources.run import RunResource
from tags_assets.store.retention import prune_versions

_RETENTION = {
    # Plain types: Dagster's own would read any environment variable that the caller names.
    "keep_last": dg.Field(
        int,
        default_value=5,
        description="Versions to keep of each asset and target, with all that they were made from.",
    ),
    "grace_minutes": dg.Field(float, default_value=60.0, description="Age up to which everything stays."),
    "unused_days": dg.Field(
        float, default_value=30.0, description="Age from which parsed files that no run has read are removed."
    ),
    "dry_run": dg.Field(
        bool, default_value=False, description="Remove nothing; only say what would be removed."
    ),
}


@dg.op(
    description="Frees old versions, their exports, and what killed processes left behind.",
    config_schema=_RETENTION,
)
def free_old_versions(context: dg.OpExecutionContext, run: RunResource) -> None:
    """Remove what the rule lets go; what a process reads just now stays until the next time."""
    keep_last, grace, unused_days, dry_run = (context.op_config[name] for name in _RETENTION)
    if keep_last < 1 or not (grace >= 0 and unused_days >= 0):
        raise dg.Failure(
            "keep_last must be at least 1, grace_minutes and unused_days at least 0", allow_retries=False
        )
    try:
        pruning = prune_versions(run.store, keep_last, dry_run=dry_run, grace=timedelta(minutes=grace))
        going = {version.data_version for version in pruning.removed}
        waste = rubbish(run.home, run.store, unused_days=unused_days, going=going)
        if not dry_run:
            sweep(waste)
    except UserError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    freed = pruning.freed_bytes + sum(one.file_bytes for one in waste)
    context.add_output_metadata(
        {
            "dry_run": dry_run,
            "versions_removed": len(pruning.removed),
            "versions_kept": len(pruning.kept),
            "versions_in_use": len(pruning.in_use),
            "other_things_removed": len(waste),
            "freed_mb": round(freed / 1e6, 1),
        }
    )


@dg.job(description="Frees old versions by a retention rule; what a kept selection was made from stays.")
def prune() -> None:
    """Free old versions."""
    free_old_versions()


weekly_pruning = dg.ScheduleDefinition(
    name="weekly_pruning",
    job=prune,
    cron_schedule="0 4 * * 0",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="For people who want old versions freed without a hand: Sundays at 4.",
)
