"""Which concepts tell a change of shares on a tree best: the deepest that explain it, none twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXPLAINED = 0.7
"""Part of a node's change from which a few of its children tell it, and it need not be told itself."""

FEW = 3
"""Most children that may stand for their parent."""

LEAST = 0.0005
"""Least change of a share that is told: a twentieth of a per cent."""


def deepest_moves(changes: pl.DataFrame, *, least: float = LEAST) -> pl.DataFrame:
    """Choose the nodes that tell what moved.

    A node whose change up to `FEW` of its children make up by `EXPLAINED`, the same way, gives way to them.
    One that stays speaks for what is below it and moved the same way; what moved the other way is told
    beside it.

    Parameters
    ----------
    changes
        ``node_id, parent_id, change`` and any other columns: each node's change of share.
    least
        Least change that is told.

    Returns
    -------
    pl.DataFrame
        Rows of `changes`, by falling size of the change.
    """
    moved = changes.filter(pl.col("change").abs() >= least)
    amount = dict(moved.select("node_id", "change").iter_rows())
    children: dict[str | None, list[str]] = {}
    for node, parent in moved.select("node_id", "parent_id").iter_rows():
        children.setdefault(parent, []).append(node)
    # A node stands at the top where nothing above it moved, as below the root, whose share is always whole.
    tops = [node for parent, below in children.items() if parent not in amount for node in below]
    told: set[str] = set()
    waiting = [(node, 0.0) for node in tops]
    while waiting:
        node, spoken_for = waiting.pop()
        change, below = amount[node], children.get(node, [])
        if change * spoken_for > 0:
            waiting += [(child, change) for child in below]
        elif _told_by(change, below, amount):
            waiting += [(child, 0.0) for child in below]
        else:
            told.add(node)
            waiting += [(child, change) for child in below]
    # Shares come out of sums over threads: their last bits must not decide the order.
    return moved.filter(pl.col("node_id").is_in(list(told))).sort(
        [pl.col("change").abs().round(9), "node_id"], descending=[True, False]
    )


def _told_by(change: float, below: Sequence[str], amount: Mapping[str, float]) -> bool:
    """Whether a few children make up most of a node's change."""
    same_way = sorted((abs(amount[child]) for child in below if amount[child] * change > 0), reverse=True)
    return sum(same_way[:FEW]) >= EXPLAINED * abs(change)
