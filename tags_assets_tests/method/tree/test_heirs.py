from __future__ import annotations

import numpy as np
import pytest

from tags_assets.method.tree.builder import TreeConfig, build_tree
from tags_assets.method.tree.heirs import heirs
from tags_assets_tests.method.tree.trees import small_tree, tag_names, vectors_in_groups

BEFORE = small_tree(60)


def tags_below(tree, node):
    return {
        tag
        for tag, leaf in zip(tree.tags, tree.tag_leaf, strict=True)
        if tree.ancestors[[int(leaf)], [node]][0]
    }


def test_a_node_that_lives_on_is_its_own_heir():
    for node in range(BEFORE.root):
        assert heirs(node, BEFORE, BEFORE) == [(node, 1.0)]


def test_heirs_hold_the_tags_of_the_node_and_stand_on_its_level():
    vectors, _ = vectors_in_groups(60, seed=5)
    config = TreeConfig(tags_per_leaf=2, branching=2.5, n_roots=3)
    now = build_tree(tag_names(60)[:50], np.ones(50), vectors[:50], config=config)
    for node in range(BEFORE.root):
        tags = tags_below(BEFORE, node) & set(now.tags)
        found = heirs(node, BEFORE, now, most=60)
        assert sum(share for _, share in found) == pytest.approx(1.0 if tags else 0.0)
        for heir, share in found:
            assert share == pytest.approx(len(tags & tags_below(now, heir)) / len(tags))
            assert now.level[heir] == min(BEFORE.level[node], now.level.max() - 1)
        assert heirs(node, BEFORE, now) == found[:3]


def test_there_is_no_heir_where_all_tags_are_gone():
    other = small_tree(60)
    gone = build_tree(["something else"], np.ones(1), vectors_in_groups(1)[0])
    assert heirs(0, other, gone) == []
