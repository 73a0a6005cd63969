"""The knowledge tree as the browser draws it: few enough nodes to be quick, sizes that add up exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.report.concepts import log_ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

NODES_DRAWN = 6_000
"""Nodes that one report carries: quick to draw on a phone, about 150 kB compressed. The rest are told by
number; all are in the table ``knowledge_tree``."""

LONGEST_NOTE = 140
"""Characters of a node's description that the report carries."""


def treemap(shares: pl.DataFrame, *, most: int = NODES_DRAWN) -> dict[str, list[object]]:
    """Lay the tree out as columns for the page's script, parents before children.

    The nodes with most mass are kept (a parent has at least its child's mass, so what is kept is a tree);
    what a kept node holds beyond its kept children becomes one node "smaller concepts". An only child that
    bears its parent's name is drawn once. Sizes are whole thousandths of a row, added up after rounding,
    because a treemap whose children outweigh their parent by a rounding error is not drawn at all.

    Parameters
    ----------
    shares
        What `tags_assets.report.concepts.concept_shares` returns.

    Returns
    -------
    Columns of equal length: ``id``, ``parent`` (position, -1 at the root), ``name``, ``about``, ``size``,
    ``pool``, ``selection`` (rows), ``target`` (share or null), ``by_pool``, ``by_target`` (log2 ratios or
    null).
    """
    kept, above = _kept(shares, most)
    drawn = (
        shares.with_row_index("number")
        .with_columns(pl.col("number").cast(pl.Int64), pl.Series("above", above))
        .filter(pl.Series(kept))
        .select("number", "above", "node_id", "name", "description", "pool", "selection", "target")
    )
    drawn = pl.concat([drawn, _smaller_concepts(drawn)])
    position = {number: place for place, number in enumerate(drawn["number"].to_list())}
    parent = np.array([position.get(number, -1) for number in drawn["above"].to_list()], dtype=np.int64)
    whole = drawn.row(int(np.flatnonzero(parent < 0)[0]), named=True)
    pool = drawn["pool"].to_numpy() / (whole["pool"] or 1.0)
    selection = drawn["selection"].to_numpy() / (whole["selection"] or 1.0)
    half = 0.5 / max(whole["selection"], 1.0)
    by_target: list[object] = [None] * drawn.height
    if whole["target"] is not None:
        by_target = np.round(log_ratio(selection, drawn["target"].to_numpy(), half), 2).tolist()
    return {
        "id": drawn["node_id"].to_list(),
        "parent": parent.tolist(),
        "name": drawn["name"].to_list(),
        "about": [_about(text, name) for text, name in drawn.select("description", "name").iter_rows()],
        "size": _sizes(drawn["pool"].to_numpy(), parent).tolist(),
        "pool": drawn["pool"].round(1).to_list(),
        "selection": drawn["selection"].round(1).to_list(),
        "target": drawn["target"].round(6).to_list(),
        "by_pool": np.round(log_ratio(selection, pool, half), 2).tolist(),
        "by_target": by_target,
    }


def _kept(shares: pl.DataFrame, most: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which nodes are drawn, and below which node each of them hangs then, both (n_nodes,)."""
    parent = shares["parent"].to_numpy()
    weight = shares.select(pl.max_horizontal("pool_share", "selection_share")).to_series().to_numpy()
    kept = np.zeros(len(weight), dtype=bool)
    # `shares` runs from the root down, so among equals the upper node comes first and what is kept stays a
    # tree.
    kept[np.argsort(-weight, kind="stable")[:most]] = True
    kept = (kept & (weight > 0)) | (parent < 0)
    names = shares["name"].to_list()
    n_children = np.bincount(parent[parent >= 0], minlength=len(parent))
    above, stand_in = parent.copy(), np.arange(len(parent))
    for number in np.flatnonzero(kept & (parent >= 0)).tolist():
        mother = int(parent[number])
        above[number] = stand_in[mother]
        if n_children[mother] == 1 and names[number] == names[mother]:
            stand_in[number], kept[number] = stand_in[mother], False
    return kept, above


def _smaller_concepts(drawn: pl.DataFrame) -> pl.DataFrame:
    """What drawn nodes hold beyond their drawn children, one row each, with numbers of their own (negative,
    below -1).
    """
    below = drawn.group_by(pl.col("above").alias("number")).agg(pl.col("pool", "selection", "target").sum())
    left = pl.col("pool", "selection", "target") - pl.col("pool_below", "selection_below", "target_below")
    return (
        drawn.join(below, on="number", suffix="_below", maintain_order="left")
        .with_columns(left.clip(lower_bound=0.0))
        .filter(pl.col("pool") > 1e-3)  # less is rounding
        .select(
            (-2 - pl.col("number")).alias("number"),
            pl.col("number").alias("above"),
            pl.col("node_id") + "/rest",
            pl.lit("smaller concepts").alias("name"),
            pl.lit("").alias("description"),
            "pool",
            "selection",
            "target",
        )
    )


def _sizes(pool: NDArray[np.float64], parent: NDArray[np.int64]) -> NDArray[np.int64]:
    """Thousandths of a row per node, each parent the exact sum of its children, int64 (n_drawn,)."""
    is_leaf = np.ones(len(pool), dtype=bool)
    is_leaf[parent[parent >= 0]] = False
    size: NDArray[np.int64] = np.where(is_leaf, np.maximum(np.rint(pool * 1000), 1), 0).astype(np.int64)
    # Rows of "smaller concepts" stand at the end but have no children, so from the end every child precedes
    # its parent.
    for place in range(len(size) - 1, -1, -1):
        if parent[place] >= 0:
            size[parent[place]] += size[place]
    return size


def _about(description: str | None, name: str) -> str:
    """A description worth its bytes: cut short, and nothing where it only repeats the name."""
    text = (description or "").strip()
    if text.casefold() == name.casefold():
        return ""
    # Cut between two of the concepts that a description lists, not within one.
    between = "; " if "; " in text else ", "
    return text if len(text) <= LONGEST_NOTE else text[:LONGEST_NOTE].rpartition(between)[0] + between + "..."
