from __future__ import annotations

import numpy as np
import pytest

from tags_assets.method.tree.growth import grow, placed_by
from tags_assets_tests.method.tree.trees import assert_valid, small_tree, tag_names, vectors_in_groups

TREE = small_tree(60)
VECTORS, GROUP = vectors_in_groups(60)
COUNTS = np.random.default_rng(0).integers(1, 50, 60)
TAGS = tag_names(60)
PLACED = placed_by(TAGS, COUNTS)


def grown(tags, counts, vectors, tree=TREE, placed=PLACED):
    return grow(tree, tags, counts, np.asarray(vectors, dtype=np.float32), placed=placed)


def with_new(vectors, count=10):
    tags = [*TAGS, *(f"new {i}" for i in range(len(vectors)))]
    return tags, np.append(COUNTS, [count] * len(vectors)), np.concatenate([VECTORS, vectors])


def nodes(tree):
    return dict(zip(tree.node_ids, zip(tree.names, tree.branch_length.tolist(), strict=True), strict=True))


def test_the_same_vocabulary_grows_into_the_same_tree_without_drift():
    growth = grown(TAGS, COUNTS, VECTORS)
    assert growth.tree.tags == TREE.tags
    assert np.array_equal(growth.tree.tag_leaf, TREE.tag_leaf)
    assert nodes(growth.tree) == nodes(TREE)
    assert growth.drift.value == 0


def test_a_new_tag_goes_to_the_leaf_that_it_fits_and_moves_nothing_else():
    near = VECTORS[7] + 0.01 * np.random.default_rng(1).normal(size=16)
    growth = grown(*with_new([near / np.linalg.norm(near)]))
    leaf_of = dict(zip(growth.tree.tags, growth.tree.tag_leaf.tolist(), strict=True))
    best = int(np.argmax(TREE.vectors[: TREE.n_leaves] @ near))
    assert leaf_of["new 0"] == best
    assert {tag: leaf_of[tag] for tag in TAGS} == dict(zip(TREE.tags, TREE.tag_leaf.tolist(), strict=True))
    assert nodes(growth.tree) == nodes(TREE)
    assert_valid(growth.tree, [*TAGS, "new 0"])


def test_the_order_in_which_tags_come_does_not_matter():
    tags, counts, vectors = with_new(vectors_in_groups(9, seed=3)[0])
    order = np.random.default_rng(5).permutation(len(tags))
    a = grown(tags, counts, vectors)
    b = grown([tags[i] for i in order], counts[order], vectors[order])
    assert a.tree.tags == b.tree.tags
    assert np.array_equal(a.tree.tag_leaf, b.tree.tag_leaf)
    assert a.drift.value == pytest.approx(b.drift.value)


def test_nodes_below_which_no_tag_is_left_go_and_the_others_stay():
    emptied = int(TREE.tag_leaf[0])
    gone = {tag for tag, leaf in zip(TREE.tags, TREE.tag_leaf, strict=True) if leaf == emptied}
    kept = [i for i, tag in enumerate(TAGS) if tag not in gone]
    growth = grown([TAGS[i] for i in kept], COUNTS[kept], VECTORS[kept])
    assert TREE.node_ids[emptied] not in growth.tree.node_ids
    assert set(nodes(growth.tree).items()) < set(nodes(TREE).items())
    assert growth.drift.vanished == pytest.approx(
        sum(c for tag, c in zip(TAGS, COUNTS, strict=True) if tag in gone) / COUNTS.sum()
    )
    assert growth.drift.n_vanished == len(gone)
    assert np.array_equal(np.unique(growth.tree.tag_leaf), np.arange(growth.tree.n_leaves))


def test_drift_counts_a_new_subject_more_than_more_of_what_is_known():
    known = grown(*with_new(VECTORS[:10])).drift
    rng = np.random.default_rng(9)
    far = rng.normal(size=(10, 16))
    strange = grown(*with_new(far / np.linalg.norm(far, axis=1, keepdims=True))).drift
    share = 100 / (COUNTS.sum() + 100)
    assert 0 < known.attached < 2 * share
    assert strange.attached > 2 * share
    assert known.n_attached == strange.n_attached == 10


def test_drift_adds_up_over_growths_until_a_build_places_the_tags():
    first = grown(*with_new(vectors_in_groups(5, seed=3)[0]))
    tags, counts, vectors = with_new(vectors_in_groups(9, seed=3)[0])
    second = grown(tags, counts, vectors, tree=first.tree)
    assert second.drift.attached > first.drift.attached > 0
    assert grown(tags, counts, vectors, tree=second.tree, placed=placed_by(tags, counts)).drift.value == 0


def test_there_is_nothing_to_grow_from_with_other_vectors_or_without_a_tag_in_common():
    assert grown(TAGS, COUNTS, VECTORS[:, :5]) is None
    assert grown([f"new {i}" for i in range(60)], COUNTS, VECTORS) is None
