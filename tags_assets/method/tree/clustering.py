"""Clustering of unit vectors: sharpened features, exact Ward linkage in linear memory, blocks for more.

Everything here is deterministic whatever the number of threads: products are taken block by block, each
on one BLAS thread, and ties are broken by a hash of the pair.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy import sparse
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

ROWS_PER_BLOCK = 256
COLUMNS_PER_BLOCK = 4096
"""A block of products is 4 MB: it stays in the cache while it is reduced."""

TIE = np.float32(1e-5)
"""Squared distances that differ by less count as equal: float32 products of unit vectors err by some 1e-6."""


@dataclass(frozen=True)
class Merges:
    """A dendrogram: in row r, ``left`` and ``right`` become cluster ``n_items + r`` at ``height``.

    Rows are in order of height, and every part is made before it is used. Fewer than ``n_items - 1`` rows
    make a forest.
    """

    n_items: int
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    height: NDArray[np.float64]

    def cut(self, n_clusters: int) -> NDArray[np.int64]:
        """Stop at ``n_clusters`` clusters; labels 0, 1, ... in the order of each cluster's first item."""
        n_merges = min(len(self.left), max(0, self.n_items - n_clusters))
        n_nodes = self.n_items + n_merges
        parts = np.concatenate([self.left[:n_merges], self.right[:n_merges]])
        wholes = np.tile(self.n_items + np.arange(n_merges), 2)
        edges = sparse.coo_array((np.ones(2 * n_merges, dtype=np.int8), (parts, wholes)), (n_nodes, n_nodes))
        _, labels = sparse.csgraph.connected_components(edges, directed=False)
        return number_by_first(labels[: self.n_items])


def number_by_first(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Renumber clusters 0, 1, ... in the order in which they first occur."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]


def unit(x: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale rows to norm 1; a row without direction (zero, or not finite) becomes the first axis."""
    scaled = np.empty(x.shape, dtype=np.float32)
    # In parts, because each is looked at in double precision.
    for start in range(0, len(x), 8192):
        part = np.asarray(x[start : start + 8192], dtype=np.float64)
        norms = np.linalg.norm(part, axis=1, keepdims=True)
        lost = ~((norms[:, 0] > 1e-12) & np.isfinite(norms[:, 0]))
        part = part / np.where(lost[:, None], 1.0, norms)
        part[lost] = 0.0
        part[lost, 0] = 1.0
        scaled[start : start + 8192] = part
    return scaled


def group_sums(labels: NDArray[np.integer], x: NDArray[np.floating], n_groups: int) -> NDArray[np.floating]:
    """Sum the rows of each group, (n_groups, n_dims), in the type of ``x``."""
    n = len(labels)
    order = np.argsort(labels, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=n_groups))])
    return np.asarray(sparse.csr_array((np.ones(n, dtype=x.dtype), order, indptr), shape=(n_groups, n)) @ x)


def sharpen(x: NDArray[np.float32], power: float, *, energy: float = 0.995) -> NDArray[np.float32]:
    """Make the directions that many points share count more, and drop those that hardly count.

    With the eigenvalues e of the points' covariance, the coordinate along each eigenvector is multiplied by
    e ** ((power - 1) / 2), as if the covariance were raised to ``power``. At 3 each point becomes the sum of
    all points weighted by its cosines to them: diffusion over the complete graph. Ours: the broad classes lie
    along the leading directions, and most of a sentence model's 384 tell single words apart, which hides the
    classes from a linkage (``benchmarks/tree_purity.py`` measures it).

    Parameters
    ----------
    x
        Points, float32 (n, n_dims). The mean is taken off first.
    power
        1 leaves the geometry as it is but for the mean.
    energy
        Share of the (raised) variance that is kept; fewer dimensions make the linkage cheaper.

    Returns
    -------
    NDArray[np.float32]
        Unit rows, (n, at most n_dims).
    """
    with threadpool_limits(1, "blas"):
        centred = unit(x - x.mean(axis=0, dtype=np.float64).astype(np.float32))
        values, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        values, axes = np.clip(values[::-1], 0.0, None), axes[:, ::-1]
        raised = (values / max(values[0], 1e-300)) ** power
        n_kept = int(np.searchsorted(np.cumsum(raised), energy * raised.sum())) + 1
        # The sign of an eigenvector is arbitrary and does not matter: only products of points are used.
        stretch = axes[:, :n_kept] * (values[:n_kept] / max(values[0], 1e-300)) ** ((power - 1) / 2)
        return unit(centred @ stretch.astype(np.float32))


@contextmanager
def _blocks_in_threads() -> Iterator[Callable[[Callable[[int], None], int], None]]:
    """Give a function that runs ``work(start)`` for each block of rows on all cores, one BLAS thread each."""
    n_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(n_threads) as pool:

        def run(work: Callable[[int], None], n_rows: int) -> None:
            list(pool.map(work, range(0, n_rows, ROWS_PER_BLOCK)))

        yield run


@njit(cache=True, nogil=True)
def _mix(a: int, b: int) -> float:
    """Hash an unordered pair to [0, 1)."""
    low, high = np.uint64(min(a, b)), np.uint64(max(a, b))
    z = low * np.uint64(0x9E3779B97F4A7C15) + high * np.uint64(0xC2B2AE3D27D4EB4F)
    z = (z ^ (z >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    z = z ^ (z >> np.uint64(32))
    return float(z >> np.uint64(40)) / 16777216.0


@njit(cache=True, nogil=True)
def _nearest_in_block(  # noqa: PLR0917 -- numba takes no keyword-only arguments
    products: NDArray[np.float32],
    rows: NDArray[np.int64],
    start: int,
    ids: NDArray[np.int64],
    squares: NDArray[np.float32],
    weights: NDArray[np.float32],
    best: NDArray[np.float32],
    best_at: NDArray[np.int64],
) -> None:
    """Update the Ward-nearest cluster of each of ``rows`` with the columns from ``start`` on."""
    for r in range(len(rows)):
        i = rows[r]
        low, at = best[r], best_at[r]
        for c in range(products.shape[1]):
            j = start + c
            share = weights[i] * weights[j] / (weights[i] + weights[j])
            d = share * max(squares[i] + squares[j] - np.float32(2.0) * products[r, c], np.float32(0.0))
            if d < low and j != i:
                d += share * TIE * np.float32(_mix(ids[i], ids[j]))
                if d < low:
                    low, at = d, j
        best[r], best_at[r] = low, at


def ward(x: NDArray[np.float32], weights: NDArray[np.floating]) -> Merges:
    """Ward's linkage of weighted points: exact, in memory linear in the points.

    All pairs of clusters that are each other's nearest are merged at once, which yields the dendrogram of one
    merge at a time because Ward's criterion is reducible (Murtagh 1983, "A survey of recent advances in
    hierarchical clustering algorithms"). A cluster is its centroid and its weight, so a round of nearest
    neighbours is a product of matrices, nothing of size n x n is kept, and only clusters whose nearest is
    gone look for another.

    Parameters
    ----------
    x
        Points, float32 (n_items, n_dims).
    weights
        Positive weight of each point, (n_items,).

    Returns
    -------
    Merges
        The full dendrogram; a height is the growth of the weighted sum of squares.
    """
    n = len(x)
    centre, weight = np.array(x, dtype=np.float32), np.array(weights, dtype=np.float32)
    squares = np.einsum("ij,ij->i", centre, centre)
    ids, made = np.arange(n), n
    nearest, distance = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.float32)
    stale = np.arange(n)
    left, right, height = [], [], []
    with _blocks_in_threads() as run:

        def look(start: int) -> None:
            rows = stale[start : start + ROWS_PER_BLOCK]
            best = np.full(len(rows), np.inf, dtype=np.float32)
            best_at = np.full(len(rows), -1, dtype=np.int64)
            for at in range(0, len(centre), COLUMNS_PER_BLOCK):
                products = centre[rows] @ centre[at : at + COLUMNS_PER_BLOCK].T
                _nearest_in_block(products, rows, at, ids, squares, weight, best, best_at)
            nearest[rows], distance[rows] = best_at, best

        while len(centre) > 1:
            run(look, len(stale))
            here = np.arange(len(centre))
            a = here[(nearest[nearest] == here) & (here < nearest)]
            if not len(a):
                # Rounding can break the symmetry between equals: the nearest pair of all is always safe.
                closest = int(np.argmin(distance))
                a = np.array([min(closest, int(nearest[closest]))])
                nearest[a] = max(closest, int(nearest[closest]))
            b = nearest[a]
            left.append(ids[a])
            right.append(ids[b])
            height.append(distance[a])
            wa, wb = weight[a, None], weight[b, None]
            centre[a] = (wa * centre[a] + wb * centre[b]) / (wa + wb)
            weight[a] += weight[b]
            squares[a] = np.einsum("ij,ij->i", centre[a], centre[a])
            ids[a] = made + np.arange(len(a))
            made += len(a)

            gone = np.zeros(len(centre), dtype=bool)
            gone[b] = True
            touched = gone.copy()
            touched[a] = True
            again = (touched | touched[nearest])[~gone]
            moved = np.cumsum(~gone) - 1
            centre, weight, squares, ids = centre[~gone], weight[~gone], squares[~gone], ids[~gone]
            nearest, distance = moved[nearest[~gone]], distance[~gone]
            stale = np.flatnonzero(again)
    return _in_order(n, left, right, height)


def ward_in_blocks(
    x: NDArray[np.float32], weights: NDArray[np.floating], *, block: int, seed: int = 0
) -> Merges:
    """Ward's linkage within blocks of near points, for more points than exact linkage has time for.

    Time and memory are linear in the points. The dendrograms of the blocks are one forest, ordered by height
    throughout: cut it well above the number of blocks and what is lost are the merges across their borders.

    Parameters
    ----------
    x, weights
        As for `ward`.
    block
        Largest number of points in a block.
    seed
        For the choice of the blocks' first centres.
    """
    labels = blocks(x, block, seed=seed)
    order = np.argsort(labels, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(labels))])
    n = len(x)
    left, right, height = [], [], []
    made = n
    for start, stop in pairwise(bounds.tolist()):
        members = order[start:stop]
        part = ward(x[members], weights[members])
        # Numbers within a block: its points first, then the clusters that it made.
        number = np.concatenate([members, made + np.arange(len(part.left))])
        left.append(number[part.left])
        right.append(number[part.right])
        height.append(part.height)
        made += len(part.left)
    return _in_order(n, left, right, height)


def blocks(x: NDArray[np.float32], block: int, *, seed: int = 0) -> NDArray[np.int64]:
    """Part points into blocks of near ones, none larger than ``block``: K-Means, again where it is needed."""
    labels = np.zeros(len(x), dtype=np.int64)
    rng = np.random.default_rng(seed)
    queue = [np.arange(len(x))]
    n_blocks = 0
    while queue:
        members = queue.pop()
        if len(members) <= block:
            labels[members] = n_blocks
            n_blocks += 1
            continue
        n_parts = max(2, round(1.5 * len(members) / block))
        part = _kmeans(x[members], n_parts, rng)
        if np.bincount(part).max() == len(members):
            # All points are alike: any parts will do.
            part = np.arange(len(members)) * n_parts // len(members)
        queue.extend(members[part == p] for p in np.unique(part)[::-1])
    return labels


def _kmeans(x: NDArray[np.float32], k: int, rng: np.random.Generator, n_rounds: int = 6) -> NDArray[np.int64]:
    """Spherical K-Means from random points, centres fitted to a sample of 100 points each."""
    sample = x[rng.permutation(len(x))[: 100 * k]]
    centres = sample[:k].copy()
    for _ in range(n_rounds):
        part = nearest_rows(sample, centres)
        centres = unit(group_sums(part, sample, k) + 1e-6 * centres)
    return nearest_rows(x, centres)


def nearest_rows(x: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    """Give the position of the centre with the largest product for each point, (n,)."""
    found = np.empty(len(x), dtype=np.int64)
    with _blocks_in_threads() as run:

        def look(start: int) -> None:
            stop = start + ROWS_PER_BLOCK
            found[start:stop] = np.argmax(x[start:stop] @ centres.T, axis=1)

        run(look, len(x))
    return found


def neighbours(x: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the ``k`` rows with the largest products for each row but itself, the largest first.

    Parameters
    ----------
    x
        Points, float32 (n, n_dims).
    k
        At most n - 1.

    Returns
    -------
    at, product
        (n, k) each.
    """
    n = len(x)
    at = np.empty((n, k), dtype=np.int64)
    product = np.empty((n, k), dtype=np.float32)
    with _blocks_in_threads() as run:

        def look(start: int) -> None:
            rows = np.arange(start, min(start + ROWS_PER_BLOCK, n))
            best = np.full((len(rows), k), -np.inf, dtype=np.float32)
            best_at = np.full((len(rows), k), -1, dtype=np.int64)
            for column in range(0, n, COLUMNS_PER_BLOCK):
                _top_in_block(x[rows] @ x[column : column + COLUMNS_PER_BLOCK].T, rows, column, best, best_at)
            at[rows], product[rows] = best_at, best

        run(look, n)
    return at, product


@njit(cache=True, nogil=True)
def _top_in_block(
    products: NDArray[np.float32],
    rows: NDArray[np.int64],
    start: int,
    best: NDArray[np.float32],
    best_at: NDArray[np.int64],
) -> None:
    """Insert the products of a block into each row's largest so far."""
    last = best.shape[1] - 1
    for r in range(len(rows)):
        for c in range(products.shape[1]):
            value = products[r, c]
            if value > best[r, last] and start + c != rows[r]:
                place = last
                while place > 0 and best[r, place - 1] < value:
                    best[r, place], best_at[r, place] = best[r, place - 1], best_at[r, place - 1]
                    place -= 1
                best[r, place], best_at[r, place] = value, start + c


def _in_order(
    n: int,
    lefts: Sequence[NDArray[np.int64]],
    rights: Sequence[NDArray[np.int64]],
    heights: Sequence[NDArray[np.floating]],
) -> Merges:
    """Order merges by height; one that rounding put below a part of its own is lifted to that part."""
    if not lefts:
        nothing = np.empty(0, dtype=np.int64)
        return Merges(n, nothing, nothing, np.empty(0))
    left, right = np.concatenate(lefts), np.concatenate(rights)
    height = _lifted(n, left, right, np.concatenate(heights).astype(np.float64))
    order = np.argsort(height, kind="stable")
    place = np.concatenate([np.arange(n), np.empty(len(order), dtype=np.int64)])
    place[n + order] = n + np.arange(len(order))
    return Merges(n, place[left[order]], place[right[order]], height[order])


@njit(cache=True)
def _lifted(
    n: int, left: NDArray[np.int64], right: NDArray[np.int64], height: NDArray[np.float64]
) -> NDArray[np.float64]:
    for m in range(len(height)):
        for part in (left[m], right[m]):
            if part >= n and height[part - n] > height[m]:
                height[m] = height[part - n]
    return height
