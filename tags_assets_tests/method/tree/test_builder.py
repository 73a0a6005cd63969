from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tags_assets.errors import UserError
from tags_assets.method.tree.builder import TreeConfig, build_tree
from tags_assets.method.tree.knowledge_tree import KnowledgeTree
from tags_assets.method.tree.refinement import OfflineRefiner, Summary
from tags_assets_tests.method.tree.trees import assert_valid, small_tree, tag_names, vectors_in_groups

SMALL = TreeConfig(tags_per_leaf=2, branching=2, n_roots=2)

answers = st.recursive(
    st.none() | st.integers(-3, 40) | st.text(max_size=12) | st.booleans() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=6) | st.builds(Summary, st.text(max_size=100), st.text(max_size=9))
    ),
    max_leaves=30,
)


class Adversary:
    """Answers whatever hypothesis draws; sometimes what would be the most harmful."""

    def __init__(self, data):
        self.data = data

    def _any(self, harmful):
        return self.data.draw(st.one_of(answers, st.just(harmful)))

    def summarise(self, clusters):
        return self._any([Summary("same", "") for _ in clusters])

    def deduplicate(self, groups):
        return self._any([[list(range(len(g.concepts)))] for g in groups])

    def reassign(self, doubts):
        return self._any([[0] * len(d.children) for d in doubts])

    def rename(self, groups):
        return self._any([["same > name"] * len(g.children) for g in groups])


@settings(max_examples=25, deadline=None)
@given(
    x=hnp.arrays(
        np.float32, st.tuples(st.integers(1, 24), st.integers(1, 4)), elements=st.floats(-3, 3, width=32)
    ),
    data=st.data(),
)
def test_the_tree_is_valid_for_any_vectors_and_any_answers_of_a_refiner(x, data):
    tags = tag_names(len(x))
    config = TreeConfig(tags_per_leaf=1.5, branching=2, n_roots=2, refine_leaves=True, doubt=-1.0)
    tree = build_tree(tags, np.ones(len(x)), x, config=config, refiner=Adversary(data))
    assert_valid(tree, tags)


@settings(max_examples=15, deadline=None)
@given(
    tags=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=30, unique=True),
    seed=st.integers(0, 5),
)
def test_the_tree_is_valid_whatever_the_tags_look_like(tags, seed):
    vectors, _ = vectors_in_groups(len(tags), seed=seed)
    assert_valid(build_tree(tags, np.ones(len(tags)), vectors, config=SMALL), tags)


@pytest.mark.parametrize("n_tags", [1, 2, 3, 7, 33, 200])
def test_few_tags_make_a_tree(n_tags):
    vectors, _ = vectors_in_groups(n_tags)
    tree = build_tree(tag_names(n_tags), np.ones(n_tags), vectors)
    assert_valid(tree, tag_names(n_tags))
    assert_valid(KnowledgeTree.from_frames(*tree.to_frames()), tag_names(n_tags))


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_tags_with_one_and_the_same_vector_make_a_tree(value):
    tree = build_tree(tag_names(90), np.ones(90), np.full((90, 8), value, dtype=np.float32))
    assert_valid(tree, tag_names(90))


def test_no_tag_is_an_error_that_says_what_to_do():
    with pytest.raises(UserError, match="no row has a tag"):
        build_tree([], [], np.empty((0, 8), dtype=np.float32))


def test_input_that_does_not_match_is_refused_with_the_numbers():
    with pytest.raises(ValueError, match="2 tags, 1 counts and 2 vectors"):
        build_tree(["a", "b"], [1], np.eye(2, dtype=np.float32))
    with pytest.raises(ValueError, match="2 given, 1 distinct"):
        build_tree(["a", "a"], [1, 1], np.eye(2, dtype=np.float32))


def test_levels_shrink_to_a_handful_of_roots_and_are_ten_at_most():
    tree = small_tree(500, config=TreeConfig(tags_per_leaf=1.2, branching=1.3, n_roots=2))
    assert_valid(tree, tag_names(500))
    assert int(tree.level.max()) + 1 >= 8


def test_the_tree_finds_the_groups_that_are_there():
    vectors, group = vectors_in_groups(240, n_groups=6, noise=0.2)
    tree = build_tree(tag_names(240), np.ones(240), vectors, config=TreeConfig(n_roots=6))
    top = tree.ancestors.indices.reshape(tree.n_leaves, -1)[tree.tag_leaf, -2]
    group = group[np.argsort(tag_names(240))]
    assert all(len(set(group[top == v])) == 1 for v in np.unique(top))


def test_the_tree_does_not_depend_on_the_order_of_the_tags():
    vectors, _ = vectors_in_groups(80)
    tags, counts = np.array(tag_names(80)), np.arange(1, 81)
    mixed = np.random.default_rng(1).permutation(80)
    one = build_tree(tags.tolist(), counts, vectors)
    other = build_tree(tags[mixed].tolist(), counts[mixed], vectors[mixed])
    assert one.to_frames()[0].equals(other.to_frames()[0])
    assert one.to_frames()[1].equals(other.to_frames()[1])


def test_the_tree_is_the_same_when_it_is_read_back():
    tree = small_tree(100)
    again = KnowledgeTree.from_frames(*tree.to_frames())
    assert again.node_ids == tree.node_ids
    assert again.names == tree.names
    assert np.array_equal(again.parent, tree.parent)
    assert np.array_equal(again.tag_leaf, tree.tag_leaf)
    assert np.array_equal(again.vectors, tree.vectors)


def test_blocks_give_a_valid_tree_nearly_as_pure_as_exact_linkage():
    vectors, group = vectors_in_groups(600, n_groups=12, noise=0.5)
    tags = tag_names(600)

    def purity(**kwargs):
        config = TreeConfig(n_roots=4, **kwargs)
        tree = build_tree(tags, np.ones(600), vectors, config=config)
        assert_valid(tree, tags)
        table = np.zeros((tree.n_leaves, 12))
        np.add.at(table, (tree.tag_leaf, group[np.argsort(tags)]), 1)
        return table.max(axis=1).sum() / 600

    assert purity(exact_up_to=100, block=80) >= purity() - 0.03


def test_a_refiner_is_heard():
    class Namer(OfflineRefiner):
        def summarise(self, clusters):
            return [Summary(f"concept {c.members[0]}", "said so") for c in clusters]

    tree = small_tree(60, refiner=Namer())
    above = (tree.level > 0) & (tree.level < tree.level.max())
    several = np.bincount(tree.parent[:-1], minlength=tree.n_nodes) > 1
    assert all(tree.descriptions[v] == "said so" for v in np.flatnonzero(above & several))


def test_a_tree_built_again_after_itself_keeps_its_nodes():
    first = small_tree(120)
    again = small_tree(120, previous=first)
    kept = set(again.node_ids) & set(first.node_ids)
    assert len(kept) >= 0.9 * first.n_nodes


@pytest.mark.parametrize("n_dims", [16, 5])
def test_a_previous_tree_of_other_vectors_or_tags_does_no_harm(n_dims):
    before = small_tree(80, seed=1)
    vectors, _ = vectors_in_groups(50, n_dims=n_dims)
    tags = [f"other {i}" for i in range(50)]
    tree = build_tree(tags, np.ones(50), vectors, previous=before)
    assert_valid(tree, tags)
    alone = build_tree(tags, np.ones(50), vectors)
    assert np.array_equal(np.bincount(tree.level), np.bincount(alone.level))
