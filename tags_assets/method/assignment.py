"""Concepts that a row exercises without naming them, and their union with those that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.method.embedding import blocks, centred

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tags_assets.method.embedding import Vectors

ASSIGNED_SCHEMA: dict[str, pl.DataType] = {"row": pl.UInt32(), "tag": pl.UInt32(), "weight": pl.Float32()}
"""Columns of what `assign_concepts` returns: numbers of rows and of vocabulary tags."""

INSTANCE_TAG_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    "tag": pl.String(),
    "weight": pl.Float32(),
    "origin": pl.String(),
}
"""Columns of the table ``instance_tags``, one row per instance and canonical tag."""

ASSIGNED_SHARE = 0.7
"""Share of a row's weight that goes to assigned concepts where it has both kinds (measured, see STACK)."""

BLOCK_BYTES = 64 << 20
"""Memory of one block of similarities; rows x tags is never dense for all rows."""


def assign_concepts(
    row_vectors: Vectors,
    tag_vectors: Vectors,
    tag_counts: NDArray[np.integer],
    *,
    n_concepts: int = 8,
    temperature: float = 0.05,
) -> pl.DataFrame:
    """Find the concepts of the vocabulary that lie nearest to each row, both sides mean-centred.

    Returns
    -------
    Frame with ``ASSIGNED_SCHEMA``, by row, then by falling weight; the weights of a row sum to 1.
    """
    n_rows, n_tags = len(row_vectors), len(tag_vectors)
    k = min(n_concepts, n_tags)
    if n_rows == 0 or k == 0:
        return pl.DataFrame(schema=ASSIGNED_SCHEMA)
    rows = centred(row_vectors)
    tags = centred(tag_vectors, weights=np.sqrt(np.maximum(tag_counts, 1)))
    size = max(1, BLOCK_BYTES // (4 * n_tags))
    tag_numbers = np.empty((n_rows, k), dtype=np.uint32)
    weights = np.empty((n_rows, k), dtype=np.float32)
    for block in blocks(n_rows, size):
        similarity = rows[block] @ tags.T
        top = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        value = np.take_along_axis(similarity, top, axis=1)
        order = np.lexsort((top, -value), axis=1)
        top, value = np.take_along_axis(top, order, axis=1), np.take_along_axis(value, order, axis=1)
        mass = np.exp((value - value[:, :1]) / temperature)
        tag_numbers[block] = top
        weights[block] = mass / mass.sum(axis=1, keepdims=True)
    return pl.DataFrame(
        {
            "row": np.repeat(np.arange(n_rows, dtype=np.uint32), k),
            "tag": tag_numbers.ravel(),
            "weight": weights.ravel(),
        },
        schema=ASSIGNED_SCHEMA,
    )


def combine(
    extracted: pl.DataFrame,
    assigned: pl.DataFrame,
    *,
    instance_ids: Sequence[str] | pl.Series,
    tags: Sequence[str] | pl.Series,
    assigned_share: float = ASSIGNED_SHARE,
) -> pl.DataFrame:
    """Join a row's own tags and its assigned concepts into one distribution.

    Parameters
    ----------
    extracted
        ``instance_id, tag, weight`` and optionally ``origin`` (``extracted`` unless said): canonical tags.
    assigned
        What `assign_concepts` returned; numbers point into ``instance_ids`` and ``tags``.
    assigned_share
        Weight of the assigned concepts in rows that have both kinds; a row with one kind has it whole.

    Returns
    -------
    Frame with ``INSTANCE_TAG_SCHEMA``; the weights of a row sum to 1. A tag that a row both names and is
    assigned is ``extracted`` (or whatever the first table says) and its weights add.
    """
    origin = pl.col("origin") if "origin" in extracted.columns else pl.lit("extracted")
    named = extracted.select("instance_id", "tag", pl.col("weight").cast(pl.Float64), origin.alias("origin"))
    own = assigned.select(
        pl.Series("instance_id", instance_ids, pl.String).gather(assigned["row"]),
        pl.Series("tag", tags, pl.String).gather(assigned["tag"]),
        pl.col("weight").cast(pl.Float64),
        pl.lit("assigned").alias("origin"),
    )

    def scaled(frame: pl.DataFrame, share: float) -> pl.DataFrame:
        total = pl.col("weight").sum().over("instance_id")
        return frame.filter(pl.col("weight") > 0).with_columns(pl.col("weight") / total * share)

    both = pl.concat([scaled(named, 1.0 - assigned_share), scaled(own, assigned_share)])
    joined = both.group_by("instance_id", "tag").agg(
        pl.col("weight").sum(), pl.col("origin").filter(pl.col("origin") != "assigned").first()
    )
    total = pl.col("weight").sum().over("instance_id")
    return (
        joined.with_columns(pl.col("weight") / total, pl.col("origin").fill_null("assigned"))
        .filter(pl.col("weight") > 0)
        .sort("instance_id", "weight", "tag", descending=[False, True, False])
        .select(pl.col(name).cast(kind) for name, kind in INSTANCE_TAG_SCHEMA.items())
    )
