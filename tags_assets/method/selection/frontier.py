"""What every budget reaches: the picks of one run, and those that twice the budget would add."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.method.selection.constraints import NO_CAP
from tags_assets.method.selection.result import BEYOND_SCHEMA, FRONTIER_SCHEMA
from tags_assets.method.selection.solver import greedy

if TYPE_CHECKING:
    from tags_assets.method.selection.attribution import Attribution
    from tags_assets.method.selection.objective import Objective
    from tags_assets.method.selection.problem import Problem
    from tags_assets.method.selection.solver import Solution

REACH = 2
"""How far beyond the budget is looked, as a multiple of it."""


def frontier(problem: Problem, solution: Solution, attribution: Attribution) -> pl.DataFrame:
    """Value, its parts and the KL after every pick (`FRONTIER_SCHEMA`)."""
    rows, tokens = solution.rows, problem.tokens
    parts = np.cumsum(attribution.totals(len(rows)), axis=0)
    return pl.DataFrame(
        {
            "rows": np.arange(1, len(rows) + 1),
            "tokens": None if tokens is None else np.cumsum(tokens[rows]),
            "value": np.cumsum(solution.gains),
            "gain": parts[:, 0],
            "closeness": parts[:, 1],
            "coverage": parts[:, 2],
            "text": parts[:, 3],
            "kl": problem.kl_of_prefixes(rows),
        },
        schema=FRONTIER_SCHEMA,
    )


def beyond(problem: Problem, objective: Objective, solution: Solution) -> pl.DataFrame:
    """Go on picking up to `REACH` times the budget (`BEYOND_SCHEMA`): is more worth having?

    The objective stays that of the budget that was asked for, capacities included, so the curve goes on where
    the frontier ends. Caps grow with the budget; floors are left to the gains.
    """
    asked, picked = problem.constraints, solution.rows
    budget = REACH * asked.budget
    if not asked.by_tokens:
        budget = min(budget, asked.n_rows)
    caps = np.where(asked.caps == NO_CAP, NO_CAP, asked.caps * budget // asked.budget)
    wider = replace(
        asked, budget=budget, include=np.sort(picked), caps=caps, floors=np.zeros_like(asked.floors)
    )
    if not asked.by_tokens and wider.plan(wider.class_cost(wider.include)) is None:
        return pl.DataFrame(schema=BEYOND_SCHEMA)
    found = greedy(objective, wider, priority=problem.priority)
    more, n = found.rows[len(picked) :], len(picked)
    rows = np.concatenate([picked, more])
    tokens = problem.tokens
    return pl.DataFrame(
        {
            "rows": np.arange(n + 1, len(rows) + 1),
            "tokens": None if tokens is None else np.cumsum(tokens[rows])[n:],
            "value": float(solution.gains.sum()) + np.cumsum(found.gains[n:]),
            "kl": problem.kl_of_prefixes(rows)[n:],
        },
        schema=BEYOND_SCHEMA,
    )
