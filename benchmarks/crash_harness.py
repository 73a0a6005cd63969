"""Does a run that is killed at any moment leave anything half, and does the next end as if nothing had been?

    python benchmarks/crash_harness.py                  # 60 kills over the sample pool, then the other faults
    python benchmarks/crash_harness.py --kills 200 --seed 7 --json out.json
    python benchmarks/crash_harness.py --aimed 3        # each asset three times while it is being made
    python benchmarks/crash_harness.py --faults-only    # full disk, read-only, corrupt, too little memory

Each kill is SIGKILL to a process that runs the whole graph, forked from one that has imported everything, at
a random moment: some seconds after it began, or a moment after it began to make its next artifacts. An aimed
kill comes within the time that making the asset took in the unbroken run, counted from the event that says
its making has begun; it is a hit if its artifact was not yet there when the process was dead.

After each kill the home is looked at with fresh eyes: every artifact is compared with its checksum and with
that of an unbroken run, every view of the warehouse is counted. A home is run again until it is finished;
then all its tables are compared, row for row and in their order (by checksum), with those of the unbroken
run, and the exported files with the checksums that their table holds.

The full disk and the read-only folder are a small tmpfs that root can mount; without root they are left out
and that is said.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tags_assets.store.health import home_health
from tags_assets.store.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

CONTEXT = multiprocessing.get_context("forkserver")
TARGET = "grade_school_math"
# The report says when it was made, and the home's Dagster run its own ids: not compared.
NOT_COMPARED = {"selection_report"}


class Teller:
    """Watches the progress in the child and tells the parent which artifact is being made."""

    def __init__(self, send):
        self.send, self.last = send, None

    def step(self, task, _done, _total):
        if task != self.last:
            self.last = task
            self.send.send(task)


def run(home, send, limit=None, file_limit=None):
    """In the child: one whole run; how it ended goes to the parent."""
    import warnings

    warnings.simplefilter("ignore")
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    os.dup2(sys.stderr.fileno(), 2)
    os.chdir(ROOT)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if file_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    from tags_assets.errors import UserError
    from tags_assets.graph.runner import run_target
    from tags_assets.settings.home import Home, TargetEntry

    try:
        home = Home.resolve(home).prepare()
        home.save_pool(
            "default", home.pool("default").model_copy(update={"paths": [str(ROOT / "sample/pool")]})
        )
        home.name_target(TARGET, TargetEntry(file=str(ROOT / f"targets/{TARGET}.yaml"), budget="10%"))
        runs = run_target(home, TARGET, Teller(send))
        send.send(("ended", [one.status for one in runs]))
    except UserError as error:
        send.send(("failed", str(error)))
    except BaseException as error:  # noqa: BLE001 - the parent tells a clear line from any other end
        send.send(("broke", f"{type(error).__name__}: {error}"))


def start(home, **limits):
    receive, send = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=run, args=(str(home), send), kwargs=limits, daemon=True)
    process.start()
    send.close()
    return process, receive


def finish(home, **limits):
    """Run to the end; what the child said last."""
    process, receive = start(home, **limits)
    last = ("died", "")
    try:
        while True:
            said = receive.recv()
            if isinstance(said, tuple):
                last = said
    except (EOFError, OSError):
        pass
    process.join()
    return last


def run_and_kill(home, chance):
    """Start a run and kill it; returns what it was making, or how it ended if it was faster."""
    process, receive = start(home)
    making, ended = "start", None
    new_artifacts = chance.choice([0, 0, 1, 1, 2, 4])
    deadline = time.monotonic() + (chance.uniform(0.2, 12.0) if new_artifacts == 0 else 60.0)
    seen = 0
    while ended is None and time.monotonic() < deadline:
        try:
            if not receive.poll(max(min(deadline - time.monotonic(), 1.0), 0.0)):
                continue
            said = receive.recv()
        except (EOFError, OSError):
            break
        if isinstance(said, tuple):
            ended = said
            continue
        making = said
        seen += 1
        if new_artifacts and seen == new_artifacts:
            # From the first instant of the work to the writing, publishing and telling Dagster at its end.
            deadline = time.monotonic() + chance.choice([0.0, 0.02, 0.1, 0.5, 1.5]) * chance.random()
    process.kill()
    process.join()
    return making.split(" [")[0], ended


def tables(store):
    """Checksums of all tables of all current versions, by asset and table."""
    return {
        (asset, name): (version.data_version, table.rows, table.checksum)
        for (asset, _), version in store.snapshot().items()
        if asset not in NOT_COMPARED
        for name, table in version.tables.items()
    }


def look(home, unbroken):
    """Look at a home after a kill; returns what is wrong with it, and how many versions there are."""
    from tags_assets.store.artifacts import ArtifactStore

    store = ArtifactStore(home)
    wrong = list(home_health(store, deep=True).damaged)
    for key, found in tables(store).items():
        if unbroken.get(key) not in {None, found}:
            wrong.append(f"{key} differs from the unbroken run")
    if (home / "artifacts").exists():
        with Warehouse(store).open() as warehouse:
            views = warehouse.sql("select view_name from duckdb_views() where not internal").fetchall()
            for (view,) in views:
                try:
                    warehouse.sql(f'select count(*) from "{view}"').fetchall()
                except Exception as error:  # noqa: BLE001 - whatever it is, it is wrong
                    wrong.append(f"{view}: {error}")
    count = sum(size.versions for size in home_health(store).assets.values())
    store.close()
    return wrong, count


def unmake(home, reference, chance):
    """Lay out a home in which the unbroken run had come to a random asset: late ones are killed too."""
    made = sorted((reference / "artifacts").glob("*/*/*.duckdb"), key=lambda path: path.stat().st_mtime)
    order = list(dict.fromkeys(path.parts[-3] for path in made))
    kept = chance.randrange(len(order) + 1)
    shutil.copytree(reference, home)
    for asset in order[kept:]:
        shutil.rmtree(home / "artifacts" / asset)


def kill_often(folder, kills, chance, unbroken):
    where, wrong, finished, done = collections.Counter(), [], 0, 0
    while done < kills:
        home = folder / f"home-{finished}"
        if finished:  # the first begins with nothing
            unmake(home, folder / "reference", chance)
        for _ in range(5):
            making, ended = run_and_kill(home, chance)
            done += 1
            where[making if ended is None else "after its end"] += 1
            if ended is not None and ended[0] != "ended":
                wrong.append(f"a run after a kill {ended[0]}: {ended[1]}")
            wrong += look(home, unbroken)[0]
        last = finish(home)
        if last[0] != "ended":
            wrong.append(f"the last run {last[0]}: {last[1]}")
        wrong += compare(home, unbroken)
        finished += 1
        shutil.rmtree(home)
    return {"kills": done, "homes": finished, "killed_while": dict(where.most_common()), "wrong": wrong}


def make_order(reference):
    """Assets in the order in which the unbroken run made them, and the seconds that each took."""
    from tags_assets.store.artifacts import ArtifactStore

    store = ArtifactStore(reference)
    versions = sorted(store.snapshot().values(), key=lambda version: version.created_at)
    store.close()
    return {version.asset: version.metadata["seconds"] for version in versions}


def kill_in(home, asset, wait):
    """Start a run and kill it so many seconds after it began with an asset; returns what it did last."""
    process, receive = start(home)
    last, deadline = "start", time.monotonic() + 120.0
    try:
        while last != asset and receive.poll(max(deadline - time.monotonic(), 0.0)):
            said = receive.recv()
            last = said if isinstance(said, tuple) else said.split(" [")[0]
            if isinstance(said, tuple):
                break
    except (EOFError, OSError):
        pass
    time.sleep(wait)
    process.kill()
    process.join()
    try:
        while receive.poll(0):
            said = receive.recv()
            last = said if isinstance(said, tuple) else said.split(" [")[0]
    except (EOFError, OSError):
        pass
    return last


def kill_aimed(folder, times, chance, unbroken, only):
    """Kill in the middle of each asset so many times; after that its home is finished and compared."""
    seconds, wrong = make_order(folder / "reference"), []
    order, tally = list(seconds), {}
    for number, asset in enumerate(order):
        if only and asset not in only:
            continue
        home, where = folder / f"aimed-{asset}", collections.Counter()
        shutil.copytree(folder / "reference", home)
        while where["mid-make"] < times and sum(where.values()) < 20 * times:
            for later in order[number:]:
                shutil.rmtree(home / "artifacts" / later, ignore_errors=True)
            if "exported_subset" in order[number:]:
                shutil.rmtree(home / "exports", ignore_errors=True)
            # Reading, locking and writing around the work itself take some hundredths of a second; what the
            # unbroken run compiled for the first time is ready by now, hence the limit.
            last = kill_in(home, asset, chance.random() ** 2 * min(seconds[asset] + 0.1, 1.5))
            if isinstance(last, tuple):
                wrong.append(f"{asset}: the run {last[0]}: {last[1]}")
                where["it had ended"] += 1
            elif last != asset:
                where["before it" if last in {"start", *order[:number]} else "after it"] += 1
            else:
                made = any((home / "artifacts" / asset).glob("*/*.duckdb"))
                where["its artifact written, not yet told" if made else "mid-make"] += 1
            wrong += look(home, unbroken)[0]
        how, said = finish(home)
        if how != "ended":
            wrong.append(f"{asset}: the last run {how}: {said}")
        wrong += [f"after kills in {asset}: {line}" for line in compare(home, unbroken)]
        if where["mid-make"] < times:
            wrong.append(f"{asset} was hit {where['mid-make']} times only")
        tally[asset] = dict(where)
        print(asset, tally[asset], flush=True)
        shutil.rmtree(home)
    return {"kills": sum(sum(one.values()) for one in tally.values()), "where": tally, "wrong": wrong}


def compare(home, unbroken):
    """What differs from the unbroken run once a home is finished, and what was left lying about."""
    from tags_assets.store.artifacts import ArtifactStore

    store = ArtifactStore(home)
    found = tables(store)
    wrong = [
        f"{key}: {found.get(key)} instead of {value}"
        for key, value in unbroken.items()
        if found.get(key) != value
    ]
    exported = store.read("exported_subset", partition=TARGET)
    for name, checksum in exported.select("file", "sha256").iter_rows():
        if hashlib.sha256((home / name).read_bytes()).hexdigest() != checksum:
            wrong.append(f"{name}: not what exported_subset says")
    Warehouse(store).publish()
    left = [str(path) for path in (*store.layout.scratch.glob("*"), *store.layout.home_scratch.glob("*"))]
    store.close()
    return wrong + [f"left behind: {path}" for path in left]


def small_disk(folder, unbroken, sizes):
    """A home on a disk that is too small: a clear line each time; with more room, the same tables."""
    home, told = folder / "small", []
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={sizes[0]}k", "tmpfs", str(home)], check=True)
    wrong = []
    try:
        for size in sizes:
            subprocess.run(["mount", "-o", f"remount,size={size}k", str(home)], check=True)
            how, said = finish(home)
            told.append(f"{size} KB: {how}: {said if how != 'ended' else ''}".rstrip(": "))
            if how not in {"failed", "ended"}:
                wrong.append(told[-1])
        subprocess.run(["mount", "-o", "remount,ro,size=1g", str(home)], check=True)
        shutil.rmtree(folder / "copy", ignore_errors=True)
        how, said = finish(home)
        told.append(f"read-only: {how}: {said}")
        if how != "failed":
            wrong.append(told[-1])
        subprocess.run(["mount", "-o", "remount,rw,size=1g", str(home)], check=True)
        how, said = finish(home)
        if how != "ended":
            wrong.append(f"with room again: {how}: {said}")
        wrong += look(home, unbroken)[0] + compare(home, unbroken)
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)
    return {"told": told, "wrong": wrong}


def corrupt(folder, reference, unbroken, chance):
    """Every artifact damaged in turn by a few bytes: found by its checksum, made anew equal."""
    from tags_assets.store.artifacts import ArtifactStore

    home = folder / "corrupt"
    shutil.copytree(reference, home)
    files = sorted(home.glob("artifacts/*/*/*.duckdb"))
    for path in files:
        content = bytearray(path.read_bytes())
        at = chance.randrange(len(content) - 16)
        content[at : at + 16] = bytes(byte ^ 0xFF for byte in content[at : at + 16])
        path.write_bytes(content)
    store = ArtifactStore(home)
    damaged = home_health(store, deep=True).damaged
    store.close()
    wrong = [] if len(damaged) == len(files) else [f"{len(damaged)} of {len(files)} found"]
    how, said = finish(home)
    if how != "ended":
        wrong.append(f"after it: {how}: {said}")
    return {"artifacts_damaged": len(files), "found": len(damaged), "wrong": wrong + compare(home, unbroken)}


def little_memory(folder, unbroken, sizes):
    """Too little address space: whatever happens to that run, the next one ends as if nothing had been."""
    home, told, wrong = folder / "memory", [], []
    for size in sizes:
        how, said = finish(home, limit=size << 20)
        told.append(f"{size} MB: {how}: {said if how != 'ended' else ''}".rstrip(": ")[:200])
        wrong += look(home, unbroken)[0]
    how, said = finish(home)
    if how != "ended":
        wrong.append(f"with memory again: {how}: {said}")
    return {"told": told, "wrong": wrong + compare(home, unbroken)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--aimed", type=int, default=0, metavar="TIMES", help="only kills in every asset")
    parser.add_argument("--only", nargs="*", default=[], metavar="ASSET", help="of them, only in these")
    parser.add_argument("--faults-only", action="store_true")
    parser.add_argument("--kills-only", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ |= {"DAGSTER_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    CONTEXT.set_forkserver_preload(
        ["tags_assets.graph.definitions", "tags_assets.graph.runner", "tags_assets.method.selection.selector"]
    )
    chance = random.Random(options.seed)  # noqa: S311
    found = {}
    with tempfile.TemporaryDirectory(prefix="tags-assets-crashes-") as name:
        folder = Path(name)
        started = time.monotonic()
        how, said = finish(folder / "reference")
        if how != "ended":
            sys.exit(f"the unbroken run {how}: {said}")
        from tags_assets.store.artifacts import ArtifactStore

        unbroken = tables(ArtifactStore(folder / "reference"))
        print(f"unbroken run: {len(unbroken)} tables, {time.monotonic() - started:.0f} s", flush=True)
        if options.aimed:
            found["aimed"] = kill_aimed(folder, options.aimed, chance, unbroken, options.only)
            print(json.dumps(found["aimed"], indent=2), flush=True)
        elif not options.faults_only:
            found["kill -9"] = kill_often(folder, options.kills, chance, unbroken)
            print(json.dumps(found["kill -9"], indent=2), flush=True)
        if not options.kills_only and not options.aimed:
            if os.geteuid() == 0:
                found["full disk, read-only"] = small_disk(
                    folder, unbroken, (256, 1_500, 4_000, 8_000, 12_000)
                )
            else:
                print("not root: no small disk, no read-only folder", flush=True)
            found["corrupt artifacts"] = corrupt(folder, folder / "reference", unbroken, chance)
            found["little memory"] = little_memory(folder, unbroken, (2_000, 3_000, 4_000))
            print(json.dumps({key: value for key, value in found.items() if key != "kill -9"}, indent=2))
        print(f"{time.monotonic() - started:.0f} s in all")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))
    sys.exit(any(part["wrong"] for part in found.values()))


if __name__ == "__main__":
    main()
