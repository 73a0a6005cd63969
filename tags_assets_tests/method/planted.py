"""Random small pools with planted topics, and targets of every kind that ask for one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.method.target.distribution import (
    PoolText,
    TargetDistribution,
    target_from_description,
    target_from_examples,
    target_from_pool,
    target_from_weights,
)
from tags_assets.method.text.embedding import unit
from tags_assets.method.tree.builder import TreeConfig, build_tree
from tags_assets.method.tree.grounding import ground

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy import sparse

    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

N_DIMS = 24


@dataclass(frozen=True, eq=False)
class Planted:
    """A pool; ``topic_mass`` is the share of each row's leaves that is of each topic."""

    tree: KnowledgeTree
    grounding: sparse.csr_array
    quality: NDArray[np.float64]
    vectors: NDArray[np.float32]
    centres: NDArray[np.float32]
    topic_mass: NDArray[np.float64]

    @property
    def n_rows(self) -> int:
        return self.grounding.shape[0]

    @property
    def supply(self) -> NDArray[np.float64]:
        return np.asarray(self.grounding.sum(axis=0)).ravel()


@dataclass(frozen=True, eq=False)
class Asked:
    """A target, and how much of what it asks for each row holds; None where it asks for the pool."""

    kind: str
    target: TargetDistribution
    of_row: NDArray[np.float64] | None


def planted_pool(seed: int) -> Planted:
    """Two to eight topics; rows of one to eight tags, up to half of them of other topics than their own."""
    rng = np.random.default_rng(seed)
    n_topics, n_rows = int(rng.integers(2, 9)), int(rng.integers(20, 400))
    n_tags = int(rng.integers(3 * n_topics, 14 * n_topics))
    centres = unit(rng.normal(size=(n_topics, N_DIMS)).astype(np.float32))
    topic_of_tag = np.arange(n_tags) % n_topics
    noise = rng.uniform(0.2, 0.9) * rng.normal(size=(n_tags, N_DIMS)) / np.sqrt(N_DIMS)
    tag_vectors = unit((centres[topic_of_tag] + noise).astype(np.float32))
    topic = rng.choice(n_topics, n_rows, p=rng.dirichlet(np.full(n_topics, 2.0)))
    stray = rng.uniform(0, 0.5)
    held = np.zeros((n_rows, n_tags))
    for i in range(n_rows):
        own = np.flatnonzero(topic_of_tag == topic[i])
        n = int(rng.integers(1, 9))
        tags = np.where(rng.random(n) >= stray, rng.choice(own, n), rng.integers(0, n_tags, n))
        held[i, tags] = rng.random(n) + 0.1
    names = [f"tag {j}" for j in range(n_tags)]
    row, tag = np.nonzero(held)
    frame = pl.DataFrame(
        {"instance_id": row.astype(str), "tag": np.array(names)[tag], "weight": held[row, tag]}
    )
    counts = np.maximum((held > 0).sum(axis=0), 1)
    config = TreeConfig(tags_per_leaf=2, branching=2.5, n_roots=3)
    tree = build_tree(names, counts, tag_vectors, config=config)
    grounding = ground(frame, tree, pl.Series(np.arange(n_rows).astype(str)))
    of_leaf = np.zeros((tree.n_leaves, n_topics))
    np.add.at(of_leaf, (tree.tag_leaf, [int(name.split()[1]) % n_topics for name in tree.tags]), 1.0)
    rows = held @ tag_vectors + 0.1 * rng.normal(size=(n_rows, N_DIMS)) / np.sqrt(N_DIMS)
    return Planted(
        tree=tree,
        grounding=grounding,
        quality=rng.beta(5, 2, n_rows),
        vectors=unit(rows.astype(np.float32)),
        centres=centres,
        topic_mass=np.asarray(grounding @ (of_leaf / of_leaf.sum(axis=1, keepdims=True))),
    )


def planted_targets(pool: Planted, seed: int) -> Iterator[Asked]:
    """Examples, a description, the pool, and weights on each node of the tree."""
    rng = np.random.default_rng(seed)
    topic = int(rng.integers(0, len(pool.centres)))
    of_row = pool.topic_mass[:, topic]
    own = np.flatnonzero(of_row > 0.5)
    if len(own) >= 3:
        some = np.sort(rng.choice(own, min(len(own), int(rng.integers(1, 8))), replace=False))
        text = PoolText(pool.vectors[some], pool.vectors, pool.grounding)
        for kind, told in (("examples", text), ("examples without text", None)):
            target = target_from_examples(pool.grounding[some], pool.tree, pool.supply, text=told)
            yield Asked(kind, target, of_row)
        target = target_from_description(
            pool.centres[[topic]],
            pool.tree,
            pool.supply,
            row_vectors=pool.vectors,
            grounding=pool.grounding,
        )
        yield Asked("description", target, of_row)
    yield Asked("pool", target_from_pool(pool.tree, pool.supply), None)
    for node in range(pool.tree.root):
        under = pool.grounding @ pool.tree.ancestors[:, [node]].toarray().ravel()
        target = target_from_weights({pool.tree.node_ids[node]: 1.0}, pool.tree, pool.supply)
        yield Asked("weights", target, under)
