"""Growth: a tree takes up new tags where they fit, and says how far it has drifted from its last build."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.method.tree.clustering import nearest_rows, unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

PLACED_SCHEMA: dict[str, pl.DataType] = {"tag": pl.String(), "mass": pl.Int64()}
"""Columns of the table ``knowledge_tree_placed``: the tags that the last rebuild placed, and the rows that
held each then."""


@dataclass(frozen=True)
class Drift:
    """How far the vocabulary has moved away from the one that the tree was built on.

    Attributes
    ----------
    attached
        Share of the tag mass (rows that hold a tag, summed) whose tags were attached since, each weighed by
        how badly it fits: 1 - cos(tag, its leaf) over the mean of the same among the tags that the build
        placed. New spellings of what is known count little, a new subject several times its share.
    vanished
        Share of the tag mass at the build whose tags are gone.
    n_attached, n_vanished
        Numbers of those tags.
    """

    attached: float
    vanished: float
    n_attached: int
    n_vanished: int

    @property
    def value(self) -> float:
        """What the threshold is for."""
        return self.attached + self.vanished


@dataclass(frozen=True, eq=False)
class Growth:
    """A tree that was grown, and its drift."""

    tree: KnowledgeTree
    drift: Drift


def grow(
    tree: KnowledgeTree,
    tags: Sequence[str],
    counts: Sequence[int] | NDArray[np.number],
    vectors: NDArray[np.float32],
    *,
    placed: pl.DataFrame,
) -> Growth | None:
    """Attach new tags to the leaves that they fit and drop those that vanished; all else stays as it is.

    Nodes keep their ids, names, vectors and branch lengths, so that a target means the same and a row's gain
    changes only where its tags do. A node below which no tag is left goes. Linear in the new tags, where a
    build is not; whether the tree should be built anew instead is for `Growth.drift` to say.

    Parameters
    ----------
    tree
        The tree before, grown or built.
    tags, counts, vectors
        The vocabulary now: distinct tags, rows that hold each, unit vectors float32 (n_tags, n_dims).
    placed
        ``PLACED_SCHEMA``: what the last build placed.

    Returns
    -------
    Growth | None
        None where the tree has other vectors, or none of the tags: there is nothing to grow from.
    """
    if tree.vectors.shape[1] != vectors.shape[1]:
        return None
    old = dict(zip(tree.tags, tree.tag_leaf.tolist(), strict=True))
    leaf = np.array([old.get(tag, -1) for tag in tags], dtype=np.int64)
    new = leaf < 0
    if new.all():
        return None
    vectors = unit(np.asarray(vectors))
    leaf[new] = nearest_rows(vectors[new], tree.vectors[: tree.n_leaves])
    drift = _drift(tags, np.asarray(counts, dtype=np.float64), _misfit(vectors, leaf, tree), placed)
    order = sorted(range(len(tags)), key=tags.__getitem__)
    grown = replace(tree, tags=tuple(tags[i] for i in order), tag_leaf=leaf[order].astype(np.int32))
    return Growth(_without_empty_nodes(grown), drift)


def vocabulary_drift(
    tags: Sequence[str] | pl.Series, counts: Sequence[int] | NDArray[np.number], placed: pl.DataFrame
) -> float:
    """Share of the tag mass that is new since the tags were placed, and of that placed which is gone."""
    mass = np.asarray(counts, dtype=np.float64)
    return _drift(list(tags), mass, np.zeros(len(mass)), placed).value


def placed_by(tags: Sequence[str] | pl.Series, counts: Sequence[int] | NDArray[np.number]) -> pl.DataFrame:
    """Note what a build placed, ``PLACED_SCHEMA``, for the drift of those that grow from it."""
    return pl.DataFrame({"tag": list(tags), "mass": np.asarray(counts)}, schema=PLACED_SCHEMA).sort("tag")


def _misfit(
    vectors: NDArray[np.float32], leaf: NDArray[np.int64], tree: KnowledgeTree
) -> NDArray[np.float64]:
    """1 - cos(tag, its leaf), (n_tags,)."""
    products = np.einsum("ij,ij->i", vectors, tree.vectors[leaf], dtype=np.float64)
    return np.asarray(np.clip(1.0 - products, 0.0, 2.0))


def _drift(
    tags: Sequence[str], mass: NDArray[np.float64], misfit: NDArray[np.float64], placed: pl.DataFrame
) -> Drift:
    before = dict(zip(placed["tag"], placed["mass"].to_list(), strict=True))
    attached = np.array([tag not in before for tag in tags])
    known = mass[~attached]
    typical = float(known @ misfit[~attached] / known.sum()) if known.sum() else 0.0
    # Where every leaf is one tag, nothing built is off its leaf: then new mass counts as it is.
    relative = misfit[attached] / typical if typical > 0 else np.ones(int(attached.sum()))
    gone = set(before) - set(tags)
    return Drift(
        attached=float(mass[attached] @ relative / max(mass.sum(), 1.0)),
        vanished=sum(before[tag] for tag in sorted(gone)) / max(sum(before.values()), 1),
        n_attached=int(attached.sum()),
        n_vanished=len(gone),
    )


def _without_empty_nodes(tree: KnowledgeTree) -> KnowledgeTree:
    held = tree.tags_below > 0
    if held.all():
        return tree
    number = np.cumsum(held) - 1
    kept = np.flatnonzero(held)
    parent = tree.parent[kept]
    return replace(
        tree,
        node_ids=tuple(tree.node_ids[v] for v in kept),
        parent=np.where(parent < 0, -1, number[parent]).astype(np.int32),
        level=tree.level[kept],
        branch_length=tree.branch_length[kept],
        names=tuple(tree.names[v] for v in kept),
        descriptions=tuple(tree.descriptions[v] for v in kept),
        vectors=tree.vectors[kept],
        tag_leaf=number[tree.tag_leaf].astype(np.int32),
    )
