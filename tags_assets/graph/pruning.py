"""The job that removes old versions, and its weekly schedule, which is off by default."""

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
        description="Versions to keep per asset and target, with everything they were made from.",
    ),
    "grace_minutes": dg.Field(float, default_value=60.0, description="Minutes to keep every new version."),
    "unused_days": dg.Field(
        float,
        default_value=30.0,
        description="Days after which unread parsed files are removed.",
    ),
    "dry_run": dg.Field(bool, default_value=False, description="Only report what would be removed."),
}


@dg.op(
    description="Removes old versions, their exports, and what killed processes left behind.",
    config_schema=_RETENTION,
)
def free_old_versions(context: dg.OpExecutionContext, run: RunResource) -> None:
    """Remove what the retention rule allows; what a process is reading stays until the next run."""
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


@dg.job(description="Removes old versions; keeps everything that the kept selections were made from.")
def prune() -> None:
    """Remove old versions."""
    free_old_versions()


weekly_pruning = dg.ScheduleDefinition(
    name="weekly_pruning",
    job=prune,
    cron_schedule="0 4 * * 0",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Removes old versions every Sunday at 04:00.",
)
