"""Concepts that a row exercises without naming them, and their union with those that it names."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numba import njit, prange
from threadpoolctl import threadpool_limits

from tags_assets.method.concepts.vocabulary import NAMED_BY_MODEL_OR_USER
from tags_assets.method.text.embedding import blocks, centred, unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tags_assets.method.text.embedding import Vectors

ASSIGNED_SCHEMA: dict[str, pl.DataType] = {"row": pl.UInt32(), "tag": pl.UInt32(), "weight": pl.Float32()}
"""Columns of what `assign_concepts` returns: numbers of rows and of vocabulary tags."""

INSTANCE_TAG_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    "tag": pl.String(),
    "weight": pl.Float32(),
    "origin": pl.String(),
}
"""Columns of the table ``instance_tags``, one row per instance and canonical tag."""

ASSIGNED_SHARE = 0.85
"""Share of a row's weight that goes to assigned concepts where it has both kinds. Measured by
benchmarks/alignment_probe.py: from .8 to .95 the share of true picks is alike; at .7 it is lower. That is of
phrases of the text; tags that a language model or the user named have the whole weight, for to assign others
beside them costs two points of share (benchmarks/llm_sample.py)."""

N_CONCEPTS = 24
"""Concepts assigned to a row at most. Measured by the same: 8 lose 4 points of share, 16 lose 2."""

N_CANDIDATES = 256
"""Nearest concepts among which a row's are chosen."""

FLATTENING = 0.5
"""Power of the fitted weights: a row's first concept explains several times what its tenth does, but tells it
from other rows no better. Measured by the same: .5 gains a point over 1, and .35 to .7 are alike."""

MIN_EXPLAINED = 0.02
"""Cosine to what is left of a row below which a concept explains nothing more."""

N_REFITS = 2
"""Passes over the chosen weights after each choice."""

BLOCKS_AT_ONCE = 4

BLOCK_BYTES = 16 << 20
"""Memory of one block of similarities; rows x tags is never dense for all rows."""


def assign_concepts(
    row_vectors: Vectors,
    tag_vectors: Vectors,
    tag_counts: NDArray[np.integer],
    *,
    n_concepts: int = N_CONCEPTS,
    n_candidates: int = N_CANDIDATES,
    mean: NDArray[np.floating] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pl.DataFrame:
    """Write each row's vector as a few concepts of the vocabulary: sparse, non-negative, additive.

    Both sides are mean-centred. Among the concepts nearest to a row, matching pursuit takes the one that
    explains most of what is left of the row's vector, again and again; so the second concept says what the
    first leaves out (of a problem about muffins: "muffin", then "arithmetic word problem"), where plain
    nearest neighbours would be eight kinds of muffin. After each step the weights are fitted anew, none
    below 0.

    Parameters
    ----------
    row_vectors
        float32 (n_rows, n_dims), unit norm.
    tag_vectors
        float32 (n_tags, n_dims), unit norm.
    tag_counts
        Rows that hold each tag, (n_tags,): the tags' mean is weighted by their square roots.
    n_concepts
        Concepts of a row at most.
    n_candidates
        Nearest concepts among which the pursuit chooses.
    mean
        Mean to take off the rows, (n_dims,): their own unless said. Rows of a target must be read against
        the pool's, or what its examples have in common would vanish.
    progress
        Called as ``(done, total)`` rows.

    Returns
    -------
    Frame with ``ASSIGNED_SCHEMA``, by row, then by falling weight; the weights of a row sum to 1.

    References
    ----------
    Bhalla et al. 2024, "Interpreting CLIP with Sparse Linear Concept Embeddings (SpLiCE)", eq. 2, whose
    non-negative decomposition over a mean-centred vocabulary this is, solved by non-negative orthogonal
    matching pursuit (Yaghoobi, Wu, Davies 2015) in place of the lasso.
    """
    n_rows, n_tags = len(row_vectors), len(tag_vectors)
    n_candidates = min(n_candidates, n_tags)
    if n_rows == 0 or n_tags == 0:
        return pl.DataFrame(schema=ASSIGNED_SCHEMA)
    rows = centred(row_vectors) if mean is None else unit(row_vectors - np.asarray(mean, np.float32))
    tags = centred(tag_vectors, weights=np.sqrt(np.maximum(tag_counts, 1)))
    frames = []
    with ThreadPoolExecutor() as pool:
        # A few blocks are searched at once, so that memory holds those alone. Each is searched on one thread
        # of BLAS, which sums in the same order whatever the machine.
        size = max(1, BLOCK_BYTES // (4 * n_tags))
        for group in blocks(n_rows, BLOCKS_AT_ONCE * size):
            parts = [
                slice(group.start + b.start, group.start + b.stop)
                for b in blocks(group.stop - group.start, size)
            ]
            with threadpool_limits(limits=1, user_api="blas"):
                found = pool.map(lambda part: _nearest(rows[part], tags, n_candidates), parts)
                nearest = np.concatenate(list(found))
            weights = _pursue(rows[group], tags, nearest, n_concepts) ** np.float32(FLATTENING)
            at_row, at_candidate = np.nonzero(weights)
            frames.append(
                pl.DataFrame(
                    {
                        "row": (at_row + group.start).astype(np.uint32),
                        "tag": nearest[at_row, at_candidate].astype(np.uint32),
                        "weight": weights[at_row, at_candidate],
                    }
                )
            )
            if progress is not None:
                progress(group.stop, n_rows)
    total = pl.col("weight").sum().over("row")
    assigned = pl.concat(frames).with_columns(pl.col("weight") / total)
    return assigned.sort("row", "weight", "tag", descending=[False, True, False]).cast(ASSIGNED_SCHEMA)  # type: ignore[arg-type]


def _nearest(rows: Vectors, tags: Vectors, n_candidates: int) -> NDArray[np.int64]:
    """Numbers of the tags nearest to each row, ascending, (n_rows, n_candidates).

    Ties in the pursuit then go to the smaller number, which is the more frequent tag.
    """
    similarity = rows @ tags.T
    np.negative(similarity, out=similarity)
    nearest = np.argpartition(similarity, n_candidates - 1, axis=1)[:, :n_candidates]
    return np.sort(nearest, axis=1)


@njit(parallel=True, fastmath=True, cache=True)
def _pursue(
    rows: NDArray[np.float32], tags: NDArray[np.float32], nearest: NDArray[np.int64], n_concepts: int
) -> NDArray[np.float32]:
    """Weights of each row's candidates, float32 (n_rows, n_candidates), ``n_concepts`` above 0 at most."""
    n_rows, n_candidates = nearest.shape
    n_dims = rows.shape[1]
    weights = np.zeros((n_rows, n_candidates), dtype=np.float32)
    for i in prange(n_rows):
        concepts = np.empty((n_candidates, n_dims), dtype=np.float32)
        for c in range(n_candidates):
            concepts[c] = tags[nearest[i, c]]
        left = rows[i].copy()
        chosen = np.empty(n_concepts, dtype=np.int64)
        n_chosen = 0
        while n_chosen < n_concepts:
            best, best_value = -1, np.float32(MIN_EXPLAINED)
            for c in range(n_candidates):
                if weights[i, c] == 0:
                    value = np.dot(concepts[c], left)
                    if value > best_value:
                        best, best_value = c, value
            if best < 0:
                break
            chosen[n_chosen] = best
            n_chosen += 1
            # Fit the weights of the chosen anew, one after the other; a weight that would fall below 0 is 0.
            for _ in range(N_REFITS):
                for k in range(n_chosen - 1, -1, -1):
                    c = chosen[k]
                    step = max(np.dot(concepts[c], left), -weights[i, c])
                    weights[i, c] += step
                    left -= step * concepts[c]
    return weights


def rows_of_named(tags: pl.DataFrame) -> pl.Series:
    """Find the rows whose own tags have the whole weight: no concept needs to be assigned to them.

    Parameters
    ----------
    tags
        ``instance_id, weight, origin``: canonical tags.

    Returns
    -------
    Their ``instance_id``, each once.
    """
    named = pl.col("origin").is_in(NAMED_BY_MODEL_OR_USER) & (pl.col("weight") > 0)
    return tags.filter(named)["instance_id"].unique()


def combine(
    extracted: pl.DataFrame,
    assigned: pl.DataFrame,
    *,
    instance_ids: Sequence[str] | pl.Series,
    tags: Sequence[str] | pl.Series,
    assigned_share: float | None = None,
) -> pl.DataFrame:
    """Join a row's own tags and its assigned concepts into one distribution.

    Parameters
    ----------
    extracted
        ``instance_id, tag, weight`` and optionally ``origin`` (``extracted`` unless said): canonical tags.
    assigned
        What `assign_concepts` returned; numbers point into ``instance_ids`` and ``tags``.
    assigned_share
        Weight of the assigned concepts in rows that have both kinds; a row with one kind has it whole. Unless
        said, `ASSIGNED_SHARE`, and 0 in rows with tags of `NAMED_BY_MODEL_OR_USER`.

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

    def scaled(frame: pl.DataFrame, share: pl.Expr, other: pl.DataFrame) -> pl.DataFrame:
        total = pl.col("weight").sum().over("instance_id")
        alone = ~pl.col("instance_id").is_in(other["instance_id"].unique().implode())
        return frame.sort("instance_id", "tag").with_columns(
            pl.col("weight") / total * pl.when(alone).then(1.0).otherwise(share)
        )

    named, own = named.filter(pl.col("weight") > 0), own.filter(pl.col("weight") > 0)
    share = pl.lit(assigned_share)
    if assigned_share is None:
        whole = pl.col("instance_id").is_in(rows_of_named(named).implode())
        share = pl.when(whole).then(0.0).otherwise(ASSIGNED_SHARE)
    both = pl.concat([scaled(named, 1.0 - share, own), scaled(own, share, named)])
    # Sorted, so that sums are taken in one order.
    joined = (
        both.group_by("instance_id", "tag")
        .agg(pl.col("weight").sort().sum(), pl.col("origin").filter(pl.col("origin") != "assigned").min())
        .sort("instance_id", "tag")
    )
    total = pl.col("weight").sum().over("instance_id")
    return (
        joined.with_columns(pl.col("weight") / total, pl.col("origin").fill_null("assigned"))
        .filter(pl.col("weight") > 0)
        .sort("instance_id", "weight", "tag", descending=[False, True, False])
        .select(pl.col(name).cast(kind) for name, kind in INSTANCE_TAG_SCHEMA.items())
    )
