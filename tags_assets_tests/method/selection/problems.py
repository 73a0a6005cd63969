"""Small random problems for the tests of the method, and slow solvers to hold the fast ones against."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import sparse

from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.objective import Objective, _gains
from tags_assets.method.tree.knowledge_tree import KnowledgeTree


def random_objective(seed, n_rows, n_features, *, signed=False, ties=False, per_row=4):
    """Features of few distinct values where ties are wanted, bonuses of both signs where signed."""
    rng = np.random.default_rng(seed)
    per_row = min(per_row, n_features)
    columns = np.concatenate([rng.choice(n_features, per_row, replace=False) for _ in range(n_rows)])
    values = rng.integers(1, 3, n_rows * per_row) / 2 if ties else rng.random(n_rows * per_row) + 0.01
    bonus = np.zeros(n_rows)
    if signed:
        bonus = rng.integers(-2, 3, n_rows) / 4 if ties else rng.normal(size=n_rows) * 0.3
    weight = rng.integers(1, 3, n_features).astype(float) if ties else rng.random(n_features)
    capacity = np.ones(n_features) if ties else rng.random(n_features) * 3 + 0.05
    indptr = np.arange(0, n_rows * per_row + 1, per_row)
    return Objective(indptr, columns.astype(np.int32), values.astype(np.float32), weight, capacity, bonus)


def with_bonus(objective, bonus):
    """The bonuses alone."""
    return objective.reweighted(np.zeros(objective.n_features), objective.capacity, bonus)


def random_attributes(seed, n_rows):
    rng = np.random.default_rng(seed + 1)
    return {
        "source": rng.choice(["a", "b", "c"], n_rows, p=[0.6, 0.3, 0.1]),
        "language": rng.choice(["en", "de"], n_rows, p=[0.7, 0.3]),
    }


def naive_greedy(objective, n_picks, priority=None):
    """The textbook: look at every row before every pick."""
    filled = objective.capacity.copy()
    order = np.arange(objective.n_rows) if priority is None else priority
    left = np.ones(objective.n_rows, dtype=bool)
    picks = []
    for _ in range(n_picks):
        # c + m is kept in one number, as in the solver, so that both round alike
        every = _gains(
            objective.indptr, objective.indices, objective.values, objective.scale, filled, objective.bonus
        )
        gains = np.where(left, every, -np.inf)
        best = np.flatnonzero(gains == gains.max())
        pick = int(best[np.argmin(order[best])])
        picks.append(pick)
        left[pick] = False
        filled = filled + objective.masses(np.array([pick]))
    return picks


def feasible_sets(constraints, n_rows):
    """Every feasible selection of a tiny problem."""
    sizes = range(1, n_rows + 1) if constraints.by_tokens else [constraints.budget]
    for size in sizes:
        for rows in combinations(range(n_rows), size):
            chosen = np.array(rows)
            if not constraints.violations(chosen):
                yield chosen


def small_tree(level_sizes=(8, 3), *, seed=0, names=None):
    """A random tree with the given level sizes, leaves first, and a root on top."""
    rng = np.random.default_rng(seed)
    sizes = [*level_sizes, 1]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    n = int(starts[-1])
    parent, level = np.full(n, -1, dtype=np.int32), np.zeros(n, dtype=np.int16)
    for h, size in enumerate(sizes):
        level[starts[h] : starts[h + 1]] = h
        if h + 1 < len(sizes):
            extra = rng.integers(0, sizes[h + 1], size - sizes[h + 1])
            above = np.sort(np.concatenate([np.arange(sizes[h + 1]), extra]))
            parent[starts[h] : starts[h + 1]] = starts[h + 1] + above
    vectors = rng.normal(size=(n, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    branch = np.concatenate([rng.random(n - 1) * 0.8 + 0.05, [0.0]])
    return KnowledgeTree(
        node_ids=tuple(f"n{v}" for v in range(n)),
        parent=parent,
        level=level,
        branch_length=branch,
        names=tuple(f"concept {v}" for v in range(n)) if names is None else names,
        descriptions=("",) * n,
        vectors=vectors,
        tags=tuple(f"tag {v}" for v in range(sizes[0])),
        tag_leaf=np.arange(sizes[0], dtype=np.int32),
    )


def random_grounding(seed, n_rows, n_leaves, *, most=3):
    """Rows of sum 1 over one to `most` leaves."""
    rng = np.random.default_rng(seed)
    rows, columns, shares = [], [], []
    for i in range(n_rows):
        held = rng.choice(n_leaves, rng.integers(1, min(most, n_leaves) + 1), replace=False)
        weight = rng.random(len(held)) + 0.1
        rows += [i] * len(held)
        columns += held.tolist()
        shares += (weight / weight.sum()).tolist()
    out = sparse.csr_array((shares, (rows, columns)), shape=(n_rows, n_leaves))
    out.sum_duplicates()
    return out


def constraints_or_none(*args, **kwargs):
    """Constraints, or None where they cannot all hold."""
    from tags_assets.errors import UserError

    try:
        return build_constraints(*args, **kwargs)
    except UserError:
        return None
