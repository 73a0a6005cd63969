"""Trees, vectors and refiners to test with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tags_assets.method.tree.builder import TreeConfig, build_tree
from tags_assets.method.tree.refinement import name_key

if TYPE_CHECKING:
    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

WORDS = ["algebra", "budget", "cell", "drug", "energy", "forest", "gene", "harbor"]


def vectors_in_groups(n_tags, n_groups=6, n_dims=16, seed=0, noise=0.35):
    """Unit vectors around random centres, and the group of each."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_groups, n_dims))
    group = np.arange(n_tags) % n_groups
    x = centres[group] / np.linalg.norm(centres[group], axis=1, keepdims=True)
    x = x + noise * rng.normal(size=x.shape) / np.sqrt(n_dims)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), group


def tag_names(n_tags):
    """Distinct tags of one to three words."""
    return [" ".join(WORDS[i // 8**p % 8] for p in range(3))[:40] + f" {i}" for i in range(n_tags)]


def small_tree(n_tags=60, seed=0, config=None, **kwargs):
    vectors, _ = vectors_in_groups(n_tags, seed=seed)
    counts = np.random.default_rng(seed).integers(1, 50, n_tags)
    config = config or TreeConfig(tags_per_leaf=2, branching=2.5, n_roots=3)
    return build_tree(tag_names(n_tags), counts, vectors, config=config, **kwargs)


def assert_valid(tree: KnowledgeTree, tags, max_levels=10):
    """Every promise of `KnowledgeTree`, and those of the names."""
    n = tree.n_nodes
    assert sorted(tree.tags) == sorted(tags)
    assert len(set(tree.node_ids)) == n
    assert tree.parent[tree.root] == -1
    assert np.all(tree.parent[:-1] > np.arange(n - 1))
    assert np.all(tree.level[tree.parent[:-1]] == tree.level[:-1] + 1)
    assert np.all(np.diff(tree.level) >= 0)
    assert int(tree.level.max()) + 1 <= max_levels
    per_level = np.bincount(tree.level)
    assert per_level[-1] == 1
    assert np.all(np.diff(per_level[:-1]) < 0), f"a level did not shrink: {per_level}"
    assert set(tree.parent[:-1].tolist()) == set(np.flatnonzero(tree.level > 0).tolist()), (
        "a node has no child"
    )
    assert set(tree.tag_leaf.tolist()) == set(range(tree.n_leaves)), "a leaf has no tag"
    assert tree.tags_below[tree.root] == len(tags)
    assert np.allclose(np.linalg.norm(tree.vectors, axis=1), 1, atol=1e-5)
    assert np.all(tree.branch_length >= 0)
    assert tree.branch_length[tree.root] == 0
    for v in np.flatnonzero(tree.level > 0):
        children = np.flatnonzero(tree.parent == v)
        keys = [name_key(tree.names[c]) for c in children]
        assert all(tree.names[c].strip() for c in children)
        assert len(set(keys)) == len(keys), f"siblings named alike: {keys}"
        if len(children) > 1:
            assert name_key(tree.names[v]) not in keys, "a child is named like its parent"
    # A path of names leads to one concept; the only child of a node below the root is that node.
    n_children = np.bincount(tree.parent[:-1], minlength=n)
    only = [v for v in range(n - 1) if n_children[tree.parent[v]] == 1 and tree.parent[v] != tree.root]
    assert len(set(tree.paths)) == n - len(only)
    for name, description in zip(tree.names, tree.descriptions, strict=True):
        assert "\n" not in name + description
        assert len(name) <= 80
        assert " > " not in name
