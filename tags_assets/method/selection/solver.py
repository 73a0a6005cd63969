"""Lazy greedy maximisation, compiled: the picks of naive greedy at a small part of its evaluations.

Gains of a submodular function only shrink as the set grows, so a gain taken earlier bounds the gain now: only
rows whose bound reaches the best gain found need a new look (Minoux, 1978). Two things go beyond the
textbook:

- **Equal to naive greedy, row for row.** Every gain is taken by the same arithmetic (`row_gain`), bounds
carry
  a slack of 1e-12 for the last bit of log1p, and whatever lies within the slack of the best is evaluated
  before a row is picked. Ties go to the smaller priority, which is the smaller row number unless a seed
  permutes it.
- **Constraints are kept by a plan.** For a budget of rows there is always a plan: how many rows of each class
  complete the picks to a feasible selection. A pick that fits the plan is taken; one that does not moves one
  unit of the plan where that suffices, and asks for a new plan (an integer program over the few classes)
  where it does not. A class without a plan never gets one again and is closed. So the budget, caps and floors
  hold exactly whenever they can hold at all, on any number of attributes. Room for floors is kept rather than
  filled first: greedy is then free in the order of its picks. With one attribute the feasible sets are a
  matroid.

Under a budget of tokens, floors are filled first (exact completion would be a subset-sum problem), rows that
no longer fit are passed over, and rows that would lower the value are left out.
"""

# The compiled functions take tuples of arrays, whose types numba infers at the call, by position.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from tags_assets.errors import InvalidInputError
from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.lazy_queue import (
    CLASS,
    EVALUATED,
    LEFT,
    N_COUNTERS,
    PICKED,
    SIZE,
    look,
    lower_threshold,
    make_queue,
    place,
    pop,
    sink,
    threshold,
)
from tags_assets.method.selection.objective import row_gain

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tags_assets.method.selection.constraints import Constraints
    from tags_assets.method.selection.objective import Objective

_SLACK = 1e-12
_DONE, _PAUSED, _NEEDS_PLAN = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Solution:
    """What greedy picked, in the order of the picks.

    Attributes
    ----------
    rows
        Selected rows, int64 (k,).
    gains
        F(S with the pick) - F(S before it), float64 (k,). Their running sum is the value of every smaller
        budget.
    n_evaluations
        Gains that were computed, the first pass included.
    strategy
        ``gain`` (largest gain first) or ``gain per token``.
    other_value
        Under a budget of tokens the value that the other strategy reached, else None.
    """

    rows: NDArray[np.int64]
    gains: NDArray[np.float64]
    n_evaluations: int
    strategy: str = "gain"
    other_value: float | None = None

    @property
    def value(self) -> float:
        """F of the selection."""
        return float(self.gains.sum())


def maximise(
    objective: Objective,
    constraints: Constraints,
    *,
    priority: NDArray[np.int32] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Solution:
    """Select rows by greedy, under a budget of tokens by the better of gain and gain per token.

    Parameters
    ----------
    objective
        What to maximise.
    constraints
        What to keep to.
    priority
        Order among rows of equal gain, a permutation of the rows, int32 (n_rows,); row numbers by default.
    progress
        Called as (picked, budget).

    Raises
    ------
    UserError
        Where floors of tokens cannot be filled beside the caps.
    """
    plain = greedy(objective, constraints, priority=priority, progress=progress)
    if not constraints.by_tokens:
        return plain
    dense = greedy(objective, constraints, per_cost=True, priority=priority, progress=progress)
    best, other = (dense, plain) if dense.value >= plain.value else (plain, dense)
    return Solution(
        best.rows,
        best.gains,
        plain.n_evaluations + dense.n_evaluations,
        best.strategy,
        other_value=other.value,
    )


def greedy(
    objective: Objective,
    constraints: Constraints,
    *,
    per_cost: bool = False,
    priority: NDArray[np.int32] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Solution:
    """Pick the row of the largest gain (or gain per cost), again and again; see the module's text.

    A budget of rows is spent to the last row, also where the best gain is negative (signed closeness): the
    number of rows is what the user fixed. A budget of tokens is a ceiling, and is left where no gain is
    positive.
    """
    run = _Run(objective, constraints, per_cost=per_cost, priority=priority, progress=progress)
    run.fill(constraints.include)
    if constraints.by_tokens and np.any(constraints.floors > 0):
        run.fill(run.open_rows(), floors="as they come")
        if np.any(run.group_used < constraints.floors):
            # Floors of several attributes need rows that serve more than one: take up a plan that knows this.
            run = _Run(objective, constraints, per_cost=per_cost, priority=priority, progress=progress)
            run.fill(constraints.include)
            run.plan_floors()
            run.fill(run.open_rows(), floors="by plan")
        _check_floors(constraints, run.group_used)
    run.fill(run.open_rows(), stop_at_loss=constraints.by_tokens)
    return Solution(
        run.rows.copy(),
        run.gains.copy(),
        int(run.counters[EVALUATED]),
        "gain per token" if per_cost else "gain",
    )


def in_order(
    objective: Objective,
    found: Solution,
    *,
    first: NDArray[np.integer],
    priority: NDArray[np.int32] | None = None,
) -> Solution:
    """Put rows that were selected by another objective into the order in which this one picks them.

    Parameters
    ----------
    objective
        In whose gains the picks are told.
    found
        The selected rows.
    first
        Rows among them that come before all others.
    """
    constraints = build_constraints(objective.n_rows, len(found.rows), include=first)
    run = _Run(objective, constraints, per_cost=False, priority=priority, progress=None)
    run.fill(constraints.include)
    run.fill(np.setdiff1d(found.rows, constraints.include))
    return replace(found, rows=run.rows.copy(), gains=run.gains.copy())


def _check_floors(constraints: Constraints, held: NDArray[np.int64]) -> None:
    for g in np.flatnonzero(held < constraints.floors):
        raise InvalidInputError(
            f"asks for {constraints.floors[g]:,} tokens; beside the other constraints "
            f"{held[g]:,} could be had: {constraints.floors[g] - held[g]:,} too few",
            where=f"constraints.min_share {constraints.group_names[g]}",
            fix="Lower the share, or raise the budget.",
        )


class _Run:
    """One run of greedy: the state that the compiled loop leaves and takes up again."""

    def __init__(
        self,
        objective: Objective,
        constraints: Constraints,
        *,
        per_cost: bool,
        priority: NDArray[np.int32] | None,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        n = objective.n_rows
        self.objective, self.constraints, self.progress = objective, constraints, progress
        self.per_cost = per_cost
        self.priority = np.arange(n, dtype=np.int32) if priority is None else priority.astype(np.int32)
        self.filled = objective.capacity.copy()
        self.picks = np.empty(n if constraints.by_tokens else constraints.budget, dtype=np.int64)
        self.pick_gains = np.empty(len(self.picks))
        self.counters = np.zeros(N_COUNTERS, dtype=np.int64)
        self.counters[LEFT] = constraints.budget
        self.aside = (np.empty(n), np.empty(n, dtype=np.int32))
        self.group_used = np.zeros(constraints.n_groups, dtype=np.int64)
        self.class_taken = np.zeros(constraints.n_classes, dtype=np.int64)
        self.closed = np.zeros(constraints.n_classes, dtype=np.bool_)
        self.plan = np.zeros(constraints.n_classes, dtype=np.int64)
        self.planned = np.zeros(constraints.n_groups, dtype=np.int64)
        if not constraints.by_tokens:
            first = constraints.plan(constraints.class_cost(constraints.include))
            if first is None:  # pragma: no cover (Constraints.check has said so before)
                raise InvalidInputError("the constraints cannot all hold", where="constraints")
            self._follow(first)

    @property
    def rows(self) -> NDArray[np.int64]:
        return self.picks[: self.counters[PICKED]]

    @property
    def gains(self) -> NDArray[np.float64]:
        return self.pick_gains[: self.counters[PICKED]]

    def _follow(self, plan: NDArray[np.int64]) -> None:
        self.plan[:] = plan
        self.planned[:] = self.constraints.class_groups.T.astype(np.int64) @ plan

    def open_rows(self) -> NDArray[np.int64]:
        """Rows that are not picked yet, ascending."""
        is_open = np.ones(self.objective.n_rows, dtype=bool)
        is_open[self.rows] = False
        return np.flatnonzero(is_open)

    def plan_floors(self) -> None:
        """Plan the tokens of each class that fill the floors, with room for the last row of each class."""
        margin = self.constraints.n_classes * int(self.constraints.cost.max(initial=0))
        plan = self.constraints.plan(self.class_taken, margin=margin)
        if plan is None:
            plan = self.constraints.plan(self.class_taken)
        if plan is not None:
            self._follow(plan)

    def fill(self, candidates: NDArray[np.integer], *, floors: str = "", stop_at_loss: bool = False) -> None:
        """Pick among the candidates until they, the budget or (where asked) the floors or gains are used up.

        ``floors`` under a budget of tokens: "as they come" picks rows of groups below their floor, "by plan"
        rows of classes below their plan.
        """
        o, c = self.objective, self.constraints
        features = (o.indptr, o.indices, o.values, o.scale, self.filled, o.bonus)
        most_bonus = float(np.abs(o.bonus).max(initial=0.0))
        queue = make_queue(candidates.astype(np.int32), features, self.counters, c.cost, self.per_cost)
        step = max(256, c.budget // 50) if self.progress else c.budget
        while True:
            status = _advance(
                features,
                queue,
                self.counters,
                (c.cost, self.priority, c.row_class, c.class_groups, c.caps, c.floors, c.supply),
                (self.group_used, self.class_taken, self.closed, self.plan, self.planned),
                (self.picks, self.pick_gains, self.aside),
                (c.by_tokens, self.per_cost, floors == "as they come", floors == "by plan", stop_at_loss),
                (int(self.counters[LEFT]) - step, most_bonus),
            )
            if self.progress:
                self.progress(c.budget - int(self.counters[LEFT]), c.budget)
            if status == _DONE:
                return
            if status == _NEEDS_PLAN:
                self._replan(int(self.counters[CLASS]))

    def _replan(self, wanted: int) -> None:
        """Plan for one more row of the wanted class, or close the class for good."""
        plan = None
        if not self.constraints.one_attribute:
            # With one attribute, moving one unit is all that can help, and the compiled loop has tried it.
            taken = self.class_taken.copy()
            taken[wanted] += 1
            plan = self.constraints.plan(taken)
        if plan is None:
            self.closed[wanted] = True
        else:
            self._follow(plan)


@njit(cache=True, nogil=True)
def _ruled_out(row, counters, rows_info, state, flags):
    """Whether the row can no longer be picked; it stays so for the rest of the fill."""
    cost, _, row_class, class_groups, caps, floors, _ = rows_info
    group_used, taken, closed, plan, _ = state
    by_tokens, _, only_floors, only_plan, _ = flags
    if not by_tokens:
        return len(caps) > 0 and closed[row_class[row]]
    t = row_class[row]
    if cost[row] > counters[LEFT]:
        return True
    wanted = False
    for g in range(len(caps)):
        if class_groups[t, g]:
            if group_used[g] + cost[row] > caps[g]:
                return True
            wanted |= group_used[g] < floors[g]
    return (only_floors and not wanted) or (only_plan and taken[t] >= plan[t])


@njit(cache=True, nogil=True)
def _fits_plan(row, rows_info, state):
    """Whether the plan has room for the row, if need be after one unit of it has moved from another class."""
    _, _, row_class, class_groups, caps, floors, _ = rows_info
    _, taken, _, plan, planned = state
    t = row_class[row]
    if plan[t] > taken[t]:
        return True
    giver, most = -1, 0
    for u in range(len(plan)):
        spare = plan[u] - taken[u]
        if spare <= most:
            continue
        fits = True
        for g in range(len(caps)):
            if class_groups[t, g] and not class_groups[u, g]:
                fits &= planned[g] + 1 <= caps[g]
            elif class_groups[u, g] and not class_groups[t, g]:
                fits &= planned[g] - 1 >= floors[g]
        if fits:
            giver, most = u, spare
    if giver < 0:
        return False
    plan[giver] -= 1
    plan[t] += 1
    for g in range(len(caps)):
        planned[g] += np.int64(class_groups[t, g]) - np.int64(class_groups[giver, g])
    return True


@njit(cache=True, nogil=True)
def _top(features, queue, counters, rows_info, state, flags):
    """Bring a row to the root of the heap whose key is its gain now; False where no row is left."""
    cost, per_cost, now = rows_info[0], flags[1], counters[PICKED]
    while True:
        if counters[SIZE] == 0:
            if not lower_threshold(queue, features, counters, cost, per_cost):
                return False
        elif _ruled_out(queue.rows[0], counters, rows_info, state, flags):
            pop(queue, counters)
        elif queue.stamps[0] != now:
            row = queue.rows[0]
            key = look(row, features, counters, cost, per_cost)
            if key < threshold(queue, counters):
                pop(queue, counters)
                place(queue, counters, key, row, now)
            else:
                queue.keys[0], queue.stamps[0] = key, now
                sink(queue, counters)
        else:
            return True


@njit(cache=True, nogil=True)
def _best(features, queue, counters, rows_info, state, flags, aside, most_bonus):
    """Take the row that naive greedy would pick off the queue, and its key; row -1 where none is left."""
    cost, priority = rows_info[0], rows_info[1]
    per_cost, now = flags[1], counters[PICKED]
    if not _top(features, queue, counters, rows_info, state, flags):
        return -1, 0.0
    best_key, best, _ = pop(queue, counters)
    # A key taken earlier bounds the gain now but for rounding: look at all keys within the slack, and settle
    # ties.
    n_aside = 0
    while True:
        reach = best_key - _SLACK * (abs(best_key) + 2.0 * most_bonus)
        if counters[SIZE] > 0 and queue.keys[0] >= reach:
            key, row, stamp = pop(queue, counters)
            if _ruled_out(row, counters, rows_info, state, flags):
                continue
            if stamp != now:
                key = look(row, features, counters, cost, per_cost)
            if key > best_key or (key == best_key and priority[row] < priority[best]):
                key, best_key = best_key, key
                row, best = best, row
            aside[0][n_aside], aside[1][n_aside] = key, row
            n_aside += 1
        elif threshold(queue, counters) <= reach or not lower_threshold(
            queue, features, counters, cost, per_cost
        ):
            break
    for a in range(n_aside):
        place(queue, counters, aside[0][a], aside[1][a], now)
    return best, best_key


@njit(cache=True, nogil=True)
def _advance(features, queue, counters, rows_info, state, out, flags, limits):
    indptr, indices, values, scale, filled, bonus = features
    cost, _, row_class, class_groups, caps, _, _ = rows_info
    group_used, taken, _, _, _ = state
    picks, gains, aside = out
    by_tokens, _, _, _, stop_at_loss = flags
    pause_left, most_bonus = limits
    while counters[LEFT] > 0 and counters[PICKED] < len(picks):
        if counters[LEFT] <= pause_left:
            return _PAUSED
        best, key = _best(features, queue, counters, rows_info, state, flags, aside, most_bonus)
        if best < 0 or (stop_at_loss and key <= 0.0):
            return _DONE
        if not by_tokens and not _fits_plan(best, rows_info, state):
            place(queue, counters, key, best, counters[PICKED])
            counters[CLASS] = row_class[best]
            return _NEEDS_PLAN
        gains[counters[PICKED]] = row_gain(best, indptr, indices, values, scale, filled, bonus)
        picks[counters[PICKED]] = best
        counters[PICKED] += 1
        counters[LEFT] -= cost[best]
        for j in range(indptr[best], indptr[best + 1]):
            filled[indices[j]] += values[j]
        t = row_class[best]
        taken[t] += cost[best]
        for g in range(len(caps)):
            if class_groups[t, g]:
                group_used[g] += cost[best]
    return _DONE
