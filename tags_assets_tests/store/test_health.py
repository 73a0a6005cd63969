from __future__ import annotations

import shutil

from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.health import home_health
from tags_assets.store.warehouse import Warehouse


def test_a_healthy_home_has_sizes_and_no_problems(store, rows):
    store.write("tree", "v1", rows)
    store.write("subset", "s", rows, partition="maths")
    store.write("subset", "s", rows, partition="law")
    Warehouse(store).publish()
    health = home_health(store, deep=True)
    assert {name: (size.versions, size.partitions) for name, size in health.assets.items()} == {
        "tree": (1, 1),
        "subset": (2, 2),
    }
    assert health.file_bytes == sum(path.stat().st_size for path in store.layout.artifacts.rglob("*.duckdb"))
    assert health.writable
    assert health.free_bytes > 0
    assert [problem for problem in health.problems if "sql/lineage" not in problem] == []


def test_a_home_that_is_not_there_has_no_problems(store):
    health = home_health(store)
    assert not health.exists
    assert health.assets == {}
    assert health.problems == []


def test_what_is_wrong_is_said_one_line_each(store, rows, tmp_path):
    good = store.write("tree", "v1", rows)
    cut = store.write("tree", "v2", rows)
    flipped = store.write("tree", "v3", rows)
    Warehouse(store).publish()
    shutil.copytree(store.home, tmp_path / "copy")
    copy = ArtifactStore(tmp_path / "copy")
    copy.layout.file("tree", None, cut.data_version).write_bytes(b"")
    path = copy.layout.file("tree", None, flipped.data_version)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    (copy.layout.scratch / "1-0123456789ab.duckdb").write_bytes(b"x" * 2_000_000)
    quick = home_health(copy)
    assert len(quick.damaged) == 1  # of equal length: only the checksum tells
    deep = home_health(copy, deep=True)
    assert len(deep.damaged) == 1
    assert len(deep.quarantined) == 2
    assert deep.assets["tree"].versions == 1
    problems = "\n".join(deep.problems)
    for text in (
        "v3.duckdb: damaged",
        f"copied from {store.home}",
        "2.0 MB left by killed",
        "2 damaged artifacts",
    ):
        assert text in problems
    assert all("\n" not in problem for problem in deep.problems)
    Warehouse(copy).publish()
    assert home_health(copy).moved_from is None
    assert home_health(copy).abandoned == ()
    assert copy.read("tree").equals(rows)
    assert good.path.exists()


def test_a_version_that_was_not_published_is_said(store, rows):
    Warehouse(store).publish()
    store.write("tree", "v1", rows)
    assert any("is not up to date" in problem for problem in home_health(store).problems)
