"""Stability: a selection made again keeps rows of the one before, as far as the objective is worth it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tags_assets.method.selection.solver import in_order, maximise

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from tags_assets.method.selection.objective import Objective
    from tags_assets.method.selection.problem import Problem
    from tags_assets.method.selection.solver import Solution


@dataclass(frozen=True)
class Kept:
    """What became of the selection before.

    Attributes
    ----------
    strength
        Stability that was applied.
    n_previous
        Rows of the selection before, those that are no longer in the pool included.
    n_kept, n_kept_without
        Rows of it that are selected, and that would be without stability.
    value_without
        F of the selection that would be made without stability: what it is worth less is what stability
        costs.
    """

    strength: float
    n_previous: int
    n_kept: int
    n_kept_without: int
    value_without: float


def keep(
    problem: Problem,
    objective: Objective,
    plain: Solution,
    *,
    previous: NDArray[np.int64],
    strength: float,
    progress: Callable[[int, int], None] | None = None,
) -> Solution:
    """Select again with a bonus for the rows of the selection before.

    The bonus of a row is ``strength`` times the mean gain of a pick without it, F(plain) / k: at 1 a row of
    the selection before counts as much more as an average pick is worth. That is F plus a linear term, so it
    is as submodular as F, and every constraint holds as before. The picks are then put into the order of
    their gains in F alone: ranks and gains mean what they mean without stability.

    Parameters
    ----------
    problem, objective
        The problem and its F.
    plain
        What greedy selects without stability.
    previous
        Numbers, among the candidates, of the rows to keep, int64.
    strength
        In [0, 1].
    """
    bonus = objective.bonus.copy()
    bonus[previous] += strength * max(plain.value, 0.0) / max(len(plain.rows), 1)
    leaning = objective.reweighted(objective.weight, objective.capacity, bonus)
    found = maximise(leaning, problem.constraints, priority=problem.priority, progress=progress)
    return in_order(objective, found, first=problem.constraints.include, priority=problem.priority)
