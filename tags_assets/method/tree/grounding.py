"""Grounding: each row's mass over the leaves of the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

GROUNDING_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    "node_id": pl.String(),
    "mass": pl.Float64(),
}
"""Columns of the table ``grounded_instances``, one row per instance and leaf that holds mass of it."""


def ground(
    instance_tags: pl.DataFrame, tree: KnowledgeTree, order: Sequence[str] | pl.Series
) -> sparse.csr_array:
    """Share out each row's weight over the leaves that hold its tags: p_i(l).

    Parameters
    ----------
    instance_tags
        ``instance_id, tag, weight``; weights are not negative.
    tree
        The knowledge tree; tags that it does not hold are passed over.
    order
        Instance ids in the order of the rows.

    Returns
    -------
    csr_array
        float64 (n_rows, n_leaves); each row sums to 1, or to 0 where it has no tag of the tree. Masses of the
        nodes above follow as ``ground(...) @ tree.ancestors``.
    """
    rows = pl.DataFrame({"instance_id": pl.Series(order, dtype=pl.String)}).with_row_index("row")
    leaves = pl.DataFrame({"tag": list(tree.tags), "leaf": tree.tag_leaf})
    masses = (
        instance_tags.join(rows, on="instance_id")
        .join(leaves, on="tag")
        .group_by("row", "leaf")
        # summed in one order, whatever order the threads give the rows in
        .agg(pl.col("weight").cast(pl.Float64).sort().sum().alias("mass"))
        .filter(pl.col("mass") > 0)
        .sort("row", "leaf")
    )
    return _matrix(masses, len(rows), tree.n_leaves)


def to_frame(
    grounding: sparse.csr_array, tree: KnowledgeTree, order: Sequence[str] | pl.Series
) -> pl.DataFrame:
    """Write a grounding as the table ``grounded_instances``, rows in their order."""
    rows = np.repeat(np.arange(grounding.shape[0]), np.diff(grounding.indptr))
    return pl.DataFrame(
        {
            "instance_id": pl.Series(order, dtype=pl.String).gather(rows),
            "node_id": pl.Series(tree.node_ids, dtype=pl.String).gather(grounding.indices),
            "mass": grounding.data,
        },
        schema=GROUNDING_SCHEMA,
    )


def from_frame(
    frame: pl.DataFrame, tree: KnowledgeTree, order: Sequence[str] | pl.Series
) -> sparse.csr_array:
    """Read a grounding back from its table: float64 CSR (n_rows, n_leaves), rows numbered as in `order`."""
    rows = pl.DataFrame({"instance_id": pl.Series(order, dtype=pl.String)}).with_row_index("row")
    leaves = pl.DataFrame({"node_id": tree.node_ids[: tree.n_leaves]}).with_row_index("leaf")
    masses = frame.join(rows, on="instance_id").join(leaves, on="node_id").sort("row", "leaf")
    return _matrix(masses, len(rows), tree.n_leaves)


def _matrix(masses: pl.DataFrame, n_rows: int, n_leaves: int) -> sparse.csr_array:
    row, leaf, mass = (masses[name].to_numpy() for name in ("row", "leaf", "mass"))
    total = np.bincount(row, weights=mass, minlength=n_rows)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n_rows))])
    share = sparse.csr_array((mass / total[row], leaf.astype(np.int32), indptr), shape=(n_rows, n_leaves))
    # A weight may vanish beside the others; what is stored is above 0, for logarithms are taken of it.
    share.eliminate_zeros()
    return share
