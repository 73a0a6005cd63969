from __future__ import annotations

import dagster as dg
import duckdb
import polars as pl
import pytest
from dagster_duckdb import DuckDBResource

from tags_assets.resources.store import StoreResource
from tags_assets.store.fingerprint import fingerprint


@dg.asset
def made(store: StoreResource) -> dg.MaterializeResult:
    artifacts = store.artifacts
    data_version = fingerprint("made", None, "1", {}, {})
    version = artifacts.find("made", data_version)
    reused = version is not None
    if version is None:
        version = artifacts.write("made", data_version, pl.DataFrame({"x": [1, 2]}))
    artifacts.set_current(version)
    artifacts.publish()
    return dg.MaterializeResult(
        metadata={"dagster/row_count": version.rows, "reused": reused},
        data_version=dg.DataVersion(data_version),
    )


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def test_an_asset_writes_a_version_once_and_then_reuses_it(home, monkeypatch):
    monkeypatch.setenv("TAGS_HOME", str(home))
    reused = []
    for _ in range(2):
        result = dg.materialize([made], resources={"store": StoreResource(home=dg.EnvVar("TAGS_HOME"))})
        (materialization,) = result.asset_materializations_for_node("made")
        reused.append(materialization.metadata["reused"].value)
    assert reused == [False, True]
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as connection:
        assert connection.sql("from made").fetchall() == [(1,), (2,)]


def test_connections_come_from_dagsters_resource(home, monkeypatch):
    opened = []
    original = DuckDBResource.get_connection
    monkeypatch.setattr(
        DuckDBResource, "get_connection", lambda self: opened.append(self.database) or original(self)
    )
    store = StoreResource(home=str(home)).artifacts
    store.write("made", "v", pl.DataFrame({"x": [1]}))
    for _ in range(5):
        store.read("made")
    assert set(opened) == {":memory:"}
    assert len(opened) == 1  # an idle instance, to which nothing is attached, is used again


def test_one_home_has_one_store_in_a_process(home):
    first, second = (StoreResource(home=str(home)).artifacts for _ in range(2))
    assert first is second
    assert first is not StoreResource(home=str(home), memory_limit="2GB").artifacts


def test_no_file_is_held_open_between_reads_and_writes(home):
    store = StoreResource(home=str(home)).artifacts
    version = store.write("made", "v", pl.DataFrame({"x": [1]}))
    store.read("made")
    store.publish()
    for path in (version.path, store.layout.warehouse):
        duckdb.connect(path).close()  # read-write: only where nobody else has it
