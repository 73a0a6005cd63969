"""Why each row is in: its gain, taken apart over the nodes of the tree."""

# Compiled functions take positional arguments alone.
# ruff: noqa: PLR0917

from __future__ import annotations

from dataclasses import dataclass
from math import log1p
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numba import njit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tags_assets.method.selection.constraints import Constraints
    from tags_assets.method.selection.objective import Objective
    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

PARTS = ("gain", "closeness", "coverage", "text")
GAIN, CLOSENESS, COVERAGE, TEXT = range(4)

WHOLE_TEXT = "whole text"
"""What the root is called where amounts are told: what stands there no concept carries."""

ATTRIBUTION_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    "node_id": pl.String(),
    "part": pl.String(),
    "amount": pl.Float64(),
}
"""Columns of the table ``selection_attribution`` but for ``target``."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each node gave to each pick, in the unit of the objective. The amounts of a pick add up to its
    gain.

    Attributes
    ----------
    pick
        Position in the selection, ascending, int32 (n,).
    node
        Number of the node; a leaf for closeness and coverage, the root for text (likeness of the whole text
        to the examples, less what repeats the text of a pick before), int32 (n,).
    part
        Index into `PARTS`, int8 (n,).
    amount
        float64 (n,).
    """

    pick: NDArray[np.int32]
    node: NDArray[np.int32]
    part: NDArray[np.int8]
    amount: NDArray[np.float64]

    def totals(self, n_picks: int) -> NDArray[np.float64]:
        """Sum per pick and part, float64 (n_picks, 4) in the order of `PARTS`."""
        place = self.pick.astype(np.int64) * len(PARTS) + self.part
        sums = np.bincount(place, weights=self.amount, minlength=n_picks * len(PARTS))
        return sums.astype(np.float64).reshape(n_picks, -1)

    def with_text(self, amounts: NDArray[np.float64], root: int) -> Attribution:
        """Add what each pick's whole text gave or cost, float64 (n_picks,), at the root: no concept did."""
        some = np.flatnonzero(amounts)
        n, amounts = len(some), amounts[some]
        pick = np.concatenate([self.pick, some.astype(np.int32)])
        order = np.argsort(pick, kind="stable")
        node = np.concatenate([self.node, np.full(n, root, dtype=np.int32)])
        part = np.concatenate([self.part, np.full(n, TEXT, dtype=np.int8)])
        return Attribution(
            pick[order], node[order], part[order], np.concatenate([self.amount, amounts])[order]
        )

    def to_frame(self, tree: KnowledgeTree, instance_ids: Sequence[str]) -> pl.DataFrame:
        """Name picks and nodes (`ATTRIBUTION_SCHEMA`); `instance_ids` are those of the picks, in order."""
        ids, nodes = pl.Series(instance_ids, dtype=pl.String), pl.Series(tree.node_ids, dtype=pl.String)
        parts = pl.Series(PARTS, dtype=pl.String)
        return pl.DataFrame(
            {
                "instance_id": ids.gather(self.pick),
                "node_id": nodes.gather(self.node),
                "part": parts.gather(self.part),
                "amount": self.amount,
            },
            schema=ATTRIBUTION_SCHEMA,
        )


def attribute(
    objective: Objective,
    rows: NDArray[np.int64],
    *,
    n_nodes: int,
    n_features: int,
    closeness: tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.float64]] | None = None,
) -> Attribution:
    """Replay the picks in their order and write down what each feature gave.

    Parameters
    ----------
    objective
        As it was maximised: features below `n_nodes` are nodes, those below `n_features` leaves (coverage).
    rows
        The picks in their order, int64 (k,).
    n_nodes, n_features
        Nodes of the tree, and nodes and leaves together; later features are passed over.
    closeness
        The bonuses of the picks, taken apart over leaves: indptr (k + 1,), leaves and amounts of a CSR array.
    """
    if closeness is None:
        closeness = np.zeros(len(rows) + 1, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0)
    pick, node, part, amount = _replay(
        rows,
        objective.indptr,
        objective.indices,
        objective.values,
        objective.scale,
        objective.capacity.copy(),
        n_nodes,
        n_features,
        closeness[0].astype(np.int64),
        closeness[1].astype(np.int32),
        closeness[2],
    )
    return Attribution(pick, node, part, amount)


@njit(cache=True, nogil=True)
def _replay(
    rows: NDArray[np.int64],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
    scale: NDArray[np.float64],
    filled: NDArray[np.float64],
    n_nodes: int,
    n_features: int,
    closeness_indptr: NDArray[np.int64],
    closeness_leaves: NDArray[np.int32],
    closeness_amounts: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int8], NDArray[np.float64]]:
    most = len(closeness_leaves)
    for row in rows:
        most += indptr[row + 1] - indptr[row]
    pick = np.empty(most, dtype=np.int32)
    node = np.empty(most, dtype=np.int32)
    part = np.empty(most, dtype=np.int8)
    amount = np.empty(most)
    n = 0
    for r in range(len(rows)):
        for j in range(indptr[rows[r]], indptr[rows[r] + 1]):
            f = indices[j]
            if scale[f] > 0.0 and f < n_features:
                pick[n] = r
                node[n] = f if f < n_nodes else f - n_nodes
                part[n] = GAIN if f < n_nodes else COVERAGE
                amount[n] = scale[f] * log1p(values[j] / filled[f])
                n += 1
            filled[f] += values[j]
        for j in range(closeness_indptr[r], closeness_indptr[r + 1]):
            pick[n] = r
            node[n] = closeness_leaves[j]
            part[n] = CLOSENESS
            amount[n] = closeness_amounts[j]
            n += 1
    return pick[:n], node[:n], part[:n], amount[:n]


def lost_to_repetition(objective: Objective, rows: NDArray[np.int64], n_features: int) -> NDArray[np.float64]:
    """Replay the picks: what each lost because picks before it said nearly the same text.

    Parameters
    ----------
    objective
        As it was maximised: features from `n_features` on are groups of texts, each row's behind its other
        features; a row's bonus has what the first of its group gains by it taken off.
    rows
        The picks in their order, int64 (k,).
    n_features
        Features of the tree.

    Returns
    -------
    float64 (k,), at least 0; 0 for the first pick of a group and for a row of none.
    """
    lost = np.zeros(len(rows))
    filled = objective.capacity.copy()
    last = objective.indptr[rows + 1] - 1
    grouped = (last >= objective.indptr[rows]) & (objective.indices[last] >= n_features)
    for pick in np.flatnonzero(grouped).tolist():
        f, value = objective.indices[last[pick]], float(objective.values[last[pick]])
        lost[pick] = objective.scale[f] * (
            np.log1p(value / objective.capacity[f]) - np.log1p(value / filled[f])
        )
        filled[f] += value
    return lost


@dataclass(frozen=True, eq=False)
class RunnersUp:
    """Rows that came closest to being picked.

    Attributes
    ----------
    rows
        By falling gain, int64 (n,).
    gains
        What each would add to the selection, float64 (n,).
    beaten_by
        The picked row that took most of the row's gain away, -1 where none took any, int64 (n,).
    reasons
        Why the row is not in, in words.
    """

    rows: NDArray[np.int64]
    gains: NDArray[np.float64]
    beaten_by: NDArray[np.int64]
    reasons: tuple[str, ...]

    def numbered(self, numbers: NDArray[np.int64]) -> RunnersUp:
        """Number the rows as ``numbers[row]``."""
        beaten_by = np.where(self.beaten_by < 0, -1, numbers[self.beaten_by])
        return RunnersUp(numbers[self.rows], self.gains, beaten_by, self.reasons)


def find_runners_up(
    objective: Objective, rows: NDArray[np.int64], constraints: Constraints, *, n: int = 20
) -> RunnersUp:
    """Find the rows of the largest gain beside the selection, and what took their place.

    Parameters
    ----------
    objective
        As it was maximised.
    rows
        The picks in their order, int64 (k,).
    constraints
        What they kept to: a full cap is given as the reason where there is one.
    n
        Rows at most.
    """
    gains = objective.gains(objective.masses(rows))
    if constraints.by_tokens:
        gains = gains / constraints.cost
    gains[rows] = -np.inf
    n = min(n, objective.n_rows - len(rows))
    if n <= 0:
        nothing = np.zeros(0, dtype=np.int64)
        return RunnersUp(nothing, np.zeros(0), nothing, ())
    nearest = np.argpartition(-gains, n - 1)[:n]
    nearest = nearest[np.lexsort((nearest, -gains[nearest]))]
    lost_to = _largest_loss(
        nearest,
        rows,
        objective.indptr,
        objective.indices,
        objective.values,
        objective.scale,
        objective.capacity,
        objective.n_features,
    )
    held = constraints.group_cost(rows)
    full = [
        [
            constraints.group_names[g]
            for g in np.flatnonzero(constraints.class_groups[constraints.row_class[row]])
            if held[g] + constraints.cost[row] > constraints.caps[g]
        ]
        for row in nearest
    ]
    reasons = tuple(
        f"max_share of {' and '.join(names)} is used up" if names else "picks before it cover its concepts"
        for names in full
    )
    lost_to = np.where(lost_to < 0, -1, rows[lost_to])
    own = objective.gains(objective.masses(rows))[nearest] if constraints.by_tokens else gains[nearest]
    return RunnersUp(nearest.astype(np.int64), own, lost_to, reasons)


@njit(cache=True, nogil=True)
def _largest_loss(
    runners: NDArray[np.int64],
    rows: NDArray[np.int64],
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
    scale: NDArray[np.float64],
    capacity: NDArray[np.float64],
    n_features: int,
) -> NDArray[np.int64]:
    """Replay the picks and note for each runner the one whose masses cost it most of its gain."""
    out = np.zeros(len(runners), dtype=np.int64) - 1
    own = np.zeros(n_features)
    for r in range(len(runners)):
        for j in range(indptr[runners[r]], indptr[runners[r] + 1]):
            own[indices[j]] = values[j]
        filled = capacity.copy()
        most = 0.0
        for p in range(len(rows)):
            loss = 0.0
            for j in range(indptr[rows[p]], indptr[rows[p] + 1]):
                f = indices[j]
                before = filled[f]
                filled[f] += values[j]
                if own[f] > 0.0 and scale[f] > 0.0:
                    loss += scale[f] * (log1p(own[f] / before) - log1p(own[f] / filled[f]))
            if loss > most:
                most = loss
                out[r] = p
        for j in range(indptr[runners[r]], indptr[runners[r] + 1]):
            own[indices[j]] = 0.0
    return out
