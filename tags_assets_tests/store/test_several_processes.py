from __future__ import annotations

import multiprocessing
import random
import time

import pytest

from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.health import home_health
from tags_assets.store.warehouse import Warehouse, open_warehouse
from tags_assets_tests.store import processes

# Children are forked from a clean process that has imported all this: a start costs milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tags_assets_tests.store.processes"])


def start(function, *arguments):
    process = CONTEXT.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def finish(running):
    for process in running:
        process.join(timeout=120)
        assert process.exitcode == 0


def check(store, expected):
    """All that was acknowledged is there and whole, nothing else is visible, and the warehouse shows it."""
    found = {version.data_version: version for version in store.versions("tree")}
    assert expected.keys() <= found.keys()
    for name in found:
        assert processes.is_content(store.read("tree", data_version=name))
        store.inspect("tree", name, deep=True)
    with open_warehouse(store.home) as warehouse:
        each = "select data_version, count(*), count(distinct seed), min(seed) from tree_history group by 1"
        shown = {name: (rows, seeds, seed) for name, rows, seeds, seed in warehouse.sql(each).fetchall()}
        current = warehouse.sql("select count(*), count(distinct seed) from tree").fetchall()
    assert shown.keys() == found.keys()
    assert all(shown[name] == (processes.ROWS, 1, seed) for name, seed in expected.items())
    assert current == [(processes.ROWS, 1)]


@pytest.mark.parametrize(
    ("writers", "versions"), [(3, 2), pytest.param(4, 40, marks=pytest.mark.slow, id="many")]
)
def test_writers_publishers_and_readers_get_along_and_nothing_is_lost(tmp_path, writers, versions):
    home = tmp_path / "home"
    store = ArtifactStore(home)
    store.write("tree", "w9-0000", processes.content(9_000))
    store.write("subset", "w9-0000", processes.content(9_000), partition="t9")
    Warehouse(store).publish()
    written, answers, stop = CONTEXT.Queue(), CONTEXT.Queue(), CONTEXT.Event()
    reader = start(processes.read_until, home, stop, answers)
    running = [start(processes.write_versions, home, number, versions, written) for number in range(writers)]
    names = [written.get(timeout=120) for _ in range(writers * versions)]
    finish(running)
    stop.set()
    reads, torn = answers.get(timeout=120)
    finish([reader])
    assert torn == []
    assert reads > 0
    check(store, {name: int(name[1]) * 1_000 + int(name[3:]) for name in names})
    assert store.partitions("subset") == [f"t{number}" for number in range(writers)] + ["t9"]
    print(f"{writers} writers, {len(names)} versions of two assets, {reads} reads: none torn, none lost")  # noqa: T201


def test_processes_that_write_the_same_version_at_once_agree(tmp_path):
    home = tmp_path / "home"
    written, together = CONTEXT.Queue(), CONTEXT.Barrier(4)
    running = [start(processes.write_one_version, home, written, together) for _ in range(4)]
    answers = [written.get(timeout=120) for _ in running]
    finish(running)
    assert len(set(answers)) == 1
    assert answers[0][2]
    store = ArtifactStore(home)
    assert len(store.versions("tree")) == 1
    assert list(store.layout.scratch.iterdir()) == []


@pytest.mark.parametrize("times", [4, pytest.param(100, marks=pytest.mark.slow, id="many")])
def test_four_processes_publish_at_once(tmp_path, times):
    home = tmp_path / "home"
    store = ArtifactStore(home)
    seeds = {f"v{seed}": seed for seed in range(5)}
    for name, seed in seeds.items():
        store.write("tree", name, processes.content(seed))
        store.write("subset", name, processes.content(seed), partition="t0")
    Warehouse(store).publish()
    done, answers, stop = CONTEXT.Queue(), CONTEXT.Queue(), CONTEXT.Event()
    reader = start(processes.read_until, home, stop, answers)
    running = [start(processes.publish_often, home, times, done) for _ in range(4)]
    assert [done.get(timeout=240) for _ in running] == [times] * 4
    finish(running)
    stop.set()
    reads, torn = answers.get(timeout=120)
    finish([reader])
    assert torn == []
    check(store, seeds)
    print(f"4 publishers, {4 * times} publications, {reads} reads beside them: none torn")  # noqa: T201


@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=pytest.mark.slow, id="many")])
def test_kill_9_of_a_writer_loses_nothing_and_leaves_nothing_half(tmp_path, kills):
    home = tmp_path / "home"
    store = ArtifactStore(home)
    store.write("tree", "first", processes.content(1))
    chance = random.Random(kills)  # noqa: S311
    acknowledged = {"first": 1}
    litter = 0
    for worker in range(kills):
        receive, send = CONTEXT.Pipe(duplex=False)
        process = start(processes.write_for_ever, home, worker, send)
        send.close()
        acknowledged.update([receive.recv()])
        time.sleep(chance.uniform(0, 0.2))
        process.kill()
        process.join()
        try:
            while True:
                acknowledged.update([receive.recv()])
        except (EOFError, OSError):
            pass
        litter += len(home_health(store).abandoned)
        assert not store.layout.quarantine.exists()
        if worker % 10 == 9:
            check(store, acknowledged)
    check(store, acknowledged)
    store.write("tree", "last", processes.content(2))
    Warehouse(store).publish()
    assert list(store.layout.scratch.iterdir()) == list(store.layout.home_scratch.iterdir()) == []
    tally = (
        f"{kills} kills, {len(acknowledged)} versions acknowledged, none lost, {litter} half files collected"
    )
    print(tally)  # noqa: T201
