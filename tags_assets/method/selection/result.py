"""What a selection gives back: rows, figures, reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tags_assets.method.selection.attribution import Attribution, RunnersUp

FRONTIER_SCHEMA: dict[str, pl.DataType] = {
    "rows": pl.Int64(),
    "tokens": pl.Int64(),
    "value": pl.Float64(),
    "gain": pl.Float64(),
    "closeness": pl.Float64(),
    "coverage": pl.Float64(),
    "text": pl.Float64(),
    "kl": pl.Float64(),
}
"""One row per pick: what the picks up to it reach; ``value`` is the sum of the four parts after it."""

BEYOND_SCHEMA: dict[str, pl.DataType] = {
    "rows": pl.Int64(),
    "tokens": pl.Int64(),
    "value": pl.Float64(),
    "kl": pl.Float64(),
}
"""One row per pick after the last one that was selected, as `FRONTIER_SCHEMA`."""


@dataclass(frozen=True)
class SelectionFigures:
    """The numbers of a selection. Divergences are in nats, values in the objective's own unit.

    Attributes
    ----------
    n_eligible, n_candidates, n_selected, tokens_selected
        Rows that the fraction is of; those left after ``exclude`` and ``min_quality``; those selected; and
        their tokens (None where no tokens were given).
    budget
        What was asked for, in words.
    alignment, breadth, text_share
        lambda, breadth and the share of closeness that was the whole text's (0 where the target has no text).
    value, information_gain, closeness, likeness, coverage
        F, G, and the terms of A: mean closeness of the concepts in nats, the mean likeness of the whole texts
        above the pool's in nats (None where the target has no text), and coverage before it is weighed.
    gain_scale, alignment_scale
        G_g and A_g: what greedy reaches on either part alone (A_g is None where no alignment took part).
    kl, kl_reverse, kl_pool, kl_random, kl_random_limit, kl_floor
        KL(T || P_S); KL(P_S || T); KL(T || pi); the first for as many random rows under the same constraints,
        more than KL(T || pi) because few rows leave concepts empty; above what a selection is farther from
        the target than they are; and a lower bound of the first over all selections of this many rows.
    asked_share, asked_share_pool, asked_share_target
        Share of the selection, of the pool and of T on the concepts of which T asks for more than the pool
        has.
    certificate, bound
        value / bound, and the bound on the value of every feasible selection.
    certificate_asked, certificate_limit, rows_exchanged, value_before_search
        Where a certificate was asked for: which; above what no bound of this kind could bring it for these
        rows; how many rows the search exchanged, and the value without that.
    n_evaluations
        Gains that the last run of the solver computed.
    strategy, other_value
        Under a budget of tokens: the better of ``gain`` and ``gain per token``, and the value of the other.
    stability, rows_kept, rows_dropped, rows_added, rows_kept_without_stability, value_without_stability
        Where a selection before was leant on: how strongly, what became of its rows, and how many of them and
        which value there would be without that. ``value_without_stability`` - ``value`` is what it cost.
    """

    n_eligible: int
    n_candidates: int
    n_selected: int
    tokens_selected: int | None
    budget: str
    alignment: float
    breadth: float
    text_share: float
    value: float
    information_gain: float
    closeness: float
    likeness: float | None
    coverage: float
    gain_scale: float
    alignment_scale: float | None
    kl: float
    kl_reverse: float
    kl_pool: float
    kl_random: float
    kl_random_limit: float
    kl_floor: float
    asked_share: float
    asked_share_pool: float
    asked_share_target: float
    certificate: float
    bound: float
    n_evaluations: int
    strategy: str
    other_value: float | None
    stability: float = 0.0
    rows_kept: int | None = None
    rows_dropped: int | None = None
    rows_added: int | None = None
    rows_kept_without_stability: int | None = None
    value_without_stability: float | None = None
    certificate_asked: float | None = None
    certificate_limit: float | None = None
    rows_exchanged: int | None = None
    value_before_search: float | None = None


@dataclass(frozen=True, eq=False)
class SelectionResult:
    """The selected rows and why.

    Attributes
    ----------
    rows
        Numbers of the selected rows in the order of their picks (rank 1 first), int64 (k,).
    gains
        What each pick added to the value, float64 (k,).
    figures
        See `SelectionFigures`.
    attribution
        Each gain taken apart over nodes; picks count from 0 in the order of `rows`.
    frontier
        `FRONTIER_SCHEMA`: the value, its parts and the KL of every budget up to this one.
    beyond
        `BEYOND_SCHEMA`: what up to twice the budget would reach, by the same objective; empty where the pool
        or the constraints have no more to give.
    leaf_mass
        n_l(S), float64 (n_leaves,).
    node_mass, node_capacity
        m_v(S), weighted with quality, and c_v, float64 (n_nodes,): how far each concept is saturated.
    shortages
        Concepts of which the target asks for more than can be had (`alignment.shortages`).
    runners_up
        Rows that came closest to being picked, with what beat them; numbers are those of all rows.
    messages
        What the user should know, one sentence each.
    """

    rows: NDArray[np.int64]
    gains: NDArray[np.float64]
    figures: SelectionFigures
    attribution: Attribution
    frontier: pl.DataFrame
    beyond: pl.DataFrame
    leaf_mass: NDArray[np.float64]
    node_mass: NDArray[np.float64]
    node_capacity: NDArray[np.float64]
    shortages: pl.DataFrame
    runners_up: RunnersUp
    messages: tuple[str, ...]
