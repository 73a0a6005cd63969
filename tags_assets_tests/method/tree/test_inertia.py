from __future__ import annotations

import numpy as np

from tags_assets.method.tree.inertia import Inertia
from tags_assets_tests.method.tree.trees import small_tree, tag_names, vectors_in_groups

TREE = small_tree(60)


def test_tags_of_one_old_node_lie_nearer_and_the_others_no_nearer():
    vectors, _ = vectors_in_groups(60)
    order = np.argsort(tag_names(60))
    features = vectors[order]
    inertia = Inertia.of(TREE.tags, features, TREE, 0.3)
    leant = inertia.lean(features, TREE.n_leaves)
    assert leant.shape == (60, 16 + 64)
    before, after = features @ features.T, leant @ leant.T
    together = TREE.tag_leaf[:, None] == TREE.tag_leaf
    assert np.allclose(after[together], 0.7 * before[together] + 0.3, atol=1e-5)
    assert np.abs(after[~together] - 0.7 * before[~together]).max() < 0.2


def test_its_strength_falls_with_what_the_vocabularies_share():
    vectors, _ = vectors_in_groups(60)
    tags = [*TREE.tags[:30], *(f"new {i}" for i in range(30))]
    inertia = Inertia.of(tags, vectors, TREE, 0.3)
    assert np.isclose(inertia.strength, 0.3 * 30 / 90)
    assert set(inertia.certainty.tolist()) == {0.5, 1.0}


def test_a_tree_without_a_tag_in_common_or_with_other_vectors_has_no_say():
    vectors, _ = vectors_in_groups(60)
    assert Inertia.of([f"new {i}" for i in range(60)], vectors, TREE, 0.3) is None
    assert Inertia.of(TREE.tags, vectors[:, :5], TREE, 0.3) is None
