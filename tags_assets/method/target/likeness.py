"""How much a row's whole text is like a target's examples: the part of closeness that no concept carries.

Concepts say what a row is about; its vector also holds what they leave out (manner, form, what falls between
two concepts). Formulas ours: a kernel density ratio (Parzen 1962) on the sphere of centred vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from tags_assets.method.text.embedding import blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

    from tags_assets.method.text.embedding import Vectors

KERNEL = 0.225
"""Concentration of the kernel with one example, in units of one over the pool's spread of cosines. Measured
in benchmarks/selection_front.py: from half to twice of it the share of true picks is alike."""

NARROWING = 1 / 3
"""Power of the number of examples that the kernel narrows by: many examples can tell more than their mean."""

RELEVANCE = 5.0
"""Power of the density ratio that weighs the pool's rows in the relevance model, with one example."""

RELEVANCE_WIDENING = 1 / 6
"""Power of the examples' number that `RELEVANCE` is divided by: the ratio itself grows sharper with them."""

ENOUGH_EXAMPLES = 10
"""Fewer are filled up to so many by the rows most like them. Measured in benchmarks/selection_front.py: with
2 examples that gives six points of share, with 5 one to three, from 10 on nothing."""

FEEDBACK_ROWS = 100
"""Rows that fill up, one in a hundred of the pool at most: 50 are worse, 200 to 400 are alike."""

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

    Fewer than `ENOUGH_EXAMPLES` are filled up to that number by pseudo-relevance feedback (Rocchio, 1971):
    the rows most like them join them, all together with the weight of the examples that are missing.

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
    n_rows, n = len(rows), min(len(examples), MOST_EXAMPLES)
    if n_rows == 0 or n == 0:
        return np.zeros(n_rows)
    examples = examples[np.linspace(0, len(examples) - 1, n).astype(np.int64)]
    with threadpool_limits(limits=1, user_api="blas"):  # sums in one order, whatever the machine
        pool = _Pool.of(rows)
        wanted = _centred(examples, pool.mean)
        like = pool.log_ratio(wanted, np.full(n, 1 / n), n)
        n_rows_more = feedback_rows(n, n_rows)
        if n_rows_more == 0:
            return like
        nearest = np.argsort(-like, kind="stable")[:n_rows_more]
        weight = np.concatenate([np.ones(n), np.full(n_rows_more, (ENOUGH_EXAMPLES - n) / n_rows_more)])
        filled = np.concatenate([wanted, _centred(rows[nearest], pool.mean)])
        return pool.log_ratio(filled, weight / ENOUGH_EXAMPLES, ENOUGH_EXAMPLES)


def feedback_rows(n_examples: int, n_rows: int) -> int:
    """Count the rows of the pool that stand in for the examples that are missing to `ENOUGH_EXAMPLES`."""
    return min(FEEDBACK_ROWS, n_rows // 100) if n_examples < ENOUGH_EXAMPLES else 0


@dataclass(frozen=True, eq=False)
class _Pool:
    """The pool's vectors, what is taken off them, and their second moments after it."""

    rows: Vectors
    mean: NDArray[np.float64]
    moments: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Vectors) -> _Pool:
        mean = rows.mean(axis=0, dtype=np.float64)
        moments = np.zeros((rows.shape[1], rows.shape[1]))
        for block in blocks(len(rows), _BLOCK):
            x = _centred(rows[block], mean)
            moments += x.T @ x
        return cls(rows, mean, moments / len(rows))

    def log_ratio(
        self, wanted: NDArray[np.float64], weight: NDArray[np.float64], n_examples: int
    ) -> NDArray[np.float64]:
        """Log of the weighted density of centred vectors over the pool's at each row, under one kernel."""
        out = np.zeros(len(self.rows))
        # the root mean square cosine of two rows of the pool
        spread = float(np.linalg.norm(self.moments))
        if spread == 0:
            return out
        kappa = KERNEL / spread * n_examples**NARROWING
        for block in blocks(len(out), _BLOCK):
            x = _centred(self.rows[block], self.mean)
            cosine = x @ wanted.T
            top = cosine.max(axis=1)
            dense = kappa * top + np.log(np.exp(kappa * (cosine - top[:, None])) @ weight)
            out[block] = dense - 0.5 * kappa**2 * np.einsum("ij,ij->i", x @ self.moments, x)
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
