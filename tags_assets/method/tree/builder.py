"""The knowledge tree, built bottom-up in rounds: cluster a level, refine, go on with the clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from tags_assets.errors import UserError
from tags_assets.method.tree.clustering import group_sums, sharpen, unit, ward, ward_in_blocks
from tags_assets.method.tree.field_prior import lean
from tags_assets.method.tree.inertia import Inertia
from tags_assets.method.tree.knowledge_tree import KnowledgeTree
from tags_assets.method.tree.naming import ROWS_POWER, TagNames
from tags_assets.method.tree.node_identity import node_ids
from tags_assets.method.tree.refinement import Concept, OfflineRefiner, describe
from tags_assets.method.tree.rounds import Level, Limits, parents_of, refine, rename, settle
from tags_assets.method.tree.subject_names import SubjectNames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tags_assets.method.concepts.fields import Subjects
    from tags_assets.method.tree.refinement import Refiner

ROOT_NAME = "all concepts"

TINY = 1e-6
"""A shorter branch is rounding: the node and its parent have the same vector."""


@dataclass(frozen=True)
class TreeConfig:
    """Shape of the tree.

    Attributes
    ----------
    tags_per_leaf
        Mean number of tags that make a leaf.
    branching
        Mean number of children of the nodes above the leaves, about: the levels are spaced evenly.
    n_roots
        Nodes just below the root, about; the square root of the number of leaves where that is less.
    max_levels
        Most levels, the leaves and the root included.
    leaf_sharpness, sharpness_step, max_sharpness
        Power to which the covariance of the tags is raised (`clustering.sharpen`) for the leaves, how much it
        grows per round, and where it stops: leaves hold what means the same, upper nodes what belongs
        together.
    capacity
        Largest cluster that a merge or a move may make, in means of its level.
    doubt
        By how much another parent must suit a child better (in cosine) for the refiner to be asked about it.
    exact_up_to
        Nodes of a level up to which linkage is exact.
    block
        Nodes in a block beyond that.
    inertia
        Share that the tree before has in where a tag goes, in [0, 1), times the overlap of the vocabularies.
    refine_leaves
        Whether the refiner given also sees the leaves; else those are refined offline. There are many, and a
        leaf's most typical tag is a good name for it.
    """

    tags_per_leaf: float = 4.0
    branching: float = 4.0
    n_roots: int = 12
    max_levels: int = 10
    leaf_sharpness: float = 1.5
    sharpness_step: float = 1.0
    max_sharpness: float = 4.0
    capacity: float = 6.0
    doubt: float = 0.15
    exact_up_to: int = 25_000
    block: int = 5_000
    inertia: float = 0.2
    refine_leaves: bool = False


def build_tree(
    tags: Sequence[str],
    counts: Sequence[int] | NDArray[np.number],
    vectors: NDArray[np.float32],
    *,
    subjects: Subjects | None = None,
    config: TreeConfig | None = None,
    refiner: Refiner | None = None,
    previous: KnowledgeTree | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> KnowledgeTree:
    """Organise tags in one tree.

    The same tags, counts, vectors, answers of the refiner and previous tree give the same tree, whatever the
    order of the tags and the number of threads.

    Parameters
    ----------
    tags
        Distinct tags, (n_tags,), at least one.
    counts
        Rows that bear each tag, (n_tags,). Frequent tags weigh more, by their logarithm.
    vectors
        Unit vectors of the tags, float32 (n_tags, n_dims).
    subjects
        What the tags are about, in their order: tags of one subject lean to one another, and nodes are named
        after subjects. Without them the tags alone decide.
    config
        Shape of the tree.
    refiner
        Who names, merges and moves clusters; the offline refiner unless given.
    previous
        The tree before this one: the new tree leans towards it, as far as their tags are the same
        (`inertia`), and nodes that live on keep their ids.
    progress
        Called with rounds done and rounds in all.

    Raises
    ------
    UserError
        If there is no tag.
    ValueError
        If the lengths differ or a tag occurs twice.
    RuntimeError
        If a round does not shrink its level, which would be an error of this module.
    """
    config, refiner = config or TreeConfig(), refiner or OfflineRefiner()
    order = sorted(range(len(tags)), key=tags.__getitem__)
    tags, counts, vectors = _checked(tags, counts, vectors, order)
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = unit(vectors - mean) if len(tags) > 1 else vectors
    if subjects is not None:
        subjects = replace(subjects, profile=subjects.profile[order])
    subject_names = None if subjects is None else SubjectNames.of(subjects, counts**ROWS_POWER)
    names = TagNames.of(tags, counts, centred, subject_names)
    weights = (1.0 + np.log10(np.maximum(counts, 1.0))).astype(np.float32)
    limits = Limits(config.capacity, config.doubt)

    inertia = Inertia.of(tags, vectors, previous, config.inertia) if previous is not None else None

    level = Level.of_single_tags(names)
    levels: list[Level] = []
    config = replace(config, n_roots=_n_roots(len(tags), config))
    n_rounds = _n_rounds(len(tags), config)
    for r in range(n_rounds):
        n_clusters = _next_size(level.n_nodes, r, n_rounds, config)
        if r > 0 and n_clusters >= level.n_nodes:
            # Merges were many: what is left is a handful already.
            break
        sharpness = min(config.leaf_sharpness + r * config.sharpness_step, config.max_sharpness)
        features = sharpen(vectors, sharpness)
        if subjects is not None:
            features = lean(features, subjects, r, n_rounds)
        if inertia is not None:
            features = inertia.lean(features, n_clusters)
        features = _features(features, level, weights)
        labels = _clusters(features, _sums(weights, level), n_clusters, config)
        asked = refiner if r > 0 or config.refine_leaves else OfflineRefiner()
        parents = refine(names, level, labels, features=features, refiner=asked, limits=limits)
        if r > 0:
            if parents.n_nodes >= level.n_nodes:
                raise RuntimeError(
                    f"round {r} left {parents.n_nodes} of {level.n_nodes} nodes: it must shrink"
                )
            levels[-1], parents = rename(level, parents_of(level, parents), parents, asked)
        levels.append(parents)
        level = parents
        if progress is not None:
            progress(r + 1, n_rounds)
    root = _root(names, level)
    levels[-1], root = rename(level, parents_of(level, root), root, refiner)
    levels = settle([*levels, root])
    if subject_names is not None:
        levels = [replace(level, concepts=subject_names.described(level.concepts)) for level in levels]
    return _assemble(tags, vectors, levels, previous)


def _checked(
    tags: Sequence[str],
    counts: Sequence[int] | NDArray[np.number],
    vectors: NDArray[np.float32],
    order: list[int],
) -> tuple[tuple[str, ...], NDArray[np.float64], NDArray[np.float32]]:
    """Put the tags in order (alphabetical), so that the order in which they came does not matter."""
    if not len(tags):
        raise UserError(
            "no row has a tag, so there is no tree to build",
            fix="See rejected_rows and filtered_rows for rows left out, or try the other tagger.",
        )
    if not len(tags) == len(counts) == len(vectors):
        raise ValueError(
            f"{len(tags)} tags, {len(counts)} counts and {len(vectors)} vectors: they must match"
        )
    if len(set(tags)) < len(tags):
        raise ValueError(f"tags must be distinct: {len(tags)} given, {len(set(tags))} distinct")
    return (
        tuple(tags[i] for i in order),
        np.asarray(counts, dtype=np.float64)[order],
        unit(np.asarray(vectors)[order]),
    )


def _n_leaves(n_tags: int, config: TreeConfig) -> int:
    return min(n_tags, max(config.n_roots, round(n_tags / config.tags_per_leaf)))


def _n_roots(n_tags: int, config: TreeConfig) -> int:
    """Fewer than asked for where there are few leaves: a small tree too has subjects above its leaves."""
    return min(config.n_roots, max(2, round(float(np.sqrt(_n_leaves(n_tags, config))))))


def _n_rounds(n_tags: int, config: TreeConfig) -> int:
    """Count the rounds: the first makes the leaves; the root, above the last, is no round."""
    steps = np.log(_n_leaves(n_tags, config) / config.n_roots) / np.log(config.branching)
    return 1 + int(np.clip(round(float(steps)), 0, max(config.max_levels - 2, 0)))


def _next_size(n_nodes: int, r: int, n_rounds: int, config: TreeConfig) -> int:
    """Size of the level that round ``r`` makes: from here to the roots in equal ratios."""
    if r == 0:
        return _n_leaves(n_nodes, config)
    ratio = (config.n_roots / n_nodes) ** (1.0 / (n_rounds - r))
    return max(1, round(n_nodes * float(ratio)))


def _sums(weights: NDArray[np.float32], level: Level) -> NDArray[np.float64]:
    return np.asarray(np.bincount(level.of_tag, weights=weights, minlength=level.n_nodes), dtype=np.float64)


def _features(
    tag_features: NDArray[np.float32], level: Level, weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Unit means of the features of the tags below each node, (n_nodes, n_features)."""
    return unit(group_sums(level.of_tag, weights[:, None] * tag_features, level.n_nodes))


def _clusters(
    features: NDArray[np.float32], weights: NDArray[np.float64], n_clusters: int, config: TreeConfig
) -> NDArray[np.int64]:
    if n_clusters >= len(features):
        return np.arange(len(features))
    if len(features) <= config.exact_up_to:
        return ward(features, weights).cut(n_clusters)
    return ward_in_blocks(features, weights, block=config.block).cut(n_clusters)


def _root(names: TagNames, level: Level) -> Level:
    """Make the one node above the last level."""
    of_tag = np.zeros(len(names.tags), dtype=np.int64)
    largest = sorted(level.concepts, key=lambda c: (-c.n_rows, c.name))
    members = tuple(c.name for c in largest)
    n_rows = round(float(names.counts.sum()))
    concept = Concept(ROOT_NAME, describe(members, len(of_tag)), len(of_tag), n_rows, members, (ROOT_NAME,))
    return Level(of_tag, unit(names.vectors.sum(axis=0, keepdims=True)), [concept])


def _assemble(
    tags: tuple[str, ...], vectors: NDArray[np.float32], levels: list[Level], previous: KnowledgeTree | None
) -> KnowledgeTree:
    """Number the nodes: level by level, in the order of their ids."""
    ids = node_ids(tags, [level.of_tag for level in levels], previous)
    orders = [
        sorted(range(level.n_nodes), key=own.__getitem__) for level, own in zip(levels, ids, strict=True)
    ]
    starts = np.concatenate([[0], np.cumsum([level.n_nodes for level in levels])])
    number = [np.argsort(order) + start for order, start in zip(orders, starts, strict=False)]
    n_nodes = int(starts[-1])

    parent = np.full(n_nodes, -1, dtype=np.int32)
    centroids = np.empty((n_nodes, vectors.shape[1]), dtype=np.float32)
    for i, level in enumerate(levels):
        if i + 1 < len(levels):
            parent[number[i]] = number[i + 1][parents_of(level, levels[i + 1])]
        centroids[number[i]] = unit(group_sums(level.of_tag, vectors, level.n_nodes))
    products = np.einsum("ij,ij->i", centroids[:-1], centroids[parent[:-1]], dtype=np.float64)
    length = np.append(np.clip(1.0 - products, 0.0, 2.0), 0.0)
    concepts = [level.concepts[v] for level, order in zip(levels, orders, strict=True) for v in order]
    return KnowledgeTree(
        node_ids=tuple(own[v] for own, order in zip(ids, orders, strict=True) for v in order),
        parent=parent,
        level=np.repeat(np.arange(len(levels)), [level.n_nodes for level in levels]).astype(np.int16),
        branch_length=np.where(length < TINY, 0.0, length),
        names=tuple(c.name for c in concepts),
        descriptions=tuple(c.description for c in concepts),
        vectors=centroids,
        tags=tags,
        tag_leaf=number[0][levels[0].of_tag].astype(np.int32),
    )
