"""A full run twice over, other targets, a notebook, the command line's reads and a pruning, all at once.

    python benchmarks/together.py

Real processes on one home that holds a first selection, while a file is added to its pool: two of them want
the same new versions, one selects for two more targets, one keeps `warehouse.duckdb` open as a notebook does
and queries it, one opens it anew each time, one explains rows, one prunes all the time. Nobody may fail, no
query may see parts of two versions, and each version is made once.
"""

from __future__ import annotations

import collections
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

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
    from tags_assets.home import Home
    from tags_assets.runner import run_target

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
    from tags_assets.explanation import explain_row
    from tags_assets.store.artifacts import ArtifactStore

    store = ArtifactStore(home)
    row = store.read("selected_subset", partition=TARGET)["instance_id"][0]
    return lambda: None if explain_row(store, row, TARGET).row["instance_id"] == row else "another row"


def prune(home):
    from tags_assets.store.artifacts import ArtifactStore

    store = ArtifactStore(home)

    def act():
        store.prune(2, dry_run=False)

    return act


ACTIONS = {"notebook": notebook, "opened anew": opened_anew, "explain": explain, "prune": prune}


def main():
    os.environ |= {"DAGSTER_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    CONTEXT.set_forkserver_preload(
        ["tags_assets.definitions", "tags_assets.runner", "tags_assets.method.selection"]
    )
    from tags_assets.home import Home, TargetEntry
    from tags_assets.store.artifacts import ArtifactStore

    with tempfile.TemporaryDirectory(prefix="tags-assets-together-") as name:
        folder = Path(name)
        home = folder / "home"
        how, said = finish(home)
        assert how == "ended", said
        place = Home.resolve(home)
        extra = folder / "extra.jsonl"
        shutil.copy(ROOT / "targets" / "grade_school_math.jsonl", extra)
        pool = place.pool()
        place.save_pool("default", pool.model_copy(update={"paths": [*pool.paths, str(extra)]}))
        other = "python_programming"
        place.name_target(other, TargetEntry(file=str(ROOT / f"targets/{other}.yaml"), budget="10%"))
        place.name_target("pool", TargetEntry(budget="10%"))
        answers, stop = CONTEXT.Queue(), CONTEXT.Event()
        started = time.monotonic()
        runs = [(home, (TARGET,), answers), (home, (TARGET,), answers), (home, (other, "pool"), answers)]
        processes = [CONTEXT.Process(target=select, args=arguments, daemon=True) for arguments in runs]
        processes += [
            CONTEXT.Process(target=repeat, args=(n, home, stop, answers), daemon=True) for n in ACTIONS
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
        store = ArtifactStore(home)
        damaged = store.health(deep=True).damaged
        twice = sorted(f"{asset} {version[:8]}" for (asset, version), times in made.items() if times > 1)
        tally = {
            "seconds": round(seconds),
            "processes": done,
            "versions_made": sum(times == 1 for times in made.values()),
            "made_twice": twice,
            "damaged": list(damaged),
            "versions_in_the_end": sum(size.versions for size in store.health().assets.values()),
        }
        print(json.dumps(tally, indent=2))
        sys.exit(bool(twice or damaged or any(one["wrong"] for one in done.values())))


if __name__ == "__main__":
    main()
