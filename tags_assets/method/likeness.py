"""How much a row's whole text is like a target's examples: the part of closeness that no concept carries.

Concepts say what a row is about; its vector also holds what they leave out (manner, form, what falls between
two concepts). Formulas ours: a kernel density ratio (Parzen 1962) on the sphere of centred vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from tags_assets.method.embedding import blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tags_assets.method.embedding import Vectors

KERNEL = 0.225
"""Concentration of the kernel with one example, in units of one over the pool's spread of cosines. Measured
in benchmarks/selection_front.py: from half to twice of it the share of true picks is alike."""

NARROWING = 1 / 3
"""Power of the number of examples that the kernel narrows by: many examples can tell more than their mean."""

MOST_EXAMPLES = 1024
"""Examples that are compared with every row at most, evenly spaced."""

_BLOCK = 8192  # rows that are dense beside the examples at once


def likeness(examples: Vectors, rows: Vectors) -> NDArray[np.float64]:
    """Score each row by log(density of the examples / density of the pool) at its vector, in nats.

    Both sides are centred on the pool and scaled to norm 1; the kernel is exp(kappa cos). The examples'
    density is its mean over the examples; with kappa small that is the cosine to their centroid, with kappa
    large the cosine to the nearest. The pool's is its mean over the pool, to second order,
    exp(kappa^2 x'Cx / 2) with C the pool's second moments: so a row in a crowded part of the pool must be
    nearer to count as much.

    Parameters
    ----------
    examples
        Unit-norm vectors, float32 (n_examples, n_dims).
    rows
        Of the pool by the same embedder, float32 (n_rows, n_dims).

    Returns
    -------
    float64 (n_rows,), of any sign. The same whatever the number of threads.
    """
    n_rows, n_dims = rows.shape
    if n_rows == 0 or len(examples) == 0:
        return np.zeros(n_rows)
    if len(examples) > MOST_EXAMPLES:
        examples = examples[np.linspace(0, len(examples) - 1, MOST_EXAMPLES).astype(np.int64)]
    mean = rows.mean(axis=0, dtype=np.float64)
    wanted = _centred(examples, mean)
    out = np.empty(n_rows)
    with threadpool_limits(limits=1, user_api="blas"):  # sums in one order, whatever the machine
        moments = np.zeros((n_dims, n_dims))
        for block in blocks(n_rows, _BLOCK):
            x = _centred(rows[block], mean)
            moments += x.T @ x
        moments /= n_rows
        # the root mean square cosine of two rows of the pool
        spread = float(np.linalg.norm(moments))
        if spread == 0:
            return np.zeros(n_rows)
        kappa = KERNEL / spread * len(examples) ** NARROWING
        for block in blocks(n_rows, _BLOCK):
            x = _centred(rows[block], mean)
            cosine = x @ wanted.T
            top = cosine.max(axis=1)
            dense = kappa * top + np.log(np.exp(kappa * (cosine - top[:, None])).mean(axis=1))
            out[block] = dense - 0.5 * kappa**2 * np.einsum("ij,ij->i", x @ moments, x)
    return out


def _centred(vectors: Vectors, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    x = vectors - mean
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    centred: NDArray[np.float64] = x / np.maximum(norm, 1e-12)
    return centred
