"""Whose a folder is: nothing is removed, moved or overwritten in one that is not a home."""

from __future__ import annotations

import os
from datetime import timedelta

import duckdb
import polars as pl
import pytest

from tags_assets.errors import UserError
from tags_assets.graph.leftovers import rubbish, sweep
from tags_assets.settings.home import Home
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.health import home_health
from tags_assets.store.mark import MARK, is_home, is_marked, mark_home, require_home
from tags_assets.store.retention import prune_versions
from tags_assets.store.warehouse import Warehouse

LONG_AGO = (0, 0)


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def theirs(tmp_path):
    """A folder of somebody's, in which everything is called as in a home."""
    for name in (
        f"exports/maths/{'0' * 32}/rows.jsonl",
        "exports/maths/final/rows.jsonl",
        f"cache/{'1' * 32}/summary.json",
        "cache/.going-x/rows.parquet",
        "cache/.parsing-mine/rows.parquet",
        ".tmp/notes.txt",
        ".targets.yaml.999999999",
        ".tags-assets-0123456789abcdef",
        "artifacts/.tmp/notes.txt",
        "artifacts/.spill-mine/x",
        "artifacts/tree/-/notes.json",
        "artifacts/tree/-/v1.duckdb",
    ):
        path = tmp_path / "theirs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs")
        os.utime(path, LONG_AGO)
        os.utime(path.parent, LONG_AGO)
    return tmp_path / "theirs"


def test_nothing_is_removed_from_a_folder_that_is_not_a_home(theirs):
    before = files_of(theirs)
    store, home = ArtifactStore(theirs), Home(theirs)
    with pytest.raises(UserError, match=r"is not a home of tags-assets.*nothing was removed"):
        prune_versions(store, 1, dry_run=False)
    with pytest.raises(UserError, match="is not a home"):
        rubbish(home, store, unused_days=0)
    home_health(store, deep=True)
    assert store.find("tree", "v1") is None
    Warehouse(store).open().close()
    left = files_of(theirs)
    assert {path: left.get(path) for path in before} == before


def test_what_is_not_ours_stays_in_a_folder_that_became_a_home(theirs):
    ours = {theirs / ".tags-assets-0123456789abcdef", theirs / ".targets.yaml.999999999"}
    before = files_of(theirs)
    home = Home(theirs).prepare()
    store = ArtifactStore(theirs)
    store.write("selected_subset", "v1", pl.DataFrame({"rank": [1]}), partition="other")
    Warehouse(store).publish()
    prune_versions(store, 1, dry_run=False, grace=timedelta(0))
    sweep(rubbish(home, store, unused_days=0))
    left = files_of(theirs)
    moved = theirs / "artifacts/tree/-/v1.duckdb"  # no artifact, but in the place of one: kept in quarantine
    assert {path: left.get(path) for path in before if path not in {*ours, moved}} == {
        path: content for path, content in before.items() if path not in {*ours, moved}
    }
    assert moved in left or any(content == b"theirs" for content in files_of(theirs / "quarantine").values())


def test_a_home_is_marked_when_it_is_made(tmp_path):
    Home(tmp_path / "a").prepare()
    ArtifactStore(tmp_path / "b").write("tree", "v1", pl.DataFrame({"x": [1]}))
    assert is_marked(tmp_path / "a")
    assert is_marked(tmp_path / "b")
    require_home(tmp_path / "a")


def test_a_home_of_before_is_known_by_its_versions_and_marked_then(tmp_path):
    store = ArtifactStore(tmp_path)
    store.write("tree", "v1", pl.DataFrame({"x": [1]}))
    (tmp_path / MARK).unlink()
    assert is_home(tmp_path)
    prune_versions(store, 1, dry_run=True)
    assert is_marked(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"what": "mine"}', "{broken"])
def test_a_file_of_that_name_is_no_mark(tmp_path, content):
    (tmp_path / MARK).write_text(content)
    assert not is_home(tmp_path)
    mark_home(tmp_path)
    assert is_marked(tmp_path)


def test_somebodys_warehouse_is_not_overwritten(tmp_path):
    with duckdb.connect(tmp_path / "warehouse.duckdb") as mine:
        mine.execute("create table sales as select 1 as price")
    store = ArtifactStore(Home(tmp_path).prepare().path)
    for publish in (Warehouse(store).publish, Warehouse(store).rebuild):
        with pytest.raises(UserError, match=r"warehouse.duckdb: exists and was not written by tags-assets"):
            publish()
    with duckdb.connect(tmp_path / "warehouse.duckdb", read_only=True) as mine:
        assert mine.sql("from sales").fetchall() == [(1,)]


def test_a_warehouse_of_which_nothing_is_remembered_is_published_again(tmp_path):
    store = ArtifactStore(tmp_path)
    store.write("tree", "v1", pl.DataFrame({"x": [1]}))
    Warehouse(store).publish()
    (tmp_path / "warehouse.json").unlink()
    assert Warehouse(store).publish().replaced
