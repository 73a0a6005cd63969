from __future__ import annotations

import json
import shutil
import subprocess
import sys

import duckdb
import polars as pl
import pytest

from tags_assets.store import sql
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.catalogue import AssetTables
from tags_assets.store.health import home_health
from tags_assets.store.warehouse import Warehouse, open_warehouse

CATALOGUE = {
    "tree": AssetTables(
        "The tree: one row per node.",
        pl.Schema({"node_id": pl.String, "level": pl.Int32}),
        {"tags": pl.Schema({"tag": pl.String})},
    ),
    "subset": AssetTables(
        "What was selected:\none row per 'instance'.",
        pl.Schema({"target": pl.String, "messages": pl.List(pl.Struct({"role": pl.String}))}),
    ),
}


@pytest.fixture(autouse=True)
def lineage(tmp_path, monkeypatch):
    """A folder of lineage views in place of the project's."""
    shutil.copytree(sql.sql_folder() / "warehouse", tmp_path / "sql" / "warehouse")
    (tmp_path / "sql" / "lineage").mkdir()
    sql.load_sql.cache_clear()
    monkeypatch.setattr(sql, "sql_folder", lambda: tmp_path / "sql")
    yield tmp_path / "sql" / "lineage"
    sql.load_sql.cache_clear()


def fetch(connection, query):
    with connection:
        return connection.sql(query).fetchall()


def views(path):
    with duckdb.connect(path, read_only=True) as connection:
        found = connection.sql("select view_name, comment from duckdb_views() where not internal").fetchall()
    return dict(found)


def test_every_asset_is_a_view_of_its_current_version(store, rows):
    old = store.write("tree", "v1", {"data": rows.head(1), "tags": rows})
    store.write("tree", "v2", {"data": rows, "tags": rows.head(2)})
    Warehouse(store).publish()
    with open_warehouse(store.home) as warehouse:
        assert warehouse.sql("from tree").fetchall() == rows.rows()
        assert warehouse.sql("select count(*) from tree_tags").fetchall() == [(2,)]
    store.set_current(old)
    Warehouse(store).publish()
    assert fetch(open_warehouse(store.home), "from tree") == rows.head(1).rows()


def test_queries_run_on_one_thread(store, rows):
    store.write("tree", "v1", rows)
    with Warehouse(store).open() as connection:
        assert connection.sql("select current_setting('threads')").fetchall() == [(1,)]


def test_partitions_are_one_table_and_removed_ones_are_not_shown(store, rows):
    for target in ("maths", "law", "code"):
        frame = rows.select(pl.lit(target).alias("target"), "rank")
        store.write("subset", f"v-{target}", frame, partition=target)
    store.remove_partition("subset", "code")
    Warehouse(store).publish()
    with open_warehouse(store.home) as warehouse:
        found = warehouse.sql("select target, count(*) from subset group by 1 order by 1").fetchall()
        assert found == [("law", 3), ("maths", 3)]
        history = warehouse.sql("select distinct partition from subset_history order by 1").fetchall()
        assert history == [("code",), ("law",), ("maths",)]


def test_history_shows_all_versions_also_where_columns_changed(store, rows):
    store.write("tree", "v1", rows)
    store.write("tree", "v2", rows.rename({"rank": "place"}))
    store.write("tree", "v3", rows.with_columns(pl.col("rank").cast(pl.Float64)))
    Warehouse(store).publish()
    with open_warehouse(store.home) as warehouse:
        found = warehouse.sql(
            "select data_version, count(*), count(rank), count(place) from tree_history group by 1 order by 1"
        )
        assert found.fetchall() == [("v1", 3, 3, 0), ("v2", 3, 0, 3), ("v3", 3, 3, 0)]
        times = warehouse.sql("select distinct created_at from tree_history order by 1").fetchall()
        assert [time for (time,) in times] == [version.created_at for version in store.versions("tree")]
        assert warehouse.sql("select distinct partition from tree_history").fetchall() == [(None,)]
        one = "select instance_id, rank from tree_history where data_version = 'v1' order by rank"
        assert warehouse.sql(one).fetchall() == rows.rows()


def test_a_condition_on_the_data_version_opens_that_file_alone(store, rows):
    first = store.write("tree", "v1", rows)
    for name in ("v2", "v3"):
        version = store.write("tree", name, rows)
    Warehouse(store).publish()
    version.path.write_bytes(b"")  # opening it would be an error
    with duckdb.connect(store.layout.warehouse, read_only=True) as warehouse:
        count = "select count(*) from tree_history where data_version = '{}'"
        assert warehouse.sql(count.format(first.data_version)).fetchall() == [(3,)]
        with pytest.raises(duckdb.Error):
            warehouse.sql(count.format("v3")).fetchall()


def test_a_table_with_columns_of_the_same_names_keeps_its_own(store):
    frame = pl.DataFrame({"data_version": ["mine"], "Partition": ["mine"], "created_at": [1]})
    store.write("log", "v1", frame)
    Warehouse(store).publish()
    assert fetch(open_warehouse(store.home), "from log_history") == [("mine", "mine", 1)]


def test_an_asset_that_was_never_made_is_an_empty_table_with_types_and_a_comment(store):
    publication = Warehouse(store).publish(CATALOGUE)
    assert publication.views == 6
    with open_warehouse(store.home) as warehouse:
        columns = (
            warehouse.sql("from subset").columns,
            [str(kind) for kind in warehouse.sql("from subset").types],
        )
        assert columns == (["target", "messages"], ["VARCHAR", 'STRUCT("role" VARCHAR)[]'])
        assert warehouse.sql("from subset_history").columns[-3:] == [
            "data_version",
            "partition",
            "created_at",
        ]
        assert warehouse.sql("from tree_tags").fetchall() == []
    comments = views(store.layout.warehouse)
    assert comments["tree"] == "The tree: one row per node."
    assert comments["subset"] == "What was selected: one row per 'instance'."
    assert comments["tree_tags"] == "Table tags of tree."
    assert comments["subset_history"] == "All versions of subset."


def test_a_publisher_that_knows_no_catalogue_keeps_the_last_one(store, rows):
    Warehouse(store).publish(CATALOGUE)
    other = ArtifactStore(store.home)
    other.write("tree", "v1", rows)
    Warehouse(other).publish()
    assert views(store.layout.warehouse)["subset"].startswith("What was selected")


def test_a_catalogue_of_older_code_is_read_without_meanings_and_grains(store, rows):
    Warehouse(store).publish(CATALOGUE)
    state = json.loads(store.layout.warehouse_state.read_text())
    for entry in state["catalogue"].values():
        del entry["grains"], entry["meanings"]
    store.layout.warehouse_state.write_text(json.dumps(state | {"basis": "of older code"}))
    store.write("tree", "v1", rows)
    Warehouse(store).publish()
    assert views(store.layout.warehouse)["subset"].startswith("What was selected")
    with open_warehouse(store.home) as warehouse:
        assert warehouse.sql("from tree_tags").fetchall() == []


def test_asset_versions_lists_what_every_version_was_made_from(store, rows):
    store.write("tree", "v1", rows)
    store.write("subset", "s", rows, partition="maths")
    store.write("tree", "v2", rows)
    Warehouse(store).publish()
    query = "select asset, partition, data_version, is_current, rows from asset_versions order by created_at"
    assert fetch(open_warehouse(store.home), query) == [
        ("tree", None, "v1", False, 3),
        ("subset", "maths", "s", True, 3),
        ("tree", None, "v2", True, 3),
    ]


def test_publishing_again_does_nothing_until_something_changed(store, rows):
    store.write("tree", "v1", rows)
    assert Warehouse(store).publish().replaced
    before = store.layout.warehouse.stat()
    assert not Warehouse(store).publish().replaced
    assert not Warehouse(ArtifactStore(store.home)).publish().replaced
    assert store.layout.warehouse.stat() == before
    changes = [
        lambda: store.write("tree", "v2", rows),
        lambda: store.set_current(store.find("tree", "v1")),
        lambda: Warehouse(store).publish(CATALOGUE).replaced or pytest.fail("not published"),
        store.layout.warehouse.unlink,
        lambda: store.layout.warehouse.write_bytes(b"broken"),
        store.layout.warehouse_state.unlink,
    ]
    for change in changes:
        change()
        Warehouse(store).publish()
        assert not Warehouse(store).is_stale()
        assert fetch(open_warehouse(store.home), "select count(*) from tree") == [(3,)]


def test_a_version_that_was_written_but_not_published_is_shown_on_opening(store, rows):
    Warehouse(store).publish(CATALOGUE)
    store.write("tree", "v1", rows)
    assert Warehouse(store).is_stale()
    assert fetch(open_warehouse(store.home), "select count(*) from tree") == [(3,)]


def test_an_open_warehouse_stays_as_it_is_and_a_new_one_is_new(store, rows):
    store.write("tree", "v1", rows.head(1))
    notebook, connected = open_warehouse(store.home), None
    connected = duckdb.connect(store.layout.warehouse, read_only=True)
    store.write("tree", "v2", rows)
    Warehouse(store).publish()
    count = "select count(*) from tree"
    assert notebook.sql(count).fetchall() == connected.sql(count).fetchall() == [(1,)]
    assert fetch(open_warehouse(store.home), count) == [(3,)]
    notebook.close()
    connected.close()


def test_a_notebook_can_make_temporary_tables_but_not_change_the_warehouse(store, rows):
    store.write("tree", "v1", rows)
    with open_warehouse(store.home) as warehouse:
        warehouse.sql("create temp table mine as from tree")
        assert warehouse.sql("select count(*) from mine").fetchall() == [(3,)]
        with pytest.raises(duckdb.Error, match="read-only"):
            warehouse.sql("create table theirs as from tree")


@pytest.mark.parametrize("name", ["copy", "it's [1] *new*", "ünï code"])
def test_a_moved_or_copied_home_shows_its_own_rows(store, rows, tmp_path, name):
    store.write("tree", "v1", rows)
    Warehouse(store).publish()
    shutil.copytree(store.home, tmp_path / name)
    copy = ArtifactStore(tmp_path / name)
    assert Warehouse(copy).moved_from() == str(store.home)
    copy.write("tree", "v2", rows.head(1))
    assert fetch(open_warehouse(tmp_path / name), "select count(*) from tree") == [(1,)]
    assert Warehouse(copy).moved_from() is None
    shutil.rmtree(store.home)
    assert fetch(open_warehouse(tmp_path / name), "select count(*) from tree_history") == [(4,)]


def test_the_log_of_somebody_who_wrote_into_the_warehouse_does_no_harm(store, rows):
    store.write("tree", "v1", rows)
    Warehouse(store).publish()
    script = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('create table z as select 1'); "
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, store.layout.warehouse], timeout=60, check=False)
    log = store.layout.warehouse.with_name("warehouse.duckdb.wal")
    assert log.exists()
    stale = log.read_bytes()
    assert fetch(open_warehouse(store.home), "select count(*) from tree") == [(3,)]
    assert not log.exists()
    log.write_bytes(stale)
    with duckdb.connect(":memory:") as connection, pytest.raises(duckdb.Error, match="WAL"):
        connection.execute(f"attach '{store.layout.warehouse}' as w (read_only)")
    assert fetch(open_warehouse(store.home), "select count(*) from tree") == [(3,)]


def test_the_warehouse_can_be_made_from_the_artifacts_alone(store, rows):
    store.write("tree", "v1", rows.head(1))
    store.write("tree", "v2", rows)
    for path in (*store.home.glob("warehouse*"), *store.home.rglob("*.json"), *store.home.rglob("*.pointer")):
        path.unlink()
    with Warehouse(ArtifactStore(store.home)).open() as warehouse:
        assert warehouse.sql("select count(*) from tree").fetchall() == [(3,)]
        assert warehouse.sql("select count(*) from tree_history").fetchall() == [(4,)]


@pytest.mark.parametrize("how", ["short", "of equal length"])
def test_a_damaged_version_is_not_published(store, rows, how):
    store.write("tree", "v1", rows.head(1))
    path = store.write("tree", "v2", rows).path
    path.write_bytes(b"short" if how == "short" else bytes(path.stat().st_size))
    Warehouse(store).publish()
    assert fetch(open_warehouse(store.home), "select count(*) from tree") == [(1,)]
    assert home_health(store).quarantined


def test_lineage_views_are_made_in_the_order_in_which_they_read_each_other(store, rows, lineage):
    store.write("tree", "v1", rows)
    (lineage / "a_last.sql").write_text(
        "-- Reads the other.\n-- One row.\nselect sum(twice) as s from z_first;\n"
    )
    (lineage / "z_first.sql").write_text("select rank * 2 as twice\nfrom tree -- every row\n")
    (lineage / "missing.sql").write_text("-- Reads what nobody makes.\nfrom nothing\n")
    (lineage / "tree.sql").write_text("select 1")
    publication = Warehouse(store).publish()
    assert fetch(open_warehouse(store.home), "from a_last") == [(12,)]
    assert views(store.layout.warehouse)["a_last"] == "Reads the other. One row."
    assert set(publication.skipped) == {"missing", "tree"}
    assert "nothing does not exist" in publication.skipped["missing"]
    assert dict(Warehouse(store).publish().skipped) == dict(publication.skipped)


def test_two_tables_of_one_name_are_an_error(store, rows):
    store.write("tree", "v1", {"data": rows, "tags": rows})
    store.write("tree_tags", "v1", rows)
    with pytest.raises(ValueError, match="two tables would be shown as tree_tags"):
        Warehouse(store).publish()


def test_twenty_assets_of_twenty_versions_have_a_view_and_a_history_each(store, rows):
    version = store.write("asset0", "v00", rows)
    for asset in range(20):
        folder = store.layout.folder(f"asset{asset}", None)
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(20):
            for suffix in (".duckdb", ".json"):
                target = folder / f"v{number:02}{suffix}"
                if not target.exists():
                    shutil.copy(version.path.with_suffix(suffix), target)
            header = folder / f"v{number:02}.json"
            text = (
                header.read_text().replace('"asset0"', f'"asset{asset}"').replace('"v00"', f'"v{number:02}"')
            )
            header.write_text(text)
    publication = Warehouse(ArtifactStore(store.home)).publish()
    assert publication.views == 40


def shown(path):
    """All that a warehouse says of itself: its views, their columns, and what both mean."""
    with duckdb.connect(path, read_only=True) as connection:
        return [
            connection.sql(
                "select view_name, sql, comment from duckdb_views() where not internal"
            ).fetchall(),
            connection.sql(
                "select table_name, column_name, data_type, comment from duckdb_columns() "
                "where not internal order by table_name, column_index"
            ).fetchall(),
            connection.sql("from asset_versions order by all").fetchall(),
        ]


@pytest.fixture
def built(monkeypatch):
    """Names of what was made anew as a whole."""
    built = []
    real = Warehouse._built
    monkeypatch.setattr(Warehouse, "_built", lambda self, *args: (built.append(self), real(self, *args))[1])
    return built


def test_a_new_version_is_added_to_what_was_shown_as_if_all_were_made_anew(store, rows, lineage, built):
    (lineage / "first_nodes.sql").write_text("-- The first nodes.\nselect * from tree limit 1\n")
    store.write("tree", "v1", {"data": rows, "tags": rows})
    store.write("subset", "v1", rows, partition="maths")
    Warehouse(store).publish(CATALOGUE)
    built.clear()
    store.write("tree", "v2", {"data": rows.reverse(), "tags": rows})
    store.write("subset", "v2", rows, partition="law")
    assert Warehouse(store).publish(CATALOGUE).replaced
    assert not built
    with open_warehouse(store.home) as warehouse:
        assert warehouse.sql("from tree").fetchall() == rows.reverse().rows()
        assert warehouse.sql("select rank from first_nodes").fetchall() == [(3,)]
        assert warehouse.sql("select count(*) from tree_history").fetchall() == [(6,)]
        assert warehouse.sql("select count(*) from subset").fetchall() == [(6,)]
    updated = shown(store.layout.warehouse)
    Warehouse(store).rebuild(CATALOGUE)
    assert built
    anew = shown(store.layout.warehouse)
    assert [sorted(part, key=repr) for part in updated] == [sorted(part, key=repr) for part in anew]


@pytest.mark.parametrize(
    "change",
    [
        lambda store, rows: store.write("tree", "v2", rows.rename({"rank": "place"})),
        lambda store, rows: store.write("other", "v1", rows),
        lambda store, rows: store.write("tree", "v2", {"data": rows, "tags": rows}),
    ],
    ids=["other columns", "another asset", "another table"],
)
def test_what_views_over_views_could_not_follow_is_made_anew(store, rows, lineage, built, change):
    (lineage / "nodes.sql").write_text("-- Nodes.\nselect * from tree\n")
    store.write("tree", "v1", rows)
    Warehouse(store).publish()
    built.clear()
    change(store, rows)
    Warehouse(store).publish()
    assert built
    with open_warehouse(store.home) as warehouse:
        assert warehouse.sql("from nodes").fetchall() == warehouse.sql("from tree").fetchall()


def test_a_damaged_artifact_does_not_come_into_what_was_shown(store, rows):
    store.write("tree", "v1", rows.head(1))
    Warehouse(store).publish()
    version = store.write("tree", "v2", rows)
    version.path.write_bytes(version.path.read_bytes()[:4096] + bytes(4096))
    Warehouse(store).publish()
    with open_warehouse(store.home) as warehouse:
        assert warehouse.sql("from tree").fetchall() == rows.head(1).rows()
