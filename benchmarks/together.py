"""A full run twice over, other targets, a notebook, the command line's reads and a pruning, all at once.

    python benchmarks/together.py
    python benchmarks/together.py --ui      # Dagster's webserver and daemon as well, and a backfill by them

Real processes on one home that holds a first selection, while a file is added to its pool: two of them want
the same new versions, one selects for two more targets, one keeps `warehouse.duckdb` open as a notebook does
and queries it, one opens it anew each time, one explains rows, one prunes all the time. Nobody may fail, no
query may see parts of two versions, and each version is made once.

With the UI, its daemon follows the added file too, a backfill of the two other targets is launched as the UI
does, and a process asks the webserver what a page asks, all the time.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tags_assets.store.health import home_health
from tags_assets.store.retention import prune_versions

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from crash_harness import CONTEXT, TARGET, finish  # noqa: E402 - the checkout comes first on the path


def quiet():
    import warnings

    warnings.simplefilter("ignore")
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    os.chdir(ROOT)


class Silent:
    def step(self, *_):
        pass


def select(home, targets, answers):
    """Runs for some targets, one after the other."""
    quiet()
    from tags_assets.graph.runner import run_target
    from tags_assets.settings.home import Home

    try:
        for target in targets:
            for one in run_target(Home.resolve(home), target, Silent()):
                answers.put(("run", one.asset, one.data_version, one.status))
        answers.put(("done", f"select {', '.join(targets)}", 1, []))
    except BaseException as error:  # noqa: BLE001 - told to the parent
        answers.put(("done", f"select {', '.join(targets)}", 0, [f"{type(error).__name__}: {error}"]))


def repeat(name, home, stop, answers):
    """Do something again and again until the runs are over; count, and keep what went wrong."""
    quiet()
    count, wrong = 0, []
    act = ACTIONS[name](home)
    while not stop.is_set() or count == 0:
        try:
            problem = act()
        except BaseException as error:  # noqa: BLE001 - told to the parent
            problem = f"{type(error).__name__}: {error}"
        if problem:
            wrong.append(problem)
        count += 1
        time.sleep(0.05)
    answers.put(("done", name, count, wrong))


# Every selected row is a row of the pool of the same publication, and ranks have no holes.
WHOLE = """
select count(*), count(r.instance_id), count(distinct s.target || s.rank), max(s.rank)
from selected_subset s left join raw_instances r using (instance_id) where s.target = ?
"""


def torn(connection):
    rows, found, distinct, last = connection.execute(WHOLE, [TARGET]).fetchone()
    return None if rows == found == distinct == last else f"torn: {rows}, {found}, {distinct}, {last}"


def notebook(home):
    import duckdb

    connection = duckdb.connect(str(home / "warehouse.duckdb"), read_only=True)
    return lambda: torn(connection)


def opened_anew(home):
    from tags_assets.store.warehouse import open_warehouse

    def act():
        with open_warehouse(home) as connection:
            return torn(connection)

    return act


def explain(home):
    from tags_assets.explanation.explainer import explain_row
    from tags_assets.store.artifacts import ArtifactStore

    store = ArtifactStore(home)
    row = store.read("selected_subset", partition=TARGET)["instance_id"][0]
    return lambda: None if explain_row(store, row, TARGET).row["instance_id"] == row else "another row"


def prune(home):
    from tags_assets.store.artifacts import ArtifactStore

    store = ArtifactStore(home)

    def act():
        prune_versions(store, 2, dry_run=False)

    return act


PAGE = """{
  assetNodes { assetKey { path } staleStatus assetMaterializations(limit: 1) { timestamp runId } }
  runsOrError(limit: 20) { __typename ... on Runs { results { runId status } } }
}"""
LAUNCH = """mutation($what: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $what) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATE = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  __typename ... on PartitionBackfill { status } } }"""


def ask(port, query, **variables):
    """Ask the webserver as its pages do."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - as above
        found = json.load(answer)
    if found.get("errors"):
        raise RuntimeError(str(found["errors"])[:300])
    return found["data"]


def pages(home):
    port = int((home / "port").read_text())

    def act():
        found = ask(port, PAGE)
        return None if len(found["assetNodes"]) == 18 else f"{len(found['assetNodes'])} assets"

    return act


def backfill(home, targets, answers):
    """Launch a backfill of the targets' assets and wait for its end."""
    quiet()
    from tags_assets.assets.registry import target_assets

    try:
        port = int((home / "port").read_text())
        what = {
            "assetSelection": [{"path": [name]} for name in sorted(target_assets())],
            "partitionNames": list(targets),
        }
        launched = ask(port, LAUNCH, what=what)["launchPartitionBackfill"]
        status = "REQUESTED"
        while status in {"REQUESTED", "CANCELING"}:
            time.sleep(2)
            status = ask(port, STATE, id=launched["backfillId"])["partitionBackfillOrError"]["status"]
        wrong = [] if status == "COMPLETED_SUCCESS" else [status]
    except BaseException as error:  # noqa: BLE001 - told to the parent
        wrong = [f"{type(error).__name__}: {error}"]
    answers.put(("done", f"select {', '.join(targets)} by a backfill", int(not wrong), wrong))


@contextlib.contextmanager
def user_interface(home, folder):
    """``tags-assets ui``: webserver and daemon on the home."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (home / "port").write_text(str(port))
    command = [sys.executable, "-m", "tags_assets", "ui", "--home", str(home), "--port", str(port)]
    with (folder / "ui.log").open("wb") as log:
        running = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=ROOT)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                ask(port, PAGE)
                break
            time.sleep(1)
        yield
    finally:
        os.killpg(running.pid, signal.SIGINT)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)


def made_more_than_once(home):
    """Versions that more than one run made, and failed runs, from Dagster's event log."""
    import dagster as dg
    from dagster._core.definitions.data_version import DATA_VERSION_TAG

    from tags_assets.graph.instance import open_instance
    from tags_assets.settings.home import Home

    made = collections.Counter()
    with open_instance(Home.resolve(home)) as instance:
        for key in instance.all_asset_keys():
            for record in instance.fetch_materializations(key, limit=1000).records:
                one = record.asset_materialization
                if "status" in one.metadata and one.metadata["status"].value == "ran":
                    made[key.to_user_string(), one.partition, one.tags.get(DATA_VERSION_TAG)] += 1
        runs = instance.get_runs()
        failed = [
            {"run": run.run_id, "tags": dict(run.tags), "why": why_failed(instance, run.run_id)}
            for run in runs
            if run.status == dg.DagsterRunStatus.FAILURE
        ]
    twice = [f"{asset} [{partition}] {version}" for (asset, partition, version), n in made.items() if n > 1]
    return twice, failed, len(runs)


def await_runs(home, seconds=180):
    """Let the runs that the daemon has begun come to their end, so that the end of this cuts none off."""
    import dagster as dg

    from tags_assets.graph.instance import open_instance
    from tags_assets.settings.home import Home

    status = dg.DagsterRunStatus
    under_way = dg.RunsFilter(statuses=[status.QUEUED, status.NOT_STARTED, status.STARTING, status.STARTED])
    with open_instance(Home.resolve(home)) as instance:
        for _ in range(seconds):
            if instance.get_runs_count(under_way) == 0:
                return
            time.sleep(1)


def why_failed(instance, run_id):
    """What the run's events say of its failure."""
    events = [record.dagster_event for record in instance.all_logs(run_id) if record.dagster_event]
    told = []
    for event in events:
        if event.is_failure or event.is_step_failure:
            error = getattr(event.event_specific_data, "error", None)
            told.append(f"{event.step_key or 'the run'}: {event.message} {error or ''}"[:2_000])
    return told


ACTIONS = {
    "notebook": notebook,
    "opened anew": opened_anew,
    "explain": explain,
    "prune": prune,
    "pages": pages,
}


OTHER = "python_programming"


def lay_out(folder):
    """A home with a first selection, then a file more in its pool, and two targets more."""
    from tags_assets.graph.instance import open_instance
    from tags_assets.settings.home import Home, TargetEntry

    home = folder / "home"
    how, said = finish(home)
    assert how == "ended", said
    place = Home.resolve(home)
    extra = folder / "extra.jsonl"
    shutil.copy(ROOT / "targets" / "grade_school_math.jsonl", extra)
    pool = place.pool()
    place.save_pool("default", pool.model_copy(update={"paths": [*pool.paths, str(extra)]}))
    place.name_target(OTHER, TargetEntry(file=str(ROOT / f"targets/{OTHER}.yaml"), budget="10%"))
    place.name_target("pool", TargetEntry(budget="10%"))
    with open_instance(place) as instance:
        instance.add_dynamic_partitions("targets", [OTHER, "pool"])
    return home


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ui", action="store_true", help="with Dagster's webserver, daemon and a backfill")
    options = parser.parse_args()
    os.environ |= {"DAGSTER_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    CONTEXT.set_forkserver_preload(
        ["tags_assets.graph.definitions", "tags_assets.graph.runner", "tags_assets.method.selection.selector"]
    )
    from tags_assets.store.artifacts import ArtifactStore

    with tempfile.TemporaryDirectory(prefix="tags-assets-together-") as name:
        folder = Path(name)
        home = lay_out(folder)
        answers, stop = CONTEXT.Queue(), CONTEXT.Event()
        around = contextlib.ExitStack()
        if options.ui:
            around.enter_context(user_interface(home, folder))
        started = time.monotonic()
        runs = [(select, (TARGET,)), (select, (TARGET,))]
        runs += [(backfill if options.ui else select, (OTHER, "pool"))]
        processes = [
            CONTEXT.Process(target=do, args=(home, names, answers), daemon=True) for do, names in runs
        ]
        processes += [
            CONTEXT.Process(target=repeat, args=(n, home, stop, answers), daemon=True)
            for n in ACTIONS
            if options.ui or n != "pages"
        ]
        for process in processes:
            process.start()
        made, done = collections.Counter(), {}
        while len(done) < len(processes):
            what, one, two, three = answers.get(timeout=600)
            if what == "run":
                made[one, two] += three == "ran"
                continue
            done[f"{one} ({len(done)})"] = {"times": two, "wrong": three[:5]}
            if sum(key.startswith("select") for key in done) == len(runs):
                stop.set()
        seconds = time.monotonic() - started
        await_runs(home)
        around.close()
        again, failed, n_runs = made_more_than_once(home)
        store = ArtifactStore(home)
        damaged = home_health(store, deep=True).damaged
        twice = (
            sorted(f"{asset} {version[:8]}" for (asset, version), times in made.items() if times > 1) + again
        )
        tally = {
            "seconds": round(seconds),
            "processes": done,
            "runs": n_runs,
            "failed_runs": failed,
            "versions_made": sum(times == 1 for times in made.values()),
            "made_twice": twice,
            "damaged": list(damaged),
            "versions_in_the_end": sum(size.versions for size in home_health(store).assets.values()),
        }
        print(json.dumps(tally, indent=2))
        sys.exit(bool(twice or damaged or failed or any(one["wrong"] for one in done.values())))


if __name__ == "__main__":
    main()
