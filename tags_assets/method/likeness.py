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
    from scipy import sparse

    from tags_assets.method.embedding import Vectors

KERNEL = 0.225
"""Concentration of the kernel with one example, in units of one over the pool's spread of cosines. Measured
in benchmarks/selection_front.py: from half to twice of it the share of true picks is alike."""

NARROWING = 1 / 3
"""Power of the number of examples that the kernel narrows by: many examples can tell more than their mean."""

RELEVANCE = 5.0
"""Power of the density ratio that weighs the pool's rows in the relevance model, with one example."""

RELEVANCE_WIDENING = 1 / 6
"""Power of the examples' number that `RELEVANCE` is divided by: the ratio itself grows sharper with them."""

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


def relevance(like: NDArray[np.float64], grounding: sparse.csr_array, n_examples: int) -> NDArray[np.float64]:
    """Estimate what concepts rows like the examples hold, from all rows of the pool.

    A relevance model (Lavrenko and Croft, 2001) by importance weights (ours): R_l = sum over i of w_i p_i(l)
    with w_i in proportion to exp(t u_i), where u_i is the likeness, the log of a density ratio, and
    t = `RELEVANCE` n^-`RELEVANCE_WIDENING`. A few examples hold a few concepts each; the rows of the pool
    that are like them hold the rest of what such rows are about.

    Parameters
    ----------
    like
        u_i of the pool's rows, float64 (n_rows,).
    grounding
        p_i(l) of the same rows, CSR (n_rows, n_leaves); rows without mass have no say.
    n_examples
        How many examples u is of, at least 1.

    Returns
    -------
    float64 (n_leaves,), sums to 1, or to 0 where no row has mass.
    """
    held = np.diff(grounding.indptr) > 0
    if not held.any():
        return np.zeros(grounding.shape[1])
    power = RELEVANCE * n_examples**-RELEVANCE_WIDENING
    weight = np.zeros(len(like))
    weight[held] = np.exp(power * (like[held] - like[held].max()))
    mass = np.asarray(grounding.T @ weight, dtype=np.float64).ravel()
    share: NDArray[np.float64] = mass / mass.sum()
    return share


def _centred(vectors: Vectors, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    x = vectors - mean
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    centred: NDArray[np.float64] = x / np.maximum(norm, 1e-12)
    return centred
