"""Peers of our sampler, written anew from their papers. Each gives the numbers of `n_picks` rows.

`Pool` holds what they may look at: texts, vectors, tags, quality. None sees a hidden label.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from tree_purity import kmeans

from tags_assets.method.text.embedding import unit
from tags_assets.method.tree.clustering import group_sums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BUCKETS = 10_000
"""Hash buckets of DSIR's words and pairs of words, as published."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Rows that may be picked.

    Attributes
    ----------
    texts
        Prompt and response of each row.
    length
        Characters of each response, (n_rows,).
    vectors
        Unit-norm embeddings, float32 (n_rows, n_dims).
    tags
        Weights of the tags that a row names, CSR (n_rows, n_tags).
    tag_vectors
        Unit-norm embeddings of the tags, float32 (n_tags, n_dims).
    quality
        q_i, (n_rows,).
    """

    texts: Sequence[str]
    length: NDArray[np.int64]
    vectors: NDArray[np.float32]
    tags: sparse.csr_array
    tag_vectors: NDArray[np.float32]
    quality: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.length)


def top(scores, n_picks):
    return np.argsort(-scores, kind="stable")[:n_picks]


def k_center(pool, n_picks, rng):
    """Farthest first (Gonzalez 1985; Sener and Savarese 2018): each pick lies farthest from all before it."""
    picks = [int(rng.integers(len(pool)))]
    nearest = pool.vectors @ pool.vectors[picks[0]]
    for _ in range(n_picks - 1):
        picks.append(int(np.argmin(nearest)))
        np.maximum(nearest, pool.vectors @ pool.vectors[picks[-1]], out=nearest)
    return np.array(picks)


def k_means(pool, n_picks, rng):
    """The row nearest to the centre of each of `n_picks` clusters of the centred vectors."""
    rows = unit(pool.vectors - pool.vectors.mean(axis=0))
    labels = np.unique(kmeans(rows, n_picks, int(rng.integers(2**31))), return_inverse=True)[1]
    centres = unit(group_sums(labels, rows, int(labels.max()) + 1))
    near = np.einsum("ij,ij->i", rows, centres[labels])
    order = np.lexsort((-near, labels))
    _, first = np.unique(labels[order], return_index=True)
    picks = order[first]
    # a cluster that was left empty is made up for by the next nearest rows
    left = order[~np.isin(order, picks)]
    return np.concatenate([picks, left[np.argsort(-near[left], kind="stable")]])[:n_picks]


def deita(pool, n_picks):
    """DEITA (Liu et al. 2024): by falling quality x complexity, a row unless one before it lies within .9.

    Its two scorers are fine-tuned models; here quality is ours and complexity the number of a row's tags.
    """
    order = top(pool.quality * np.diff(pool.tags.indptr), len(pool))
    picks, held, passed = [], np.empty((n_picks, pool.vectors.shape[1]), dtype=np.float32), []
    for row in order:
        if len(picks) == n_picks:
            break
        if picks and float((held[: len(picks)] @ pool.vectors[row]).max()) > 0.9:
            passed.append(row)
            continue
        held[len(picks)] = pool.vectors[row]
        picks.append(row)
    return np.array((picks + passed)[:n_picks])


def instag(pool, n_picks):
    """InsTag (Lu et al. 2024), complexity-first diverse sampling: rows of most tags first; a row is taken if
    it has a tag that no row of this pass has; passes go on until there are enough.
    """
    counts = np.diff(pool.tags.indptr)
    left, picks = list(np.argsort(-counts, kind="stable")), []
    while len(picks) < n_picks and left:
        seen, later = np.zeros(pool.tags.shape[1], dtype=bool), []
        for row in left:
            mine = pool.tags.indices[pool.tags.indptr[row] : pool.tags.indptr[row + 1]]
            if len(mine) and not seen[mine].all():
                seen[mine] = True
                picks.append(row)
                if len(picks) == n_picks:
                    return np.array(picks)
            else:
                later.append(row)
        if len(later) == len(left):  # rows without tags alone
            return np.array((picks + later)[:n_picks])
        left = later
    return np.array(picks[:n_picks])


def mig(pool, n_picks):
    """MIG (Chen et al. 2025): labels pass information along a graph of their likeness (from .9, weight 1);
    greedy by the gradient of the sum over labels of x^0.8. Quality is ours; its own scorer is fine-tuned.
    """
    near = _likeness_graph(pool.tag_vectors, 0.9)
    binary = sparse.csr_array((np.ones(pool.tags.nnz), pool.tags.indices, pool.tags.indptr), pool.tags.shape)
    spread = sparse.csr_array(binary @ near)
    spread = sparse.csr_array(spread.multiply(pool.quality[:, None]))
    mass, is_open, picks = np.zeros(spread.shape[1]), np.ones(len(pool), dtype=bool), []
    for _ in range(n_picks):
        gradient = 0.8 * (mass + 1e-3) ** -0.2
        pick = int(np.argmax(np.where(is_open, spread @ gradient, -1.0)))
        picks.append(pick)
        is_open[pick] = False
        held = slice(spread.indptr[pick], spread.indptr[pick + 1])
        mass[spread.indices[held]] += spread.data[held]
    return np.array(picks)


def _likeness_graph(vectors, least):
    rows, columns = [], []
    for start in range(0, len(vectors), 1024):
        at, to = np.nonzero(vectors[start : start + 1024] @ vectors.T >= least)
        rows.append(at + start)
        columns.append(to)
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    keep = rows != columns
    diagonal = np.arange(len(vectors))
    rows, columns = np.concatenate([rows[keep], diagonal]), np.concatenate([columns[keep], diagonal])
    graph = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(vectors), len(vectors)))
    return sparse.csr_array(graph.multiply(1.0 / np.asarray(graph.sum(axis=1))[:, None]))


def hashed_ngrams(texts):
    """Counts of words and pairs of words in `BUCKETS` buckets, CSR (n_texts, BUCKETS)."""
    columns, indptr = [], [0]
    for text in texts:
        words = re.findall(r"\w+|[^\w\s]", text.lower())
        grams = words + [f"{a} {b}" for a, b in pairwise(words)]
        columns += [zlib.crc32(gram.encode()) % BUCKETS for gram in grams]
        indptr.append(len(columns))
    return sparse.csr_array((np.ones(len(columns)), columns, indptr), shape=(len(indptr) - 1, BUCKETS))


def dsir(counts, example_counts, n_picks, rng):
    """DSIR (Xie et al. 2023): log importance weights of bags of hashed n-grams, sampled without replacement
    by the Gumbel trick. Half of the examples' side is the pool's: with 40 examples in place of a corpus, most
    n-grams are unseen, and without this the shortest rows come first.
    """

    def share(of):
        mass = np.asarray(of.sum(axis=0)).ravel() + 1e-8
        return mass / mass.sum()

    pool = share(counts)
    weight = counts @ np.log((0.5 * share(example_counts) + 0.5 * pool) / pool)
    return top(weight + rng.gumbel(size=len(weight)), n_picks)


def centroid(pool, examples, n_picks):
    """Nearest to the centroid of the examples, both centred on the pool."""
    mean = pool.vectors.mean(axis=0)
    return top(unit(pool.vectors - mean) @ unit(examples - mean).mean(axis=0), n_picks)


def round_robin(pool, examples, n_picks):
    """RDS+ (Ivison et al. 2025): in turn each example takes its nearest row that is left."""
    mean = pool.vectors.mean(axis=0)
    near = unit(pool.vectors - mean) @ unit(examples - mean).T
    ranks = np.argsort(np.argsort(-near, axis=0, kind="stable"), axis=0, kind="stable").min(axis=1)
    return top(near.max(axis=1) * 1e-6 - ranks, n_picks)
