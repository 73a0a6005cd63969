"""Diversity of a set of rows on the tree, in the standard terms of ecology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

LEVEL_SCHEMA: dict[str, pl.DataType] = {
    "level": pl.Int64(),
    "nodes": pl.Int64(),
    "covered": pl.Int64(),
    "hill_0": pl.Float64(),
    "hill_1": pl.Float64(),
    "hill_2": pl.Float64(),
}
"""One row per level: its nodes, those with mass, and Hill numbers of order 0, 1 and 2 over their shares."""


@dataclass(frozen=True, eq=False)
class Diversity:
    """How varied a set of rows is.

    Attributes
    ----------
    faith_pd
        Faith's phylogenetic diversity (1992): branch length of all nodes with mass.
    faith_pd_share
        The same as a share of the whole tree's.
    rao
        Rao's quadratic entropy (1982): mean tree distance between two draws of mass, with replacement.
    levels
        `LEVEL_SCHEMA`.
    """

    faith_pd: float
    faith_pd_share: float
    rao: float
    levels: pl.DataFrame


def diversity(leaf_mass: NDArray[np.float64], tree: KnowledgeTree) -> Diversity:
    """Measure the diversity of a set from its mass at each leaf.

    Rao's entropy needs no pair of leaves: the distance of two leaves is the branch length on the way between
    them, and a branch lies on that way when exactly one of the two is below it, so the mean distance is the
    sum over nodes of length_v 2 s_v (1 - s_v), with s_v the share of the mass below v.

    Parameters
    ----------
    leaf_mass
        Mass of the set at each leaf, not negative, float64 (n_leaves,).
    tree
        The knowledge tree.
    """
    mass = np.asarray(tree.ancestors.T @ np.asarray(leaf_mass, dtype=np.float64))
    total = mass[tree.root]
    share = mass / total if total > 0 else mass
    length = tree.branch_length
    covered = share > 0
    faith = float(length[covered].sum())
    levels = [_of_level(int(level), share[tree.level == level]) for level in np.unique(tree.level)]
    return Diversity(
        faith_pd=faith,
        faith_pd_share=faith / max(float(length.sum()), 1e-300),
        rao=float(np.sum(length * 2.0 * share * (1.0 - share))),
        levels=pl.DataFrame(levels, schema=LEVEL_SCHEMA, orient="row"),
    )


def _of_level(level: int, share: NDArray[np.float64]) -> tuple[int, int, int, float, float, float]:
    held = share[share > 0]
    if len(held) == 0:
        return level, len(share), 0, 0.0, 0.0, 0.0
    shannon = float(np.exp(-np.sum(held * np.log(held))))
    simpson = float(1.0 / np.sum(held * held))
    return level, len(share), len(held), float(len(held)), shannon, simpson
