from __future__ import annotations

from datetime import timedelta

import pytest

from tags_assets.errors import UserError
from tags_assets.store.retention import prune_versions
from tags_assets.store.versions import VersionRecord
from tags_assets.store.warehouse import Warehouse, open_warehouse


@pytest.fixture
def chain(store, rows):
    """Six runs: a tree and a selection each; run 0 made the one selection for maths."""
    for run in range(6):
        store.write("vocabulary", f"v{run}", rows)
        store.write(
            "tree", f"t{run}", rows, record=VersionRecord(upstream={"vocabulary": f"v{run}", "landing": "x"})
        )
        partition = "maths" if run == 0 else "law"
        record = VersionRecord(upstream={"tree": f"t{run}", "target/x": "gone"})
        store.write("subset", f"s{run}", rows, partition=partition, record=record)
    Warehouse(store).publish()
    return store


def names(versions):
    return sorted(version.data_version for version in versions)


def test_a_dry_run_says_what_would_go_and_removes_nothing(chain):
    pruning = prune_versions(chain, 2)
    assert pruning.dry_run
    assert names(pruning.removed) == ["s1", "s2", "s3", "t1", "t2", "t3", "v1", "v2", "v3"]
    assert pruning.freed_bytes == sum(version.path.stat().st_size for version in pruning.removed)
    assert len(chain.versions("tree")) == 6


def test_what_a_kept_selection_was_made_from_is_kept_all_the_way_up(chain):
    prune_versions(chain, 1, dry_run=False)
    assert names(chain.versions("tree")) == ["t0", "t5"]  # t0: for the maths selection
    assert names(chain.versions("vocabulary")) == ["v0", "v5"]
    assert names(chain.versions("subset", "maths")) == ["s0"]
    assert names(chain.versions("subset", "law")) == ["s5"]


def test_the_selection_whose_rows_another_kept_stays_with_it_and_no_longer(store, rows):
    for run in range(4):
        store.write("tree", f"t{run}", rows)
        config = {"grown_from": f"s{run - 1}"} if run else {}
        record = VersionRecord(upstream={"tree": f"t{run}"}, config=config)
        store.write("selected_subset", f"s{run}", rows, partition="maths", record=record)
    prune_versions(store, 1, dry_run=False)
    assert names(store.versions("selected_subset", "maths")) == ["s2", "s3"]
    assert names(store.versions("tree")) == ["t3"], "what it was made from itself is not needed"


def test_the_current_version_is_kept_however_old_it_is(chain):
    chain.set_current(chain.find("tree", "t2"))
    prune_versions(chain, 1, dry_run=False)
    assert names(chain.versions("tree")) == ["t0", "t2", "t5"]
    assert names(chain.versions("vocabulary")) == ["v0", "v2", "v5"]


def test_what_is_young_is_kept(chain):
    assert prune_versions(chain, 1, grace=timedelta(hours=1)).removed == ()


def test_the_warehouse_shows_what_is_left(chain):
    notebook = open_warehouse(chain.home)
    prune_versions(chain, 1, dry_run=False)
    with open_warehouse(chain.home) as warehouse:
        found = warehouse.sql("select distinct data_version from tree_history order by 1").fetchall()
        assert found == [("t0",), ("t5",)]
    assert notebook.sql("select count(*) from tree").fetchall() == [(3,)]
    notebook.close()
    assert prune_versions(chain, 1).removed == ()


def test_orphaned_headers_go_as_well(chain):
    orphan = chain.layout.header("tree", None, "never")
    newest = chain.layout.header("tree", None, "t5").read_text()
    orphan.write_text(newest.replace('"t5"', '"never"'))
    theirs = orphan.with_name("notes.json")
    theirs.write_text("{}")
    prune_versions(chain, 1, dry_run=False)
    assert not orphan.exists()
    assert theirs.exists()
    assert chain.layout.header("tree", None, "t5").exists()


def test_a_retired_partition_goes_once_it_is_not_among_the_last(chain):
    chain.remove_partition("subset", "maths")
    prune_versions(chain, 1, dry_run=False)
    assert names(chain.versions("subset", "maths")) == ["s0"]
    assert chain.current("subset", "maths") is None


def test_keeping_nothing_is_refused(chain):
    with pytest.raises(UserError, match=r"cannot keep 0 versions. Keep at least 1"):
        prune_versions(chain, 0)
