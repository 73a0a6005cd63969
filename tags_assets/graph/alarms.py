"""Alarms: Dagster sensors that report failed runs and failed checks to Slack or another webhook."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Iterable

WEBHOOK_VARIABLE = "TAGS_ALARM_WEBHOOK"
"""Environment variable with the webhook's address. The address is a secret: never stored, never logged."""

_TIMEOUT_S = 10.0
_STATUS = (
    dg.DefaultSensorStatus.RUNNING if os.environ.get(WEBHOOK_VARIABLE) else dg.DefaultSensorStatus.STOPPED
)


@dg.run_failure_sensor(
    name="alarm_on_failed_run",
    default_status=_STATUS,
    description=f"Posts each failed run to the webhook in {WEBHOOK_VARIABLE}; off if it is not set.",
)
def alarm_on_failed_run(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    """Report a failed run, with the line that says how to fix it."""
    failures = context.get_step_failure_events()
    lines = [f"{event.step_key}: {_reason(event)}" for event in failures]
    return _alarm(
        context.dagster_run, "failed", lines or [context.failure_event.message or "no reason given"]
    )


@dg.run_status_sensor(
    name="alarm_on_failed_check",
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=_STATUS,
    description=f"Posts failed checks of successful runs to the webhook in {WEBHOOK_VARIABLE}.",
)
def alarm_on_failed_check(context: dg.RunStatusSensorContext) -> dg.SkipReason | None:
    """Report failed checks of a successful run."""
    records = context.instance.all_logs(
        context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )
    checks = [record.get_dagster_event().asset_check_evaluation_data for record in records]
    lines = [
        f"{check.asset_key.to_user_string()}: check {check.check_name}: {check.description}"
        for check in checks
        if not check.passed
    ]
    if not lines:
        return dg.SkipReason("every check passed")
    return _alarm(context.dagster_run, "succeeded, but checks failed", lines)


def _reason(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    error = data.error.cause if data.error and data.error.cause else data.error
    return error.message.strip().splitlines()[0] if error else "no reason given"


def _alarm(run: dg.DagsterRun, what: str, lines: Iterable[str]) -> dg.SkipReason | None:
    url = os.environ.get(WEBHOOK_VARIABLE)
    if not url:
        return dg.SkipReason(f"{WEBHOOK_VARIABLE} is not set")
    partition = run.tags.get("dagster/partition")
    # Dagster names the jobs that it makes itself: __ASSET_JOB, __anonymous_asset_job_<sensor>
    job = run.job_name.removeprefix("__anonymous_asset_job_").removeprefix("__")
    job = job.replace("ASSET_JOB", "assets")
    name = f"{job}[{partition}]" if partition else job
    problem = post(url, "\n".join([f"tags-assets: run {run.run_id[:8]} of {name} {what}", *lines]))
    # An alarm that cannot be sent must not become an error whose text shows the address.
    return None if problem is None else dg.SkipReason(f"the alarm could not be sent: {problem}")


def post(url: str, text: str) -> str | None:
    """Post ``{"text": ...}``, the form that Slack accepts; returns what went wrong, or None.

    Neither the result nor any error contains the address.
    """
    if not url.startswith(("https://", "http://")):
        return f"{WEBHOOK_VARIABLE} is not an http address"
    try:
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            url, data=json.dumps({"text": text}).encode(), headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 - as above
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"the webhook answered HTTP {error.code}"
    except (OSError, ValueError, HTTPException) as error:
        return f"{type(error).__name__}"
