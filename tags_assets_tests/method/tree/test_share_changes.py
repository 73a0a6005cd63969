from __future__ import annotations

import polars as pl

from tags_assets.method.tree.share_changes import deepest_moves


def told(*nodes):
    frame = pl.DataFrame(nodes, schema=["node_id", "parent_id", "change"], orient="row")
    return deepest_moves(frame)["node_id"].to_list()


ROOT = ("all", None, 0.0)


def test_a_chain_is_told_once_by_its_deepest_node():
    assert told(ROOT, ("maths", "all", 0.2), ("algebra", "maths", 0.19), ("equation", "algebra", 0.185)) == [
        "equation"
    ]


def test_a_node_that_no_few_children_explain_is_told_itself():
    children = [(f"leaf {i}", "maths", 0.02) for i in range(10)]
    assert told(ROOT, ("maths", "all", 0.2), *children) == ["maths"]


def test_what_moved_the_other_way_is_told_beside_it():
    nodes = [ROOT, ("maths", "all", 0.2), ("logic", "maths", -0.05)]
    nodes += [(f"leaf {i}", "maths", 0.025) for i in range(10)]
    assert told(*nodes) == ["maths", "logic"]


def test_two_children_tell_their_parent():
    assert told(ROOT, ("maths", "all", 0.2), ("algebra", "maths", 0.12), ("geometry", "maths", 0.07)) == [
        "algebra",
        "geometry",
    ]


def test_a_node_whose_parent_is_of_another_tree_is_told():
    assert told(ROOT, ("new", "gone", 0.1)) == ["new"]


def test_what_hardly_moved_is_not_told():
    assert told(ROOT, ("maths", "all", 0.0004)) == []
