"""Raising the certificate of a selection: exchange its rows for better ones, then tighten the bound.

Greedy is within a few thousandths of the optimum where k is large, and the bound of `certificate.py` within
another few. Where more is asked for, the rest is looked for on both sides:

- *rows*: a selected row is exchanged for another wherever that raises F and keeps every constraint, until no
  exchange does. Rows to exchange for are those of the largest gradient at the relaxed optimum: of them the
  bound is made. F never falls.
- *bound*: Frank-Wolfe steps go on until they have nothing left to gain.

What then remains is mostly the relaxation's own gap, which nothing closes: rows cut into parts may really be
worth more than any set of whole rows. `Certificate.limit` says how much of it was proved.

References
----------
Nemhauser, Wolsey and Fisher 1978, who study exchanges of one row beside greedy.
"""

# Compiled functions take tuples of arrays, whose types numba infers at the call, by position.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from tags_assets.method.selection.certificate import Certificate, Point, bound_for, compare, tighten
from tags_assets.method.selection.objective import row_gain

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tags_assets.method.selection.constraints import Constraints
    from tags_assets.method.selection.objective import Objective

MAX_STEPS = 400
"""Frank-Wolfe steps at most, before the exchanges and again after them."""

MOST_LOOKS = 40_000_000
"""Gains at most that the exchanges compute: some seconds."""

_ROUNDS = 3
_CLOSE = 1e-5  # relative gap at which the bound has nothing left to gain
_CANDIDATES = 1_000  # rows to exchange for, at least
_LEAST = 1e-9  # relative gain of an exchange, so that rounding never makes one
_LEFT, _LOOKS, _SIZE = 0, 1, 2  # counters: budget left, gains that may still be computed, rows selected


@dataclass(frozen=True, eq=False)
class Raised:
    """A selection after the search.

    Attributes
    ----------
    rows
        The selected rows: as they were given where none was exchanged, else ascending, int64 (k,).
    certificate
        Of these rows.
    n_exchanged
        Rows that are not those given.
    value_before
        F of the rows given.
    """

    rows: NDArray[np.int64]
    certificate: Certificate
    n_exchanged: int
    value_before: float


def raise_certificate(
    objective: Objective,
    constraints: Constraints,
    rows: NDArray[np.int64],
    goal: float,
    *,
    accepts: Callable[[NDArray[np.int64]], bool] | None = None,
) -> Raised:
    """Look for better rows and a tighter bound until the goal is certified or nothing is left to gain.

    Parameters
    ----------
    objective, constraints
        The problem.
    rows
        The selection, feasible, int64 (k,).
    goal
        Ratio that is asked for, in (0, 1].
    accepts
        What rows must satisfy beside the constraints; rows that do not are given up for those before them.
    """
    value = before = objective.value(rows)
    given = rows

    def towards(point: Point, *, hopeless: bool) -> Point:
        enough = bound_for(objective, rows, value, goal)
        stop = enough if hopeless else np.inf
        return tighten(
            objective,
            constraints,
            point,
            max_steps=MAX_STEPS,
            enough=enough,
            close=_CLOSE,
            hopeless=stop,
        )

    point = towards(Point.of(objective, rows), hopeless=True)
    looks = MOST_LOOKS
    for _ in range(_ROUNDS):
        if point.bound <= bound_for(objective, rows, value, goal) or looks <= 0:
            break
        candidates = _candidates(objective.gradient(point.mass), rows)
        found, looked = exchange(objective, constraints, rows, candidates, most_looks=looks)
        looks -= looked
        reached = objective.value(found)
        if reached <= value or (accepts is not None and not accepts(found)):
            break
        rows, value = found, reached
        point = towards(point, hopeless=True)
    point = towards(point, hopeless=False)
    certificate = compare(objective, constraints, rows, value, point)
    return Raised(rows, certificate, len(np.setdiff1d(rows, given)), before)


def _candidates(reward: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of the largest reward that are not selected, ascending."""
    reward = reward.copy()
    reward[rows] = -np.inf
    n = min(max(_CANDIDATES, len(rows)), len(reward) - len(rows))
    return np.sort(np.argsort(-reward, kind="stable")[:n])


def exchange(
    objective: Objective,
    constraints: Constraints,
    rows: NDArray[np.int64],
    candidates: NDArray[np.int64],
    *,
    most_looks: int = MOST_LOOKS,
) -> tuple[NDArray[np.int64], int]:
    """Exchange one row at a time for the candidate that raises F most, until none does.

    Under a budget of tokens what is left over is also spent on candidates that fit and raise F. The last
    picks are tried first: they gave least. Deterministic; of candidates that raise F alike, the earlier is
    taken.

    Parameters
    ----------
    objective, constraints
        The problem.
    rows
        The selection, feasible, int64 (k,).
    candidates
        Rows to exchange for, none of them selected, int64.
    most_looks
        Gains at most that are computed.

    Returns
    -------
    tuple
        The selection, ascending, with F at least what it was, and the gains computed.
    """
    held = np.concatenate([rows[::-1], np.full(len(candidates), -1)]).astype(np.int64)
    # It takes in what leaves the selection; -1 is a place left empty.
    pool = np.array(candidates, dtype=np.int64)
    fixed = np.zeros(objective.n_rows, dtype=np.bool_)
    fixed[constraints.include] = True
    c, used = constraints, constraints.group_cost(rows)
    groups = c.cost, c.row_class, c.class_groups, c.caps, c.floors, used
    counters = np.array([c.budget - int(c.cost[rows].sum()), most_looks, len(rows)], dtype=np.int64)
    n_changes = 1
    while n_changes and counters[_LOOKS] > 0:
        # Masses are summed anew: sums and differences would drift.
        filled = objective.capacity + objective.masses(held[: counters[_SIZE]])
        o = objective
        features = o.indptr, o.indices, o.values, o.scale, filled, o.bonus
        n_changes = _swap(held, pool, fixed, features, groups, counters)
        if c.by_tokens:
            n_changes += _spend(held, pool, features, groups, counters)
    found, given = np.sort(held[: counters[_SIZE]]), np.sort(rows)
    better = objective.value(found) > objective.value(given)
    return (found if better else given), most_looks - int(counters[_LOOKS])


@njit(cache=True, nogil=True)
def _gain(row, features):
    indptr, indices, values, scale, filled, bonus = features
    return row_gain(row, indptr, indices, values, scale, filled, bonus)


@njit(cache=True, nogil=True)
def _move(row, sign, features):
    """Add a row's masses, or take them away."""
    indptr, indices, values, _, filled, _ = features
    for j in range(indptr[row], indptr[row + 1]):
        filled[indices[j]] += sign * values[j]


@njit(cache=True, nogil=True)
def _fits(row, leaving, groups, left):
    """Whether a row may come in for one that leaves (-1: for none)."""
    cost, row_class, class_groups, caps, floors, used = groups
    freed = cost[leaving] if leaving >= 0 else 0
    if cost[row] - freed > left:
        return False
    t = row_class[row]
    u = row_class[leaving] if leaving >= 0 else -1
    for g in range(len(caps)):
        before = freed if u >= 0 and class_groups[u, g] else 0
        after = cost[row] if class_groups[t, g] else 0
        if after > before and used[g] - before + after > caps[g]:
            return False
        if after < before and used[g] - before + after < floors[g]:
            return False
    return True


@njit(cache=True, nogil=True)
def _account(row, sign, groups, counters):
    cost, row_class, class_groups, _, _, used = groups
    counters[_LEFT] -= sign * cost[row]
    for g in range(len(used)):
        if class_groups[row_class[row], g]:
            used[g] += sign * cost[row]


@njit(cache=True, nogil=True)
def _swap(held, pool, fixed, features, groups, counters):
    """Exchange each selected row once, if a candidate is better in its place; the number of exchanges."""
    n_swapped = 0
    for at in range(counters[_SIZE]):
        row = held[at]
        if fixed[row]:
            continue
        if counters[_LOOKS] <= 0:
            break
        _move(row, -1.0, features)
        own = _gain(row, features)
        best, place = own + _LEAST * abs(own), -1
        for q in range(len(pool)):
            if pool[q] >= 0 and _fits(pool[q], row, groups, counters[_LEFT]):
                counters[_LOOKS] -= 1
                gain = _gain(pool[q], features)
                if gain > best:
                    best, place = gain, q
        if place >= 0:
            _account(row, -1, groups, counters)
            _account(pool[place], 1, groups, counters)
            held[at], pool[place] = pool[place], row
            n_swapped += 1
        _move(held[at], 1.0, features)
    return n_swapped


@njit(cache=True, nogil=True)
def _spend(held, pool, features, groups, counters):
    """Take candidates that fit into what is left and raise F, the best first; the number of them."""
    n_added = 0
    while counters[_LOOKS] > 0:
        best, place = 1e-12, -1
        for q in range(len(pool)):
            if pool[q] >= 0 and _fits(pool[q], -1, groups, counters[_LEFT]):
                counters[_LOOKS] -= 1
                gain = _gain(pool[q], features)
                if gain > best:
                    best, place = gain, q
        if place < 0:
            break
        row = pool[place]
        _account(row, 1, groups, counters)
        _move(row, 1.0, features)
        held[counters[_SIZE]] = row
        counters[_SIZE] += 1
        pool[place] = -1
        n_added += 1
    return n_added
