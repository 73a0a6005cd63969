"""Vectors that rows bring in a mapped column: checked, and scaled to norm 1.

They lie in a space of their own, and tags in the text embedder's. Nothing compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.errors import UserError, printable
from tags_assets.text import counted

if TYPE_CHECKING:
    from tags_assets.assets.versioned import Inputs
    from tags_assets.method.text.embedding import Vectors

OURS = "embedding"
"""Name of the mapped column among ours."""

GIVEN = "column"
"""Embedder in the configuration of `instance_embeddings` whose vectors are from a column."""


def has_given_vectors(inputs: Inputs) -> bool:
    """Whether the vectors of the pool's rows are from a column."""
    return bool(inputs.versions["instance_embeddings"].config["embedder"] == GIVEN)


def given_vectors(
    rows: pl.DataFrame, column: str, *, kind: str = "row", n_dims: int | None = None
) -> Vectors:
    """Return the rows' own vectors, unit norm, float32 (n_rows, n_dims).

    Parameters
    ----------
    rows
        ``file, line, given_embedding``.
    column
        Name of the user's column, for errors.
    kind
        What the rows are, for errors.
    n_dims
        Length that the vectors must have; that of the first unless given.

    Raises
    ------
    UserError
        For the first row without a vector, with a vector of another length, or with one of zeros alone.
    """
    fix = f"Give every {kind} a vector by the same model, or omit --column {OURS}={column}."
    lengths = rows["given_embedding"].list.len()
    without = lengths.is_null()
    if without.any():
        problem = (
            f"{counted(int(without.sum()), kind)} of {len(rows):,} without a vector in column {column!r}"
        )
        raise UserError(problem, where=_place(rows, without), fix=fix)
    if n_dims is None:
        n_dims = int(lengths[0])
    other = lengths != n_dims
    if other.any():
        found = lengths.filter(other)[0]
        problem = f"the vector in column {column!r} has {found:,} dimensions; the pool's have {n_dims:,}"
        raise UserError(problem, where=_place(rows, other), fix=fix)
    flat = rows["given_embedding"].explode().to_numpy()
    # A norm in float64: the square of a float32 may be out of its range.
    matrix = flat.reshape(len(rows), n_dims).astype(np.float64)
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    zero = pl.Series(norms.ravel() == 0)
    if zero.any():
        problem = f"the vector in column {column!r} is all zeros"
        raise UserError(problem, where=_place(rows, zero), fix=fix)
    matrix /= norms
    return matrix.astype(np.float32)


def _place(rows: pl.DataFrame, faulty: pl.Series) -> str:
    file, line = rows.filter(faulty).select("file", "line").row(0)
    return f"{printable(file)}:{line}"
