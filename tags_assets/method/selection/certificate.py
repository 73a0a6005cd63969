"""How far from the optimum a selection can be: an upper bound that holds for every feasible set.

F is concave in the masses and linear in the bonuses, so at any point z of the masses and for any set S::

    F(S) <= Phi(z) - <slopes(z), z> + max over y of <gradient(z), y>

where Phi is the concave part and y ranges over the relaxed feasible sets: 0 <= y_i <= 1, the budget, caps and
floors in shares, rows of ``include`` at 1. (For the masses of the selection itself this is the linearisation
bound of the design; z need not be feasible, any z gives a valid bound.) Frank-Wolfe steps move z to where the
bound is tighter. The maximum over y is exact where there are no groups (take the best k, or fill a knapsack)
and where the groups are those of one attribute (fill floors, then the rest: a matroid). Several attributes,
or groups under a budget of tokens, go through the Lagrangian dual, where every multiplier gives a valid
bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tags_assets.method.selection.constraints import Constraints
    from tags_assets.method.selection.objective import Objective

_CUTS = 150  # cutting planes for the multipliers of several attributes
_CLOSE = 1e-7  # relative gap at which the multipliers are good enough
_ROUNDING = 1e-10  # relative room for the rounding of sums, so that the bound stays a bound


@dataclass(frozen=True)
class Certificate:
    """The value of a selection against a bound on the value of every feasible selection.

    Attributes
    ----------
    value
        F(S).
    bound
        No feasible set reaches more.
    ratio
        F(S) / bound in [0, 1]; of the shifted values where F(S) is not positive.
    shift
        What was added to both before dividing: 0 but where F(S) is not positive, then enough per row to make
        every bonus positive. Adding a constant per row changes no selection of a fixed number of rows.
    n_steps
        Frank-Wolfe steps taken.
    limit
        What no bound of this kind can bring the ratio above: F(S) over the largest F that was found for rows
        cut into parts. 1 where the constraints leave that open (several attributes, groups of tokens).
    """

    value: float
    bound: float
    ratio: float
    shift: float
    n_steps: int
    limit: float = 1.0


@dataclass(frozen=True, eq=False)
class Point:
    """A point of the relaxed problem and the bound that was found on the way to it.

    Attributes
    ----------
    mass, bonus
        Masses, float64 (n_features,), and the bonus that goes with them.
    bound
        The least bound seen.
    value
        F at the point.
    n_steps
        Steps taken on the way.
    """

    mass: NDArray[np.float64]
    bonus: float
    bound: float
    value: float
    n_steps: int

    @classmethod
    def of(cls, objective: Objective, rows: NDArray[np.integer]) -> Point:
        """Start at a selection."""
        mass, bonus = objective.masses(rows), float(objective.bonus[rows].sum())
        return cls(mass, bonus, np.inf, objective.concave_value(mass) + bonus, 0)


@dataclass(frozen=True, eq=False)
class LinearMaximum:
    """The largest <r, y> over the relaxed constraints, from above.

    Attributes
    ----------
    bound
        At least the maximum.
    share
        A y at or near it, float64 (n_rows,).
    """

    bound: float
    share: NDArray[np.float64]


def certify(
    objective: Objective,
    constraints: Constraints,
    rows: NDArray[np.integer],
    *,
    max_steps: int = 25,
    goal: float = 0.998,
) -> Certificate:
    """Bound the optimum by linearising at the selection, then by Frank-Wolfe steps until the goal is
    certified.

    Parameters
    ----------
    objective, constraints
        The problem.
    rows
        The selection, feasible.
    max_steps
        Frank-Wolfe steps at most; 0 linearises at the selection alone.
    goal
        Ratio at which it is good enough.
    """
    value = objective.value(rows)
    enough = bound_for(objective, rows, value, goal)
    reached = tighten(objective, constraints, Point.of(objective, rows), max_steps=max_steps, enough=enough)
    return compare(objective, constraints, rows, value, reached)


def bound_for(objective: Objective, rows: NDArray[np.integer], value: float, goal: float) -> float:
    """Say which bound certifies a value by the goal."""
    shift = _shift(objective, rows, value)
    return (value + shift) / goal - shift


def _shift(objective: Objective, rows: NDArray[np.integer], value: float) -> float:
    return 0.0 if value > 0 else len(rows) * max(0.0, -float(objective.bonus.min(initial=0.0))) + 1e-12


def compare(
    objective: Objective,
    constraints: Constraints,
    rows: NDArray[np.integer],
    value: float,
    reached: Point,
) -> Certificate:
    """Hold the value of a selection against a bound, and against the value of rows cut into parts."""
    shift = _shift(objective, rows, value)
    # A sum of n terms in another order may differ in its last bits; a selection never beats the optimum.
    bound = max(reached.bound, value)
    top = bound + shift
    ratio = min(1.0, (value + shift) / top) if top > 0 else 1.0
    limit = 1.0
    if is_exact(constraints) and reached.value + shift > 0:
        limit = max(ratio, min(1.0, (value + shift) / (reached.value + shift)))
    return Certificate(value, bound, ratio, shift, reached.n_steps, limit)


def is_exact(constraints: Constraints) -> bool:
    """Whether the points that Frank-Wolfe steps reach keep to the relaxed constraints exactly."""
    return constraints.n_groups == 0 or (constraints.one_attribute and not constraints.by_tokens)


def upper_bound(
    objective: Objective,
    constraints: Constraints,
    mass: NDArray[np.float64],
    bonus: float,
    *,
    max_steps: int,
    enough: float = -np.inf,
) -> tuple[float, int]:
    """Bound F over the feasible sets, from Frank-Wolfe steps that start at the given point.

    Parameters
    ----------
    objective, constraints
        The problem.
    mass, bonus
        Where to start: masses, float64 (n_features,), and the bonus that goes with them.
    max_steps
        Steps at most.
    enough
        A bound at which to stop.

    Returns
    -------
    tuple of float and int
        The least bound seen and the steps taken.
    """
    start = Point(mass, bonus, np.inf, objective.concave_value(mass) + bonus, 0)
    reached = tighten(objective, constraints, start, max_steps=max_steps, enough=enough)
    return reached.bound, reached.n_steps


def tighten(
    objective: Objective,
    constraints: Constraints,
    start: Point,
    *,
    max_steps: int,
    enough: float = -np.inf,
    close: float = 0.0,
    hopeless: float = np.inf,
) -> Point:
    """Move a point of the relaxed problem to where its bound is tighter.

    Parameters
    ----------
    objective, constraints
        The problem.
    start
        Where to start.
    max_steps
        Frank-Wolfe steps at most.
    enough
        A bound at which to stop.
    close
        Relative gap between the bound and F at the point at which nothing is left to tighten.
    hopeless
        Value of F at the point at which to stop: no bound lies below it.
    """
    mass, bonus, best = start.mass, start.bonus, start.bound
    multipliers: NDArray[np.float64] | None = None
    step = 0
    while True:
        slopes = objective.slopes(mass)
        bought, multipliers = linear_maximum(objective.gradient(mass), constraints, start=multipliers)
        here = objective.concave_value(mass)
        bound = here - float(np.dot(slopes, mass)) + bought.bound
        best = min(best, bound + _ROUNDING * (abs(here) + abs(bought.bound)))
        value = here + bonus
        done = best <= enough or best - value <= close * abs(best) or value >= hopeless
        if done or step >= max_steps:
            break
        held = np.flatnonzero(bought.share)
        towards = objective.masses(held, bought.share[held])
        ahead = float(np.dot(objective.bonus[held], bought.share[held]))
        part = _line_search(objective, mass, towards - mass, ahead - bonus)
        if part <= 0:
            break
        mass = np.maximum(mass + part * (towards - mass), 0.0)
        bonus += part * (ahead - bonus)
        step += 1
    return Point(mass, bonus, best, value, start.n_steps + step)


def _line_search(
    objective: Objective, mass: NDArray[np.float64], move: NDArray[np.float64], bonus_move: float
) -> float:
    """Find the part of the move that F gains most from, by bisection of its slope."""
    low, high = 0.0, 1.0
    touched = np.flatnonzero(move)
    scale, filled, move = objective.scale[touched], objective.capacity[touched] + mass[touched], move[touched]

    def slope(part: float) -> float:
        return float(np.dot(scale / (filled + part * move), move)) + bonus_move

    if slope(1.0) >= 0:
        return 1.0
    if slope(0.0) <= 0:
        return 0.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        if slope(middle) > 0:
            low = middle
        else:
            high = middle
    return low


def linear_maximum(
    reward: NDArray[np.float64], constraints: Constraints, *, start: NDArray[np.float64] | None = None
) -> tuple[LinearMaximum, NDArray[np.float64] | None]:
    """Maximise <reward, y> over the relaxed constraints.

    Parameters
    ----------
    reward
        Of any sign, float64 (n_rows,).
    constraints
        The feasible sets.
    start
        Multipliers of an earlier, similar problem.

    Returns
    -------
    tuple
        The maximum, and multipliers to start the next problem from (None where none are needed).
    """
    if constraints.n_groups == 0:
        share = _fill(reward, constraints)
        return LinearMaximum(float(np.dot(reward, share)), share), None
    if constraints.one_attribute and not constraints.by_tokens:
        share = _fill_groups(reward, constraints)
        return LinearMaximum(float(np.dot(reward, share)), share), None
    return _dual(reward, constraints, start)


def _fill(reward: NDArray[np.float64], constraints: Constraints) -> NDArray[np.float64]:
    """Spend the budget on the best rows, or on the best per token, with ``include`` first."""
    share = np.zeros(len(reward))
    share[constraints.include] = 1.0
    left = constraints.budget - int(constraints.cost[constraints.include].sum())
    if constraints.by_tokens:
        worth = np.flatnonzero((reward > 0) & (share == 0))
        order = worth[np.argsort(-reward[worth] / constraints.cost[worth], kind="stable")]
        spent = np.cumsum(constraints.cost[order])
        whole = int(np.searchsorted(spent, left, side="right"))
        share[order[:whole]] = 1.0
        if whole < len(order):
            before = int(spent[whole - 1]) if whole else 0
            share[order[whole]] = (left - before) / constraints.cost[order[whole]]
        return share
    share[_top(np.where(share > 0, -np.inf, reward), left)] = 1.0
    return share


def _top(reward: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Rows of the n largest rewards; which of several equal ones does not matter to their sum."""
    if n <= 0:
        return np.zeros(0, dtype=np.int64)
    if n >= len(reward):
        return np.arange(len(reward))
    return np.argpartition(-reward, n - 1)[:n].astype(np.int64)


def _fill_groups(reward: NDArray[np.float64], constraints: Constraints) -> NDArray[np.float64]:
    """Spend a budget of rows where groups are disjoint: floors by the best of each, what caps allow."""
    share = np.zeros(len(reward))
    share[constraints.include] = 1.0
    open_rows = share == 0
    spare: list[NDArray[np.int64]] = []
    taken = constraints.class_cost(constraints.include)
    left = constraints.budget - len(constraints.include)
    for t in range(constraints.n_classes):
        members = np.flatnonzero(open_rows & (constraints.row_class == t))
        members = members[np.argsort(-reward[members], kind="stable")]
        groups = np.flatnonzero(constraints.class_groups[t])
        floor = int(constraints.floors[groups].max(initial=0))
        cap = int(constraints.caps[groups].min(initial=len(reward) + int(taken[t])))
        n_floor = max(0, floor - int(taken[t]))
        share[members[:n_floor]] = 1.0
        left -= n_floor
        spare.append(members[n_floor : max(n_floor, cap - int(taken[t]))])
    rest = np.concatenate(spare)
    share[rest[_top(reward[rest], left)]] = 1.0
    return share


def _dual(
    reward: NDArray[np.float64], constraints: Constraints, start: NDArray[np.float64] | None
) -> tuple[LinearMaximum, NDArray[np.float64]]:
    """Minimise the Lagrangian dual over the multipliers of caps and floors, by cutting planes (Kelley, 1960).

    Each evaluation is a bound of its own, so the least one seen is valid however far the search has come. The
    cuts that bind, weighted as the master problem weights them, make a near-feasible y.
    """
    held = constraints.class_groups.astype(float)
    capped = np.flatnonzero(constraints.caps < constraints.budget)
    floored = np.flatnonzero(constraints.floors > 0)
    # A multiplier is the price of a unit of a group: of a cap it is taken from the reward, of a floor added.
    from scipy.optimize import linprog  # noqa: PLC0415 - half a second that few selections need

    prices = np.hstack([-held[:, capped], held[:, floored]])
    limits = np.concatenate([constraints.caps[capped], -constraints.floors[floored]]).astype(float)
    n = len(limits)
    most = 4.0 * float(np.max(np.abs(reward) / constraints.cost, initial=0.0)) + 1e-9
    at = np.zeros(n) if start is None else np.minimum(start, most)
    best, best_at, best_share = np.inf, at, np.zeros(len(reward))
    heights: list[float] = []
    slopes: list[NDArray[np.float64]] = []
    shares: list[NDArray[np.float64]] = []
    weights: NDArray[np.float64] = np.zeros(0)
    for _ in range(_CUTS):
        priced = reward + constraints.cost * (prices @ at)[constraints.row_class]
        share = _fill(priced, constraints)
        spent = np.bincount(
            constraints.row_class, weights=share * constraints.cost, minlength=constraints.n_classes
        )
        slope = prices.T @ spent + limits
        height = float(np.dot(priced, share)) + float(np.dot(limits, at))
        heights.append(height - float(np.dot(slope, at)))
        slopes.append(slope)
        shares.append(share.astype(np.float32))
        if height < best:
            best, best_at, best_share = height, at, share
        master = linprog(
            np.concatenate([np.zeros(n), [1.0]]),
            A_ub=np.hstack([np.stack(slopes), -np.ones((len(slopes), 1))]),
            b_ub=-np.array(heights),
            bounds=[(0.0, most)] * n + [(None, None)],
            method="highs",
        )
        if master.x is None or master.fun is None:
            break
        weights = -np.asarray(master.ineqlin.marginals)
        if best - master.fun <= _CLOSE * (abs(best) + 1e-12):
            break
        at = np.asarray(master.x[:n])
    if len(weights) and weights.sum() > 0:
        best_share = sum(
            (
                w * s.astype(np.float64)
                for w, s in zip(weights / weights.sum(), shares, strict=False)
                if w > 1e-9
            ),
            start=np.zeros(len(reward)),
        )
    return LinearMaximum(best, best_share), best_at
