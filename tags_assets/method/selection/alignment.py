"""How near a selection comes to its target, and how near any selection could.

T is the target, pi the pool, both positive on every leaf and of sum 1. A selection S of k rows has leaf
masses n_l(S) and the smoothed distribution P_S(l) = (n_l + a_l) / (k + a) with a_l = a pi_l (Jelinek-Mercer
smoothing with the pool: a leaf without a pick counts as the pool has it). KL(T || P_S) asks whether
everything that the target wants is there, KL(P_S || T) whether what is there is wanted. In nats. Formulas
ours, on the design's terms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import sparse

from tags_assets.method.selection.certificate import linear_maximum, upper_bound
from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.objective import Objective
from tags_assets.method.target.distribution import (
    TargetDistribution,
    kl,
    pool_distribution,
    target_from_description,
    target_from_examples,
    target_from_pool,
    target_from_weights,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

__all__ = [
    "TargetDistribution",
    "closeness",
    "coverage_objective",
    "departure",
    "kl",
    "kl_floor",
    "pool_distribution",
    "prior",
    "sample_distribution",
    "shortages",
    "target_from_description",
    "target_from_examples",
    "target_from_pool",
    "target_from_weights",
]

FLOOR_STEPS = 60
"""Frank-Wolfe steps to the floor of the KL. So many bound it more tightly than greedy and 30 steps from
there did, on all targets and budgets tried, and cost a tenth of that where rows are many."""

_BLOCK = 8192  # rows whose vectors are dense at once

PRIOR_SHARE = 0.05
"""a as a share of the rows that the budget buys: how far P_S leans on the pool."""

SHORTAGE_SCHEMA: dict[str, pl.DataType] = {
    "node_id": pl.String(),
    "path": pl.String(),
    "level": pl.Int16(),
    "wanted": pl.Float64(),
    "supply": pl.Float64(),
    "reached": pl.Float64(),
    "missing": pl.Float64(),
}
"""Columns of `shortages`, in rows' mass: what the target asks for, what the pool holds, what the selection
has, and by how much the pool falls short."""


def prior(target: TargetDistribution, n_picks: float) -> NDArray[np.float64]:
    """a_l = PRIOR_SHARE n_picks pi_l, float64 (n_leaves,)."""
    return PRIOR_SHARE * n_picks * target.pool


def sample_distribution(mass: NDArray[np.float64], capacity: NDArray[np.float64]) -> NDArray[np.float64]:
    """P_S(l) = (n_l + a_l) / (k + a), float64 (n_leaves,), from the leaf masses n and the prior a_l."""
    smoothed = mass + capacity
    share: NDArray[np.float64] = smoothed / smoothed.sum()
    return share


def closeness(grounding: sparse.csr_array, target: TargetDistribution) -> NDArray[np.float64]:
    """Score each row by sum over l of p_i(l) log(T_l / pi_l): how much more the target would have it than the
    pool.

    Moore and Lewis's cross-entropy difference (2010) and DSIR's importance weight (2023), on the tree.
    float64 (n_rows,), in nats.
    """
    return np.asarray(grounding @ np.log(target.mass / target.pool))


def departure(
    grounding: sparse.csr_array, target: TargetDistribution, tree: KnowledgeTree
) -> NDArray[np.float64]:
    """Measure how far rows depart from the pool's mixture: ||sum over l of p_i(l) u_l||, float64 (n_rows,).

    u_l is the leaf's vector, centred on the pool and of unit length, so concepts that mean the same add up
    and concepts that point apart cancel. Held at a quarter of the mean at least.
    """
    leaves = tree.vectors[: tree.n_leaves] - (target.pool @ tree.vectors[: tree.n_leaves]).astype(np.float32)
    leaves /= np.maximum(np.linalg.norm(leaves, axis=1, keepdims=True), 1e-6)
    single = sparse.csr_array(
        (grounding.data.astype(np.float32), grounding.indices, grounding.indptr), shape=grounding.shape
    )
    length = np.empty(grounding.shape[0])
    for start in range(0, len(length), _BLOCK):
        block = slice(start, start + _BLOCK)
        length[block] = np.linalg.norm(np.asarray(single[block] @ leaves), axis=1)
    mean = float(length.mean()) if len(length) else 0.0
    return np.maximum(length, 0.25 * mean) if mean > 0 else np.ones(len(length))


def kl_floor(
    target: TargetDistribution,
    grounding: sparse.csr_array,
    n_picks: int,
    capacity: NDArray[np.float64],
    *,
    max_steps: int = FLOOR_STEPS,
) -> float:
    """Bound from below the KL(T || P_S) of every selection of `n_picks` rows.

    Two bounds hold, and the larger is given: *water-filling*, which lets each leaf be filled to its supply as
    if rows could be cut along their concepts; and the certificate of coverage over whole rows, after
    Frank-Wolfe steps from the rows that serve the water-filled masses best. Rows carry mixtures, so the
    second is mostly higher.

    Parameters
    ----------
    target
        T.
    grounding
        p_i(l) of the rows that may be picked, float64 CSR (n_rows, n_leaves), rows of sum 1.
    n_picks
        Rows in a selection.
    capacity
        a_l, float64 (n_leaves,).
    max_steps
        Frank-Wolfe steps.
    """
    if n_picks <= 0 or n_picks > grounding.shape[0]:
        raise ValueError(f"{n_picks} picks of {grounding.shape[0]} rows")
    filled = _water_fill(target.mass, capacity, _reachable(grounding, n_picks), float(n_picks))
    total = float(n_picks + capacity.sum())
    entropy = float(np.dot(target.mass, np.log(target.mass)))
    cross = float(np.dot(target.mass, np.log((filled + capacity) / total)))
    # A filling that is off by rounding only is off by less than this.
    floor = entropy - cross - 1e-9
    coverage = coverage_objective(target, grounding, capacity)
    constraints = build_constraints(coverage.n_rows, n_picks)
    nearest, _ = linear_maximum(coverage.gradient(filled), constraints)
    rows = np.flatnonzero(nearest.share)
    start = coverage.masses(rows, nearest.share[rows])
    bound, _ = upper_bound(coverage, constraints, start, 0.0, max_steps=max_steps)
    # Grounding is stored in float32 there: masses are off by 1e-7 of themselves at most.
    whole_rows = entropy - float(np.dot(target.mass, np.log(capacity / total))) - bound - 1e-6
    return max(0.0, floor, whole_rows)


def coverage_objective(
    target: TargetDistribution, grounding: sparse.csr_array, capacity: NDArray[np.float64]
) -> Objective:
    """Coverage alone as an objective: sum over l of T_l log((n_l + a_l) / a_l)."""
    return Objective(
        indptr=grounding.indptr.astype(np.int64),
        indices=grounding.indices.astype(np.int32),
        values=grounding.data.astype(np.float32),
        weight=target.mass / capacity,
        capacity=capacity,
        bonus=np.zeros(grounding.shape[0]),
    )


def _reachable(grounding: sparse.csr_array, n_picks: int) -> NDArray[np.float64]:
    """Most mass that `n_picks` rows can bring to each leaf: the sum of its largest entries."""
    columns = grounding.tocsc()
    order = np.lexsort((-columns.data, np.repeat(np.arange(columns.shape[1]), np.diff(columns.indptr))))
    running = np.concatenate([[0.0], np.cumsum(columns.data[order])])
    last = np.minimum(columns.indptr[:-1] + n_picks, columns.indptr[1:])
    most: NDArray[np.float64] = running[last] - running[columns.indptr[:-1]]
    return np.maximum(most * (1 + 1e-12) + 1e-12, 0.0)


def _water_fill(
    mass: NDArray[np.float64], capacity: NDArray[np.float64], supply: NDArray[np.float64], total: float
) -> NDArray[np.float64]:
    """Maximise sum T_l log(n_l + a_l) over 0 <= n_l <= supply_l, sum n = total, by n_l = T_l / mu - a_l."""
    if supply.sum() <= total:
        return supply
    low, high = 0.0, float(mass.max() / capacity.min()) + 1.0  # of mu; the larger, the less is filled
    low = min(1e-12, high)
    for _ in range(200):
        middle = np.sqrt(low * high)
        if np.clip(mass / middle - capacity, 0.0, supply).sum() > total:
            low = middle
        else:
            high = middle
    return np.clip(mass / low - capacity, 0.0, supply)


def shortages(
    target: TargetDistribution,
    tree: KnowledgeTree,
    n_picks: float,
    *,
    supply: NDArray[np.float64] | None = None,
    reached: NDArray[np.float64] | None = None,
    least: float = 0.5,
) -> pl.DataFrame:
    """List the concepts of which the target asks for more than the pool holds: what data to go and get.

    Parameters
    ----------
    target
        T.
    tree
        The knowledge tree.
    n_picks
        Rows in the selection.
    supply
        Mass at each leaf of the rows that may be picked, where they are fewer than the eligible ones.
    reached
        Mass at each leaf of the selection, float64 (n_leaves,); null in the frame where it is not given.
    least
        Missing mass, in rows, from which a concept is listed.

    Returns
    -------
    pl.DataFrame
        `SHORTAGE_SCHEMA`, one row per node of any level, most missing first. A node lacks what it asks for
        beyond its own supply; a parent may lack less than its children together.
    """
    held = target.supply if supply is None else supply
    wanted = n_picks * np.asarray(tree.ancestors.T @ target.mass)
    has = np.asarray(tree.ancestors.T @ held)
    missing = wanted - has
    short = np.flatnonzero(missing >= least)
    short = short[np.lexsort((short, -missing[short]))]
    ids: Sequence[str] = [tree.node_ids[v] for v in short]
    return pl.DataFrame(
        {
            "node_id": ids,
            "path": [tree.paths[v] for v in short],
            "level": tree.level[short],
            "wanted": wanted[short],
            "supply": has[short],
            "reached": None if reached is None else np.asarray(tree.ancestors.T @ reached)[short],
            "missing": missing[short],
        },
        schema=SHORTAGE_SCHEMA,
    )
