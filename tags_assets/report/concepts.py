"""Concepts of the tree with what pool, selection and target hold of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF_A_ROW = 0.5
"""Added to both sides of a ratio, so that a concept of two rows does not shout louder than one of two
thousand (ours: the Jeffreys prior of a count)."""


def concept_shares(nodes: pl.DataFrame, masses: pl.DataFrame) -> pl.DataFrame:
    """Add the leaves' masses up the tree.

    Parameters
    ----------
    nodes
        ``NODE_SCHEMA``, one root, in any order.
    masses
        `tags_assets.report.content.MASS_SCHEMA`. Only rows that name a leaf count.

    Returns
    -------
    One row per node, sorted from the root down and then by id: ``node_id, parent_id, level, name,
    description, path``, ``parent`` (row number of the parent here, -1 at the root), ``pool``, ``selection``
    (rows' mass), ``target`` (share, null where the target is null throughout), ``pool_share``,
    ``selection_share``, ``against_pool`` and ``against_target`` (log2 of the selection's share over the
    other's, half a row added to both).

    Raises
    ------
    UserError
        Where the nodes are not one tree.
    """
    kept = ["node_id", "parent_id", "level", "name", "description", "path"]
    tree = nodes.select(kept).sort(["level", "node_id"], descending=[True, False]).with_row_index("number")
    numbers = tree.select(pl.col("node_id").alias("parent_id"), pl.col("number").alias("parent"))
    tree = tree.join(numbers, on="parent_id", how="left", maintain_order="left")
    if tree.filter(pl.col("parent").is_null()).height != 1:
        raise UserError(
            f"a tree has one root, this one has {tree.filter(pl.col('parent').is_null()).height}",
            where="knowledge_tree",
            fix="Build the tree again.",
        )
    has_target = masses["target"].is_not_null().any()
    tree = tree.join(
        masses.group_by("node_id").agg(pl.col("pool", "selection", "target").sum()),
        on="node_id",
        how="left",
        maintain_order="left",
    )
    parent = tree["parent"].cast(pl.Int64).fill_null(-1).to_numpy()
    level = tree["level"].to_numpy()
    summed = {
        name: add_up(tree[name].fill_null(0.0).to_numpy().astype(np.float64), parent, level)
        for name in ("pool", "selection", "target")
    }
    root = int(np.flatnonzero(parent < 0)[0])
    shares = {name: values / (values[root] or 1.0) for name, values in summed.items()}
    half = HALF_A_ROW / max(summed["selection"][root], 1.0)
    return tree.select(
        *kept,
        pl.Series("parent", parent, dtype=pl.Int64),
        pl.Series("pool", summed["pool"]),
        pl.Series("selection", summed["selection"]),
        pl.Series("target", shares["target"] if has_target else [None] * tree.height, dtype=pl.Float64),
        pl.Series("pool_share", shares["pool"]),
        pl.Series("selection_share", shares["selection"]),
        pl.Series("against_pool", log_ratio(shares["selection"], shares["pool"], half)),
        pl.Series(
            "against_target",
            log_ratio(shares["selection"], shares["target"], half) if has_target else [None] * tree.height,
            dtype=pl.Float64,
        ),
    )


def add_up(
    values: NDArray[np.float64], parent: NDArray[np.int64], level: NDArray[np.int16]
) -> NDArray[np.float64]:
    """Add each leaf's value to all nodes above it, (n_nodes,); what inner nodes bring themselves is
    dropped.
    """
    sums = np.where(level == 0, values, 0.0)
    for height in range(int(level.max())):
        here = np.flatnonzero((level == height) & (parent >= 0))
        np.add.at(sums, parent[here], sums[here])
    return sums


def partition(shares: pl.DataFrame, size: int = 16) -> pl.DataFrame:
    """Choose about ``size`` concepts that together are the whole tree, finer where there is more to see.

    Starting from the root, the concept that weighs most (the larger of its shares in target, selection and
    pool) is replaced by its children until there are enough of them. Ours: a level of the tree would be
    either too coarse to read or too long.

    Returns
    -------
    Rows of ``shares`` whose masses add up to the root's, plus at most one row ``others`` for what holds the
    rest.
    """
    parent = shares["parent"].to_numpy()
    weight = shares.select(
        pl.max_horizontal(pl.col("target").fill_null(0.0), "selection_share", "pool_share")
    ).to_series()
    weights = weight.to_numpy()
    children: dict[int, list[int]] = {}
    for number, above in enumerate(parent.tolist()):
        children.setdefault(above, []).append(number)
    chosen = list(children.get(-1, []))
    while len(chosen) < size:
        splittable = [number for number in chosen if number in children]
        if not splittable:
            break
        widest = max(splittable, key=lambda number: (weights[number], -number))
        chosen.remove(widest)
        chosen.extend(children[widest])
    most = size + size // 2
    ranked = sorted(chosen, key=lambda number: (-weights[number], number))
    shown, rest = ranked[:most], ranked[most:]
    picked = shares[shown]
    if not rest:
        return picked
    others = (
        shares[rest]
        .select(
            pl.lit("").alias("node_id"),
            pl.lit(None, dtype=pl.String).alias("parent_id"),
            pl.lit(0).cast(shares.schema["level"]).alias("level"),
            pl.lit(f"{len(rest):,} other concepts").alias("name"),
            pl.lit("").alias("description"),
            pl.lit(f"{len(rest):,} other concepts").alias("path"),
            pl.lit(-1, dtype=pl.Int64).alias("parent"),
            pl.col("pool", "selection").sum(),
            pl.when(pl.col("target").is_not_null().any()).then(pl.col("target").sum()).alias("target"),
            pl.col("pool_share", "selection_share").sum(),
            pl.lit(None, dtype=pl.Float64).alias("against_pool"),
            pl.lit(None, dtype=pl.Float64).alias("against_target"),
        )
        .head(1)
    )
    return pl.concat([picked, others])


def log_ratio(share: NDArray[np.float64], reference: NDArray[np.float64], half: float) -> NDArray[np.float64]:
    """Over-representation in doublings: log2 of (share + half) / (reference + half), elementwise."""
    ratio: NDArray[np.float64] = np.log2((share + half) / (reference + half))
    return ratio
