"""The objective: concave coverage of weighted features plus a bonus per row.

Everything that TAGS maximises has one shape, over rows i, features f and a set S of rows::

    F(S) = sum over f of w_f c_f log(1 + m_f(S) / c_f) + sum over S of b_i,    m_f(S) = sum over S of x_if

Information gain is this with the tree's nodes as features (x_iv = q_i a_iv), coverage of a target with the
leaves as features (x_il = p_i(l), c_l = a_l, w_l = T_l / a_l), closeness is the bonus. A blend of them is the
features side by side with their weights scaled. Solver, certificate and attribution know this shape alone.

The formulas are this project's own (those of arXiv 2601.13995 are not public in a copy that could be found);
the shape is feature-based coverage (Wei, Liu, Kirchhoff and Bilmes, 2014) laid on a tree.
"""

# Compiled functions take positional arguments alone.
# ruff: noqa: PLR0917

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import log1p
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

FAIR_TEMPER = 0.5
"""Power of the pool's mass that sets a leaf's fair share: 1 repeats the pool, 0 treats all leaves alike."""

CAPACITY_SHARE = 3.0
"""Capacity of a node as a multiple of its fair share of the budget (measured, see docs/method.md)."""


TEXT_BRANCH = 0.2
"""Length of the branch from a leaf to a text below it, in mean lengths of the way from the root to a leaf."""

TEXT_CAPACITY = 0.5
"""Mass, weighted with quality, at which a text counts as said: half a perfect row."""


@dataclass(frozen=True, eq=False)
class Objective:
    """F(S) over sparse features.

    Attributes
    ----------
    indptr, indices, values
        Features of the rows in CSR form: int64 (n_rows + 1,), int32 (nnz,), float32 (nnz,) and not negative.
        Stored values are exact by definition: every sum is taken over them in float64.
    weight
        w_f >= 0, the slope of feature f at no mass, float64 (n_features,).
    capacity
        c_f > 0, the mass at which a feature counts as covered (its slope has halved), float64 (n_features,).
    bonus
        b_i, of any sign, float64 (n_rows,).
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]
    weight: NDArray[np.float64]
    capacity: NDArray[np.float64]
    bonus: NDArray[np.float64]

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1

    @property
    def n_features(self) -> int:
        return len(self.weight)

    @cached_property
    def scale(self) -> NDArray[np.float64]:
        """w_f c_f, float64 (n_features,)."""
        return self.weight * self.capacity

    def reweighted(
        self, weight: NDArray[np.float64], capacity: NDArray[np.float64], bonus: NDArray[np.float64]
    ) -> Objective:
        """Keep the features (shared, not copied) under other weights, capacities and bonuses."""
        return replace(self, weight=weight, capacity=capacity, bonus=bonus)

    def masses(
        self, rows: NDArray[np.integer], shares: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Sum x_if over `rows`, each taken by its share (1 where none is given): m, float64 (n_features,)."""
        if shares is None:
            shares = np.ones(len(rows))
        out: NDArray[np.float64] = _masses(
            rows.astype(np.int64), shares, self.indptr, self.indices, self.values, self.n_features
        )
        return out

    def concave_value(self, mass: NDArray[np.float64]) -> float:
        """Sum of w_f c_f log(1 + m_f / c_f): F without the bonuses."""
        return float(np.dot(self.scale, np.log1p(mass / self.capacity)))

    def value(self, rows: NDArray[np.integer]) -> float:
        """F(rows)."""
        return self.concave_value(self.masses(rows)) + float(self.bonus[rows].sum())

    def slopes(self, mass: NDArray[np.float64]) -> NDArray[np.float64]:
        """dF/dm_f at the given masses, float64 (n_features,)."""
        slope: NDArray[np.float64] = self.scale / (self.capacity + mass)
        return slope

    def gradient(self, mass: NDArray[np.float64]) -> NDArray[np.float64]:
        """dF/dy_i at the given masses: b_i + sum over f of x_if dF/dm_f, float64 (n_rows,)."""
        out: NDArray[np.float64] = _gradient(
            self.indptr, self.indices, self.values, self.slopes(mass), self.bonus
        )
        return out

    def gains(self, mass: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each row would add to a set that has the given masses, float64 (n_rows,)."""
        out: NDArray[np.float64] = _gains(
            self.indptr, self.indices, self.values, self.scale, self.capacity + mass, self.bonus
        )
        return out


@dataclass(frozen=True, eq=False)
class NodeWeights:
    """How much each node of the tree counts: w_v and c_v, float64 (n_nodes,)."""

    weight: NDArray[np.float64]
    capacity: NDArray[np.float64]


def fair_shares(
    pool: NDArray[np.float64], target: NDArray[np.float64], alignment: float
) -> NDArray[np.float64]:
    """Say what share of a budget each leaf should have (ours): (1 - lambda) pi_l^0.5 normalised + lambda T_l.

    The root lies between the pool's own mixture and every concept alike, as in temperature sampling; a target
    says itself what shares it wants. So the information that is gained is counted where it is asked for, and
    at lambda 0 the target has no say. float64 (n_leaves,), sums to 1.
    """
    tempered = pool**FAIR_TEMPER
    shares: NDArray[np.float64] = (1 - alignment) * tempered / tempered.sum() + alignment * target
    return shares


def node_weights(
    tree: KnowledgeTree,
    fair: NDArray[np.float64],
    budget_mass: float,
    *,
    capacity_share: float = CAPACITY_SHARE,
) -> NodeWeights:
    """Choose w_v and c_v of the information gain (ours).

    c_v is a multiple of the node's fair share of the mass that the budget buys, the sum over its leaves. So
    one selection can be fair on every level at once, and every level has the same total capacity. At small
    budgets a leaf's capacity is far below one row's mass, all leaves saturate at a touch and the upper levels
    decide; at large budgets the leaves do.

    w_v is the branch length 1 - cos(node, parent): as in Faith's phylogenetic diversity, covering a branch is
    worth its length. Levels then count by their mean branch length, near-synonymous siblings count little,
    and a node that merely repeats its parent (an only child, and the root) counts nothing.

    Parameters
    ----------
    tree
        The knowledge tree.
    fair
        Fair share of each leaf, float64 (n_leaves,), sums to 1.
    budget_mass
        Rows that the budget buys times their mean quality.
    capacity_share
        The multiple.
    """
    capacity = np.asarray(tree.ancestors.T @ fair) * (budget_mass * capacity_share)
    # A node that no row can reach still needs a capacity to divide by.
    return NodeWeights(np.maximum(tree.branch_length, 0.0), np.maximum(capacity, 1e-9))


def tree_objective(
    grounding: sparse.csr_array,
    tree: KnowledgeTree,
    quality: NDArray[np.float64],
    nodes: NodeWeights,
    *,
    coverage_capacity: NDArray[np.float64] | None = None,
) -> Objective:
    """Lay out the features of the rows: nodes of the tree, then (for a target) its leaves.

    Parameters
    ----------
    grounding
        p_i(l), positive, float64 CSR (n_rows, n_leaves), no leaf stored twice in a row.
    tree
        The knowledge tree; nodes of weight 0 take no room.
    quality
        q_i in [0, 1], float64 (n_rows,).
    nodes
        w_v and c_v.
    coverage_capacity
        a_l, float64 (n_leaves,); adds features ``n_nodes + l`` of value p_i(l) and capacity a_l.

    Returns
    -------
    Objective
        Weighted as information gain alone: bonuses and the weights of coverage are 0 until reweighted.
    """
    leaves, in_indptr = grounding.indices.astype(np.int32), grounding.indptr.astype(np.int64)
    counted = nodes.weight > 0
    counts = _count_features(in_indptr, leaves, tree.parent, counted)
    if coverage_capacity is not None:
        counts += np.diff(in_indptr)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    # Arrays of this size are made by numpy, which asks for huge pages: the solver reads rows in no order.
    indices, values = np.empty(indptr[-1], dtype=np.int32), np.empty(indptr[-1], dtype=np.float32)
    _write_features(in_indptr, leaves, grounding.data, quality, tree.parent, counted, indptr, indices, values)
    weight, capacity = nodes.weight, nodes.capacity
    if coverage_capacity is not None:
        weight = np.concatenate([weight, np.zeros(tree.n_leaves)])
        capacity = np.concatenate([capacity, coverage_capacity])
    return Objective(indptr, indices, values, weight, capacity, np.zeros(len(quality)))


def with_texts(
    objective: Objective, groups: NDArray[np.int64], quality: NDArray[np.float64], weight: float
) -> Objective:
    """Put the groups of nearly the same text behind the features of an objective.

    A group is a feature of value q_i for its rows. What the first of them would gain by it is taken off as a
    bonus, so that a text said for the first time counts nothing, and one said again counts less than nothing.

    Parameters
    ----------
    objective
        Of the rows.
    groups
        Group of each row, int64 (n_rows,), negative where it is of none.
    quality
        q_i, float64 (n_rows,).
    weight
        Of each group, at a capacity of `TEXT_CAPACITY`.
    """
    grouped = groups >= 0
    n_groups = int(groups.max(initial=-1)) + 1
    at = objective.indptr[1:][grouped]
    values = np.where(grouped, quality, 0.0).astype(np.float32)  # exact by definition, as all features are
    said = weight * TEXT_CAPACITY
    return Objective(
        indptr=objective.indptr + np.concatenate([[0], np.cumsum(grouped)]),
        indices=np.insert(objective.indices, at, (objective.n_features + groups[grouped]).astype(np.int32)),
        values=np.insert(objective.values, at, values[grouped]),
        weight=np.concatenate([objective.weight, np.full(n_groups, weight)]),
        capacity=np.concatenate([objective.capacity, np.full(n_groups, TEXT_CAPACITY)]),
        # by the arithmetic of `row_gain`, so that a first row's two parts cancel
        bonus=objective.bonus - said * np.log1p(values.astype(np.float64) / TEXT_CAPACITY),
    )


@njit(cache=True, nogil=True)
def row_gain(
    row: int,
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
    scale: NDArray[np.float64],
    filled: NDArray[np.float64],
    bonus: NDArray[np.float64],
) -> float:
    """F(S + row) - F(S) where ``filled`` is c_f + m_f(S): the one arithmetic that every gain is taken by.

    Division, product and sum are monotone in float64, so a gain taken later is never larger but for the last
    bit of log1p; the solver allows for that bit.
    """
    total: float = bonus[row]
    for j in range(indptr[row], indptr[row + 1]):
        f = indices[j]
        if scale[f] > 0.0:
            total += scale[f] * log1p(values[j] / filled[f])
    return total


@njit(cache=True, nogil=True)
def _gains(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
    scale: NDArray[np.float64],
    filled: NDArray[np.float64],
    bonus: NDArray[np.float64],
) -> NDArray[np.float64]:
    out = np.empty(len(bonus))
    for i in range(len(bonus)):
        out[i] = row_gain(i, indptr, indices, values, scale, filled, bonus)
    return out


@njit(cache=True, nogil=True)
def _gradient(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
    slope: NDArray[np.float64],
    bonus: NDArray[np.float64],
) -> NDArray[np.float64]:
    out = bonus.copy()
    for i in range(len(bonus)):
        total = 0.0
        for j in range(indptr[i], indptr[i + 1]):
            total += slope[indices[j]] * values[j]
        out[i] += total
    return out


@njit(cache=True, nogil=True)
def _masses(
    rows: NDArray[np.int64],
    shares: NDArray[np.float64],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
    n_features: int,
) -> NDArray[np.float64]:
    out = np.zeros(n_features)
    for r in range(len(rows)):
        for j in range(indptr[rows[r]], indptr[rows[r] + 1]):
            out[indices[j]] += shares[r] * values[j]
    return out


@njit(cache=True, nogil=True)
def _count_features(
    indptr: NDArray[np.int64],
    leaves: NDArray[np.int32],
    parent: NDArray[np.int32],
    counted: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Count the counted nodes at and above each row's leaves, int64 (n_rows,)."""
    seen_by = np.zeros(len(parent), dtype=np.int64)  # the row that met the node last, counted from 1
    counts = np.zeros(len(indptr) - 1, dtype=np.int64)
    for i in range(len(counts)):
        for j in range(indptr[i], indptr[i + 1]):
            v = leaves[j]
            while v >= 0 and seen_by[v] != i + 1:
                seen_by[v] = i + 1
                counts[i] += counted[v]
                v = parent[v]
    return counts


@njit(cache=True, nogil=True)
def _write_features(
    indptr: NDArray[np.int64],
    leaves: NDArray[np.int32],
    mass: NDArray[np.float64],
    quality: NDArray[np.float64],
    parent: NDArray[np.int32],
    counted: NDArray[np.bool_],
    out_indptr: NDArray[np.int64],
    out_indices: NDArray[np.int32],
    out_values: NDArray[np.float32],
) -> None:
    """Write q_i a_iv for the counted nodes at and above a row's leaves, then p_i(l) where there is room."""
    total = np.zeros(len(parent))
    for i in range(len(quality)):
        start = out_indptr[i]
        end = start
        for j in range(indptr[i], indptr[i + 1]):
            v = leaves[j]
            while v >= 0:
                if counted[v]:
                    # Masses are positive, so a total of 0 is a node not met yet.
                    if total[v] == 0.0:
                        out_indices[end] = v
                        end += 1
                    total[v] += mass[j]
                v = parent[v]
        for e in range(start, end):
            v = out_indices[e]
            out_values[e] = quality[i] * total[v]
            total[v] = 0.0
        if end < out_indptr[i + 1]:
            for j in range(indptr[i], indptr[i + 1]):
                out_indices[end] = len(parent) + leaves[j]
                out_values[end] = mass[j]
                end += 1
