from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.method.tree.builder import TreeConfig, build_tree
from tags_assets.method.tree.node_identity import node_ids
from tags_assets_tests.method.tree.trees import small_tree, tag_names, vectors_in_groups

CONFIG = TreeConfig(tags_per_leaf=3, branching=3, n_roots=4)


def tree_of(rows, previous=None, n=400):
    vectors, _ = vectors_in_groups(n, n_groups=20, noise=0.4)
    tags = np.array(tag_names(n))
    return build_tree(
        tags[rows].tolist(), np.ones(len(rows)), vectors[rows], config=CONFIG, previous=previous
    )


def members(tree):
    below = tree.ancestors.tocsc()
    leaf_tags = [set() for _ in range(tree.n_leaves)]
    for tag, leaf in zip(tree.tags, tree.tag_leaf, strict=True):
        leaf_tags[leaf].add(tag)
    return {
        tree.node_ids[v]: set().union(
            *(leaf_tags[i] for i in below.indices[below.indptr[v] : below.indptr[v + 1]])
        )
        for v in range(tree.n_nodes)
    }


def test_ids_survive_a_change_of_a_tenth_of_the_tags():
    rng = np.random.default_rng(3)
    order = rng.permutation(400)
    before = tree_of(np.sort(order[:360]))
    after = tree_of(np.sort(order[40:]), previous=before)
    kept = set(before.node_ids) & set(after.node_ids)
    assert len(kept) >= 0.8 * after.n_nodes
    old, new = members(before), members(after)
    overlaps = [len(old[i] & new[i]) / len(old[i] | new[i]) for i in kept]
    assert np.mean(overlaps) > 0.7


def test_a_kept_id_means_that_half_of_the_shared_tags_stayed():
    rng = np.random.default_rng(4)
    before, after = (np.sort(rng.permutation(400)[:300]) for _ in range(2))
    before = tree_of(before)
    after = tree_of(after, previous=before)
    shared = set(before.tags) & set(after.tags)
    old, new = members(before), members(after)
    for node_id in set(old) & set(new) - {after.node_ids[after.root]}:
        one, other = old[node_id] & shared, new[node_id] & shared
        assert len(one & other) / len(one | other) >= 1 / 3


def test_the_same_members_have_the_same_id_without_a_previous_tree():
    assert tree_of(np.arange(200)).node_ids == tree_of(np.arange(200)).node_ids


def test_a_tree_with_no_tag_in_common_shares_only_the_root():
    before = small_tree(60)
    vectors, _ = vectors_in_groups(60, seed=0)
    after = build_tree([f"other {i}" for i in range(60)], np.ones(60), vectors, previous=before)
    assert set(after.node_ids) & set(before.node_ids) == {before.node_ids[before.root]}


def test_a_new_node_never_takes_an_id_that_another_node_bears():
    before = small_tree(60)
    # The hash of a set of members is taken by a node that has other members by now.
    root = before.node_ids[before.root]
    leaves = before.tag_leaf
    swapped = {0: 1, 1: 0}
    moved = np.array([swapped.get(int(leaf), int(leaf)) for leaf in leaves])
    ids = node_ids(before.tags, [moved, np.zeros(60, dtype=int)], before)
    assert ids[1] == (root,)
    assert len(set(ids[0])) == len(ids[0])
    assert ids[0][0] == before.node_ids[1]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), kept=st.integers(1, 40), n_groups=st.integers(1, 9))
def test_ids_are_distinct_whatever_was_before(seed, kept, n_groups):
    rng = np.random.default_rng(seed)
    before = small_tree(40, seed=seed % 7)
    tags = [*before.tags[:kept], *(f"new {i}" for i in range(40 - kept))]
    leaf = np.unique(rng.integers(0, n_groups, 40), return_inverse=True)[1]
    ids = node_ids(tags, [leaf, np.zeros(40, dtype=int)], before)
    flat = [node_id for level in ids for node_id in level]
    assert len(set(flat)) == len(flat) == int(leaf.max()) + 2
