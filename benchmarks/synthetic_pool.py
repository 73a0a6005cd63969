"""Synthetic pools of any size: a tree, rows whose concepts follow it with a long tail, qualities, targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from tags_assets.method.tree.knowledge_tree import KnowledgeTree

if TYPE_CHECKING:
    from numpy.typing import NDArray


def make_tree(level_sizes: list[int], *, seed: int = 0, n_dims: int = 8) -> KnowledgeTree:
    """Build a random tree of the given level sizes, leaves first; a root is put on top."""
    rng = np.random.default_rng(seed)
    sizes = [*level_sizes, 1]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    n = int(starts[-1])
    parent = np.full(n, -1, dtype=np.int32)
    level = np.zeros(n, dtype=np.int16)
    for h, size in enumerate(sizes):
        level[starts[h] : starts[h + 1]] = h
        if h + 1 < len(sizes):
            # every parent has a child, the rest fall at random
            above = np.concatenate(
                [np.arange(sizes[h + 1]), rng.integers(0, sizes[h + 1], size - sizes[h + 1])]
            )
            parent[starts[h] : starts[h + 1]] = starts[h + 1] + np.sort(above)
    vectors = np.zeros((n, n_dims), dtype=np.float32)
    vectors[-1] = rng.normal(size=n_dims)
    for v in range(n - 2, -1, -1):
        vectors[v] = vectors[parent[v]] + rng.normal(size=n_dims) * 0.6
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    branch = np.zeros(n)
    branch[:-1] = np.maximum(1 - np.sum(vectors[:-1] * vectors[parent[:-1]], axis=1), 1e-3)
    names = (*(f"concept {v}" for v in range(n - 1)), "everything")
    return KnowledgeTree(
        node_ids=tuple(f"n{v}" for v in range(n)),
        parent=parent,
        level=level,
        branch_length=branch,
        names=names,
        descriptions=("",) * n,
        vectors=vectors,
        tags=tuple(f"tag {v}" for v in range(sizes[0])),
        tag_leaf=np.arange(sizes[0], dtype=np.int32),
    )


def make_rows(
    n_rows: int, tree: KnowledgeTree, *, seed: int = 0, concepts: int = 5
) -> tuple[sparse.csr_array, NDArray[np.float64]]:
    """Ground rows: a home leaf from a long tail, the other concepts mostly near it; and qualities."""
    rng = np.random.default_rng(seed)
    leaves = tree.n_leaves
    popularity = 1.0 / np.arange(1, leaves + 1) ** 0.9
    rng.shuffle(popularity)
    popularity /= popularity.sum()
    home = rng.choice(leaves, size=n_rows, p=popularity)
    near = (home[:, None] + rng.geometric(0.15, size=(n_rows, concepts - 1)) - 1) % leaves
    far = rng.choice(leaves, size=(n_rows, concepts - 1), p=popularity)
    others = np.where(rng.random((n_rows, concepts - 1)) < 0.7, near, far)
    columns = np.concatenate([home[:, None], others], axis=1).ravel()
    weights = rng.random((n_rows, concepts)) + 0.2
    weights /= weights.sum(axis=1, keepdims=True)
    indptr = np.arange(0, n_rows * concepts + 1, concepts)
    grounding = sparse.csr_array((weights.ravel(), columns, indptr), shape=(n_rows, leaves))
    grounding.sum_duplicates()
    return grounding, np.clip(rng.beta(5, 2, n_rows), 0.01, 1.0)
