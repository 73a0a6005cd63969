"""Lineage views answer by the tables, whole and exactly, in a plain DuckDB and in the warehouse."""

from __future__ import annotations

import duckdb
import polars as pl
import pytest

from tags_assets.explanation.lineage import lineage_views, with_views
from tags_assets.store.sql import load_sql, sql_names
from tags_assets.store.warehouse import Warehouse
from tags_assets_tests.explanation.test_explainer import stored
from tags_assets_tests.sql.pool import FATE, lineage_tables


@pytest.fixture(scope="module")
def tables():
    return lineage_tables()


@pytest.fixture(scope="module")
def ask(tables):
    """Ask a DuckDB that holds the tables, and nothing of ours but the views' text."""
    connection = duckdb.connect()
    for name, frame in tables.items():
        connection.register("incoming", frame)
        connection.execute(f'create table "{name}" as from incoming')
        connection.unregister("incoming")

    def query(sql, **params):
        return connection.sql(with_views(sql), params=params or None).pl()

    return query


def test_every_view_begins_with_what_it_is_and_is_one_select():
    for name in sql_names("lineage"):
        lines = load_sql(name).splitlines()
        assert lines[0].startswith("-- ")
        body = "\n".join(line for line in lines if not line.startswith("--"))
        assert body.lstrip().startswith(("select", "with"))
        assert ";" not in body


def test_amounts_of_tags_and_nodes_add_up_to_every_gain(ask, tables):
    sums = ask("select target, instance_id, sum(amount) as amount from why_selected group by all")
    both = tables["selected_subset"].join(sums, on=["target", "instance_id"])
    assert both.height == tables["selected_subset"].height
    assert both["amount"].to_list() == pytest.approx(both["gain"].to_list())


@pytest.mark.parametrize("view", ["node_rows", "tag_rows"])
def test_rows_of_nodes_and_of_tags_add_up_to_every_gain(ask, tables, view):
    amounts = "target, instance_id, sum(amount) as amount, sum(share_of_gain) as whole"
    sums = ask(f"select {amounts} from {view} group by all")
    both = tables["selected_subset"].join(sums, on=["target", "instance_id"])
    assert both["amount"].to_list() == pytest.approx(both["gain"].to_list())
    assert both["whole"].to_list() == pytest.approx([1.0] * both.height)


def test_a_tags_share_of_a_node_follows_its_weight(ask, tables):
    found = ask("select * from why_selected where part = 'gain' and target = 'maths' and node_id = 'root'")
    parts = tables["selection_attribution"].filter(
        (pl.col("target") == "maths") & (pl.col("node_id") == "root") & (pl.col("part") == "gain")
    )
    whole = dict(parts.select("instance_id", "amount").iter_rows())
    for row in found.iter_rows(named=True):
        assert row["amount"] == pytest.approx(whole[row["instance_id"]] * row["weight"], rel=1e-5)


def test_a_node_without_a_tag_of_the_row_keeps_its_amount(tables):
    connection = duckdb.connect()
    without = tables | {"instance_tags": tables["instance_tags"].clear()}
    for name, frame in without.items():
        connection.register(name, frame)
    sums = "select target, sum(amount) as amount, count(tag) as tags from why_selected group by all"
    found = connection.sql(with_views(sums)).pl()
    whole = tables["selected_subset"].group_by("target").agg(pl.col("gain").sum())
    both = found.join(whole, on="target")
    assert both["amount"].to_list() == pytest.approx(both["gain"].to_list())
    assert both["tags"].to_list() == [0, 0]


def test_ancestors_reach_from_each_node_to_the_root(ask, tables):
    climbs = ask("select * from node_ancestors")
    assert climbs.filter(pl.col("steps") == 0).height == tables["knowledge_tree"].height
    assert set(climbs.filter(pl.col("ancestor_id") == "root")["node_id"]) == set(
        tables["knowledge_tree"]["node_id"]
    )


def test_every_row_of_the_pool_is_selected_or_says_why_not(ask, tables):
    left = ask("select * from why_not_selected where target = 'maths'")
    n_picked = tables["selected_subset"].filter(pl.col("target") == "maths").height
    assert (
        left.filter(pl.col("instance_id").is_not_null()).height + n_picked == tables["raw_instances"].height
    )
    assert left["why"].null_count() == 0
    assert left["detail"].null_count() == 0
    counts = dict(left["why"].value_counts().iter_rows())
    for why in (*FATE, "excluded", "below_min_quality"):
        assert counts[why] == 1
    assert counts["rejected"] == tables["rejected_rows"].height


def test_rivals_share_what_they_are_said_to_share(ask, tables):
    one = tables["selected_subset"]["instance_id"][0]
    found = ask("select * from rivals where instance_id = $one and target = 'maths'", one=one)
    held = tables["grounded_instances"]
    mine = dict(held.filter(pl.col("instance_id") == one).select("node_id", "mass").iter_rows())
    for row in found.head(10).iter_rows(named=True):
        theirs = dict(
            held.filter(pl.col("instance_id") == row["rival_id"]).select("node_id", "mass").iter_rows()
        )
        assert row["overlap"] == pytest.approx(
            sum(min(mine[n], theirs[n]) for n in mine.keys() & theirs.keys())
        )
    assert one not in found["rival_id"].to_list()


def test_concept_shares_are_shares(ask):
    found = ask("select * from concept_shares")
    for target in ("maths", "pool"):
        fields = found.filter((pl.col("target") == target) & (pl.col("level") == 1))
        for name in ("pool_share", "selected_share", "target_share"):
            assert fields[name].sum() == pytest.approx(1.0)


def test_overview_counts_each_selection(ask, tables):
    found = ask("select * from subset_overview order by target")
    assert found["rows_selected"].to_list() == [8, 8]
    assert found["rows_eligible"].to_list() == [tables["instance_scores"].height] * 2
    assert found["gain"].sum() == pytest.approx(tables["selected_subset"]["gain"].sum())
    assert all("concept" in path or "field" in path for path in found["top_concept"])


def test_the_warehouse_shows_every_view_with_its_description(tables, tmp_path):
    store = stored(tmp_path, tables)
    assert Warehouse(store).publish().skipped == {}
    connection = Warehouse(store).open()
    try:
        connection.execute("select view_name, comment from duckdb_views() where database_name = 'warehouse'")
        comments = dict(connection.fetchall())
        for name in lineage_views():
            assert len(comments[name]) > 40
            connection.execute(f"select * from {name} limit 1").fetchall()
    finally:
        connection.close()
