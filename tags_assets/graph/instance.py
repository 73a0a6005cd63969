"""The Dagster instance of a HOME: its settings, and opening it safely."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sqlite3
from contextlib import contextmanager, suppress
from textwrap import shorten
from typing import TYPE_CHECKING

import psutil

from tags_assets.errors import UserError, out_of_memory
from tags_assets.store.durable import disk_errors, open_databases_to_group, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dagster as dg

    from tags_assets.settings.home import Home

DAGSTER_YAML = """\
# Settings of the Dagster instance of this home. State lies beside this file. Safe to edit.
telemetry: {enabled: false}
nux: {enabled: false}
concurrency:
  runs: {max_concurrent_runs: 2}
run_monitoring: {enabled: true, start_timeout_seconds: 300, cancel_timeout_seconds: 120}
retention:
  sensor: {purge_after_days: {skipped: 1, success: 30, failure: 30}}
  schedule: {purge_after_days: {skipped: 1, success: 30, failure: 30}}
  auto_materialize: {purge_after_days: {skipped: 1, success: 30, failure: 30}}
"""
"""Default ``HOME/dagster/dagster.yaml``."""

WORKSPACE_YAML = """\
load_from:
  - python_module: {module_name: tags_assets.graph.definitions, location_name: tags_assets}
"""
"""Default ``HOME/dagster/workspace.yaml``: what the UI loads."""

_NEARLY_FULL = 1_000_000  # bytes; with less, SQLite cannot extend its log and reports an I/O error

PROCESS_TAG = "tags_assets/process"
"""Run tag with the process of a run that is executed in process."""


def prepare_dagster_home(home: Home) -> None:
    """Write default settings where none exist, and point Dagster at them."""
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    for name, text in (("dagster.yaml", DAGSTER_YAML), ("workspace.yaml", WORKSPACE_YAML)):
        file = home.dagster / name
        if not file.exists():
            write_whole(file, text)


def process_mark() -> str:
    """Return a name for this process that no later process can have."""
    me = psutil.Process()
    return f"{me.pid}@{me.create_time():.2f}"


@contextmanager
def open_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """Open the Dagster instance of HOME.

    The first opening creates the storage, which two processes at once would break, hence the lock. Runs whose
    process was killed are marked as failed, because they would block other runs forever.
    """
    prepare_dagster_home(home)
    with (home.dagster / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        instance = _load_instance(home)
        _fail_dead_runs(instance)
    try:
        open_databases_to_group(home.dagster)
        with instance, _without_disk_waits():
            yield instance
    finally:
        open_databases_to_group(home.dagster)


def _load_instance(home: Home) -> dg.DagsterInstance:
    """Load the instance for a run in this process, whose output stays in the terminal.

    To capture it, Dagster starts a ``tail`` and a watcher in the terminal's process group for each run; on
    Ctrl-C the watcher prints a traceback.
    """
    import yaml  # noqa: PLC0415 - `--help` must not wait for it
    from dagster import DagsterError, DagsterInstance  # noqa: PLC0415 - read the environment just set
    from dagster_shared.check import CheckError  # noqa: PLC0415

    from tags_assets.assets.dagster_internals import InstanceRef  # noqa: PLC0415

    # On Ctrl-C it logs a traceback of what it raises as well.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    settings = home.dagster / "dagster.yaml"
    no_capture = {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
    try:
        ref = InstanceRef.from_dir(str(home.dagster), overrides={"compute_logs": no_capture})
        return DagsterInstance.from_ref(ref)
    except (
        DagsterError,
        CheckError,
        yaml.YAMLError,
        AttributeError,  # Dagster looks into some of the values before it has checked them
        TypeError,
        ValueError,
    ) as error:
        raise UserError(
            f"Dagster's settings cannot be read: {shorten(str(error), 300)}",
            where=str(settings),
            fix="Correct the file, or delete it: the next run writes a new one.",
        ) from None


@contextmanager
def _without_disk_waits() -> Iterator[None]:
    """Let Dagster's storage wait for the disk at the end of a run, not after each event.

    Dagster opens and closes its SQLite files for every event of a run. SQLite then waits for the disk twice:
    at the commit, and when the last connection is closed. That is 1,200 times for a run that reuses all its
    versions; such a run takes 6.5 s instead of 10.8 s (medians of three on a busy two-core machine). A killed
    process loses nothing. After a power cut the last events of the run may be missing, but never an artifact.
    """
    from sqlalchemy import Engine, event  # noqa: PLC0415 - as above

    held: dict[str, sqlite3.Connection] = {}

    def connected(connection: sqlite3.Connection, _record: object) -> None:
        with suppress(sqlite3.Error):  # the statement that follows reports a broken file
            connection.execute("pragma synchronous = normal")
            file = connection.execute("pragma database_list").fetchone()[2]
            if file not in held:
                held[file] = sqlite3.connect(file, check_same_thread=False)
            # It counts as open only after a read in the current journal mode, which a new file changes.
            held[file].execute("select count(*) from sqlite_master").fetchone()

    event.listen(Engine, "connect", connected)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connected)
        for connection in held.values():
            connection.close()


@contextmanager
def storage_errors(home: Home) -> Iterator[None]:
    """Turn errors of Dagster's storage, the disk and the memory into one line each.

    Raises
    ------
    UserError
        With how to fix it. No result is lost: artifacts are not in Dagster's storage.
    """
    from sqlalchemy.exc import DatabaseError  # noqa: PLC0415 - Dagster's own; `--help` must not wait for it

    try:
        with disk_errors(home.path):
            yield
    except DatabaseError as error:
        reason = str(error.orig)
        free = shutil.disk_usage(home.path).free
        if "full" in reason or (free < _NEARLY_FULL and "I/O" in reason):
            raise UserError(
                f"the disk is full ({free / 1e6:.1f} MB free); no incomplete files were kept",
                where=str(home.path),
                fix="Free some space, then run again.",
            ) from error
        raise UserError(
            f"Dagster's storage cannot be used: {reason}",
            where=str(home.dagster),
            fix="Change its permissions, or move the folder away: it holds the history of runs, but no "
            "artifacts.",
        ) from error
    except MemoryError as error:
        raise out_of_memory("the run") from error


def _fail_dead_runs(instance: dg.DagsterInstance) -> None:
    import dagster as dg  # noqa: PLC0415

    going = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    for run in instance.get_runs(going):
        mark = run.tags.get(PROCESS_TAG)
        if mark and not _lives(mark):
            instance.report_run_failed(run, "The process of this run no longer exists.")


def _lives(mark: str) -> bool:
    pid, _, created = mark.partition("@")
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" == created
    except (psutil.NoSuchProcess, ValueError):
        return False
