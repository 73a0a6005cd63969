"""Masses add up the tree, and what is drawn adds up exactly."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.errors import UserError
from tags_assets.report.concepts import concept_shares, partition
from tags_assets.report.content import MASS_SCHEMA
from tags_assets.report.treemap import treemap
from tags_assets_tests.report.fixtures import sample_report, tree_frame


@pytest.fixture(scope="module")
def shares():
    report = sample_report()
    return concept_shares(report.nodes, report.masses)


def test_every_node_has_what_its_children_have(shares):
    masses = pl.col("pool", "selection", "target").sum()
    children = shares.filter(pl.col("parent") >= 0).group_by("parent").agg(masses)
    numbered = shares.with_row_index("number")
    both = numbered.join(children, left_on="number", right_on="parent", suffix="_below")
    for name in ("pool", "selection", "target"):
        np.testing.assert_allclose(both[name], both[f"{name}_below"], rtol=1e-12)


def test_shares_of_a_level_add_up_to_one(shares):
    for level in shares["level"].unique():
        of_level = shares.filter(pl.col("level") == level)
        assert of_level["pool_share"].sum() == pytest.approx(1.0)
        assert of_level["target"].sum() == pytest.approx(1.0)


def test_ratio_is_over_where_the_selection_has_more_and_half_a_row_calms_it(shares):
    half = 0.5 / 200
    row = shares.filter(pl.col("level") == 0).sort("selection").row(-1, named=True)
    expected = np.log2((row["selection_share"] + half) / (row["pool_share"] + half))
    assert row["against_pool"] == pytest.approx(expected)


def test_masses_of_inner_nodes_and_of_unknown_ones_are_not_counted_twice():
    report = sample_report()
    more = pl.DataFrame(
        {"node_id": ["root", "nowhere"], "pool": [9e9, 9e9], "selection": [9e9, 9e9], "target": [1.0, 1.0]},
        schema=MASS_SCHEMA,
    )
    plain = concept_shares(report.nodes, report.masses)
    assert concept_shares(report.nodes, pl.concat([report.masses, more])).equals(plain)


def test_two_roots_are_one_clear_line():
    nodes = tree_frame()
    forest = nodes.filter(pl.col("node_id") != "root")
    with pytest.raises(UserError, match="a tree has one root"):
        concept_shares(forest, sample_report().masses)


def test_partition_is_the_whole_tree_at_a_readable_size(shares):
    parts = partition(shares, 16)
    assert 12 <= parts.height <= 26
    for name in ("pool_share", "selection_share", "target"):
        assert parts[name].sum() == pytest.approx(1.0)


def test_partition_puts_the_smallest_of_a_wide_level_together():
    wide = concept_shares(*_star(300))
    parts = partition(wide, 16)
    assert parts.height == 25
    assert parts["name"].to_list()[-1] == "276 other concepts"
    assert parts["pool_share"].sum() == pytest.approx(1.0)


def test_treemap_children_never_outweigh_their_parent(shares):
    _check_sizes(treemap(shares))


def test_treemap_of_a_large_tree_keeps_its_size_and_names_what_it_left_out():
    report = sample_report(20_000, budget=500, leaves_per_concept=40)
    shares = concept_shares(report.nodes, report.masses)
    drawn = treemap(shares, most=400)
    assert 400 < len(drawn["id"]) < 700
    assert drawn["name"].count("smaller concepts") > 10
    assert sum(drawn["pool"][i] for i in _leaves(drawn)) == pytest.approx(20_000, rel=1e-3)
    _check_sizes(drawn)


def test_treemap_draws_an_only_child_of_its_parents_name_once():
    nodes, masses = _star(2)
    twin = nodes.filter(pl.col("level") == 0).with_columns(
        parent_id=pl.col("node_id"), node_id=pl.col("node_id") + "x", level=pl.lit(0, pl.Int16)
    )
    nodes = pl.concat([nodes.with_columns(pl.col("level") + 1), twin])
    drawn = treemap(concept_shares(nodes, masses.with_columns(pl.col("node_id") + "x")))
    assert sorted(drawn["name"]) == ["concept 0", "concept 1", "knowledge"]
    _check_sizes(drawn)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.integers(1, 30))
def test_treemap_sizes_add_up_whatever_the_masses(pool, most):
    nodes, masses = _star(len(pool))
    masses = masses.with_columns(
        pl.Series("pool", pool, dtype=pl.Float64), pl.Series("selection", pool) * 0.1
    )
    _check_sizes(treemap(concept_shares(nodes, masses), most=most))


def _star(n: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = [("r", None, 1, "knowledge", "", 0.0, "knowledge", 0)]
    rows += [(f"n{i}", "r", 0, f"concept {i}", "", 0.3, f"concept {i}", 1) for i in range(n)]
    nodes = pl.DataFrame(rows, schema=tree_frame().schema, orient="row")
    masses = nodes.filter(pl.col("level") == 0).select(
        "node_id",
        pl.int_range(1, n + 1).cast(pl.Float64).alias("pool"),
        pl.lit(1.0).alias("selection"),
        pl.lit(1 / n).alias("target"),
    )
    return nodes, masses


def _leaves(drawn):
    return set(range(len(drawn["id"]))) - set(drawn["parent"])


def _check_sizes(drawn):
    below = dict.fromkeys(range(len(drawn["id"])), 0)
    for place, parent in enumerate(drawn["parent"]):
        assert parent < len(drawn["id"])
        if parent >= 0:
            below[parent] += drawn["size"][place]
    for place, total in below.items():
        assert total in (0, drawn["size"][place])
    assert drawn["parent"].count(-1) == 1
    assert len({len(column) for column in drawn.values()}) == 1
