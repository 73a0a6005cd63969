"""What the processes of the tests with several processes do; imported by each of them."""

from __future__ import annotations

import random

import duckdb
import polars as pl

from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.versions import VersionRecord
from tags_assets.store.warehouse import Warehouse, open_warehouse

ROWS = 5_000


def content(seed):
    """The rows of a version: what they are follows from its number alone."""
    i = pl.int_range(ROWS, eager=True)
    return pl.DataFrame(
        {"i": i, "seed": pl.repeat(seed, ROWS, eager=True), "text": (i * seed).cast(pl.String)}
    )


def is_content(frame):
    return frame.equals(content(frame["seed"][0]))


def write_versions(home, worker, count, acknowledge):
    """Write versions and publish after each; acknowledge what was written when the store has said so."""
    store = ArtifactStore(home)
    for number in range(count):
        seed = worker * 1_000 + number
        name = f"w{worker}-{number:04}"
        pieces = (piece for piece in content(seed).iter_slices(ROWS // 5))
        store.write("tree", name, pieces, record=VersionRecord(config={"seed": seed}))
        store.write("subset", name, content(seed), partition=f"t{worker}")
        acknowledge.put(name)
        Warehouse(store).publish()


def write_one_version(home, acknowledge, start):
    store = ArtifactStore(home)
    store.current("warm")
    start.wait()
    version = store.write("tree", "same", content(7))
    acknowledge.put((version.created_at, version.file_digest, is_content(store.read("tree"))))


def publish_often(home, count, acknowledge):
    store = ArtifactStore(home)
    replaced = 0
    for _ in range(count):
        Warehouse(store).publish()
        replaced += 1
        version = random.choice(store.versions("tree"))  # noqa: S311
        store.set_current(version)
    acknowledge.put(replaced)


def read_until(home, stop, acknowledge):
    """Read the warehouse that was opened first, and a new one each time; every read must be whole."""
    reads = 0
    torn = []
    try:
        with duckdb.connect(ArtifactStore(home).layout.warehouse, read_only=True) as first:
            before = first.sql("select count(*), count(distinct seed) from tree").fetchall()
            while not stop.is_set():
                if first.sql("select count(*), count(distinct seed) from tree").fetchall() != before:
                    torn.append("the open warehouse changed")
                with open_warehouse(home) as warehouse:
                    rows, seeds = warehouse.sql("select count(*), count(distinct seed) from tree").fetchall()[
                        0
                    ]
                    if (rows, seeds) != (ROWS, 1):
                        torn.append(f"{rows} rows of {seeds} versions")
                    each = "select count(*) from subset_history group by data_version"
                    if any(count != (ROWS,) for count in warehouse.sql(each).fetchall()):
                        torn.append("a half version")
                reads += 1
    except Exception as error:  # noqa: BLE001 - any error at all is the test's failure
        torn.append(f"{type(error).__name__}: {error}")
    acknowledge.put((reads, torn))


def write_for_ever(home, worker, acknowledge):
    """Write, publish and make older versions current until killed."""
    store = ArtifactStore(home)
    for number in range(1_000_000):
        seed = worker * 1_000 + number
        version = store.write("tree", f"k{worker}-{number:05}", content(seed))
        acknowledge.send((version.data_version, seed))
        if number % 2:
            Warehouse(store).publish()
        if number % 5 == 4:
            store.set_current(random.choice(store.versions("tree")))  # noqa: S311


def lease_version(home, asset, name, ready, stop):
    store = ArtifactStore(home)
    with store.using([store.require(asset, name)]):
        ready.set()
        stop.wait()


def open_version(home, asset, name, ready, stop):
    """What a notebook does in the midst of a query."""
    path = ArtifactStore(home).require(asset, name).path
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"attach '{path}' as a (read_only)")
        ready.set()
        stop.wait()


def make_version(home, asset, name, ready, stop):
    with ArtifactStore(home).making(asset, name, waiting=lambda: None):
        ready.set()
        stop.wait()
