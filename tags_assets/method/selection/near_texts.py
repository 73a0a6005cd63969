"""Groups of rows whose whole texts say nearly the same: the finest level of the tree, below the leaves.

Rows made from one template (a puzzle with other numbers, one question about many diseases) differ in what
they say, so they are no duplicates; but they exercise the same concepts in the same words, and what a second
one of them adds, no leaf can tell. The grouping is ours: leader clustering (Hartigan 1975) of the rows'
centred vectors within the leaf that holds most of each row.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numba import njit
from threadpoolctl import threadpool_limits

from tags_assets.method.text.embedding import unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from scipy import sparse

    from tags_assets.method.text.embedding import Vectors

TEXT_SCHEMA: dict[str, pl.DataType] = {"instance_id": pl.String(), "text_group": pl.Int64()}
"""Columns of the table ``texts`` of ``grounded_instances``, one row per row that is of a group."""

SAME_TEXT = 0.9
"""Cosine to the first row of a group, both centred on the pool, from which on a row belongs to it."""

MOST_COMPARED = 1024
"""Rows that are compared with each other at once; a leaf with more is halved: cost must grow as rows do."""

ALONE = -1
"""Group of a row whose text is like no other's."""


def text_groups(grounding: sparse.csr_array, vectors: Vectors) -> NDArray[np.int64]:
    """Number the groups of rows whose texts are nearly the same.

    Rows are gone through in their order: one joins the first group whose first row it is near to, else it
    begins one. Rows are compared within the leaf where both weigh most; in a crowded leaf, within the half in
    which they lie, and so on.

    Parameters
    ----------
    grounding
        p_i(l), CSR (n_rows, n_leaves).
    vectors
        Unit-norm vectors of the rows, float32 (n_rows, n_dims).

    Returns
    -------
    int64 (n_rows,): 0, 1, ... in the order of the groups' first rows; `ALONE` where no other row is near and
    where a row has no mass.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    if grounding.shape[0] != len(vectors):
        raise ValueError(f"{grounding.shape[0]} rows and {len(vectors)} vectors: they must match")
    first = np.arange(len(vectors), dtype=np.int64)  # the first row of each row's group
    if len(vectors):
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        leaf = _heaviest_leaf(grounding.indptr, grounding.indices, grounding.data)
        order = np.argsort(leaf, kind="stable")
        order = order[leaf[order] >= 0]
        bounds = np.flatnonzero(np.diff(leaf[order], prepend=-1, append=-1))
        with threadpool_limits(limits=1, user_api="blas"):  # sums in one order, whatever the machine
            for start, end in pairwise(bounds):
                rows = order[start:end]
                near = unit(vectors[rows] - mean)
                for some in _halves(np.arange(len(rows)), near):
                    first[rows[some]] = rows[some][_leaders(near[some] @ near[some].T, SAME_TEXT)]
    found, group, size = np.unique(first, return_inverse=True, return_counts=True)
    number = np.cumsum(size > 1) - 1
    return np.where(size[group] > 1, number[group], ALONE) if len(found) else first


def _halves(rows: NDArray[np.int64], near: Vectors) -> Iterator[NDArray[np.int64]]:
    """Halve rows between two that lie far apart, until few enough lie together; each part in order."""
    if len(rows) <= MOST_COMPARED:
        yield rows
        return
    one = near[rows[int(np.argmin(near[rows] @ near[rows[0]]))]]
    other = near[rows[int(np.argmin(near[rows] @ one))]]
    nearer = near[rows] @ one > near[rows] @ other
    # Texts that are all alike cannot be told apart: they are cut as they come.
    if min(nearer.sum(), (~nearer).sum()) < max(1, len(rows) // 20):
        nearer = np.arange(len(rows)) < len(rows) // 2
    yield from _halves(rows[nearer], near)
    yield from _halves(rows[~nearer], near)


@njit(cache=True, nogil=True)
def _heaviest_leaf(
    indptr: NDArray[np.integer], leaves: NDArray[np.integer], mass: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The leaf that holds most of each row, of equals the first; -1 where none does, int64 (n_rows,)."""
    heaviest = np.full(len(indptr) - 1, -1, dtype=np.int64)
    for i in range(len(heaviest)):
        most = 0.0
        for j in range(indptr[i], indptr[i + 1]):
            if mass[j] > most:
                most = mass[j]
                heaviest[i] = leaves[j]
    return heaviest


@njit(cache=True, nogil=True)
def _leaders(cosine: NDArray[np.float32], least: float) -> NDArray[np.int64]:
    """Give each row the first row before it that leads a group and is near; else it leads one itself."""
    leader = np.arange(len(cosine))
    for i in range(len(cosine)):
        for j in range(i):
            if leader[j] == j and cosine[i, j] >= least:
                leader[i] = j
                break
    return leader
