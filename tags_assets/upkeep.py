"""Frees old versions at a time of day, for those who ask for it: the schedule is off unless turned on."""

from datetime import timedelta

import dagster as dg

from tags_assets.errors import UserError
from tags_assets.home import Home
from tags_assets.housekeeping import rubbish, sweep
from tags_assets.resources.store import StoreResource


class Retention(dg.Config):
    """What `prune` takes on the command line.

    Attributes
    ----------
    keep_last
        Versions to keep of each asset and target, with all that they were made from.
    grace_minutes
        What is younger stays, whatever it is.
    unused_days
        Parsed files that no run has read for so long go too.
    dry_run
        Remove nothing; only say what would go.
    """

    keep_last: int = 5
    grace_minutes: float = 60.0
    unused_days: float = 30.0
    dry_run: bool = False


@dg.op(description="Frees old versions, their exports, and what killed processes left behind.")
def free_old_versions(context: dg.OpExecutionContext, config: Retention, store: StoreResource) -> None:
    """Remove what the rule lets go; what a process reads just now stays until the next time."""
    home, artifacts = Home.resolve(store.home), store.artifacts
    try:
        pruning = artifacts.prune(
            config.keep_last, dry_run=config.dry_run, grace=timedelta(minutes=config.grace_minutes)
        )
        going = {version.data_version for version in pruning.removed}
        waste = rubbish(home, artifacts, unused_days=config.unused_days, going=going)
        if not config.dry_run:
            sweep(waste)
    except UserError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    freed = pruning.freed_bytes + sum(one.file_bytes for one in waste)
    context.add_output_metadata(
        {
            "dry_run": config.dry_run,
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
