"""A student of the embedder: where rows are many, most vectors are predicted from the rows' words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.utils.extmath import randomized_svd

from tags_assets.method.embedding import unit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tags_assets.method.embedding import Embed, Vectors

N_TEACHER = 5000
"""Rows that the embedder itself reads: a minute's work on two cores."""

N_HELD_OUT = 250
"""Teacher rows kept out of the fit, on which the student's likeness is measured."""


@dataclass(frozen=True, eq=False)
class RowEmbeddings:
    """Vectors of rows, and which of them the embedder itself made.

    Attributes
    ----------
    vectors
        float32 (n_rows, n_dims), unit norm.
    is_teacher
        True where the vector is the embedder's own, bool (n_rows,).
    figures
        ``n_teacher``, ``n_student``, and, where there is a student, ``cosine_to_teacher``: the mean cosine
        between student and embedder over rows that the student was not fitted on.
    """

    vectors: Vectors
    is_teacher: NDArray[np.bool_]
    figures: dict[str, float]


def embed_rows(
    texts: Sequence[str],
    embed: Embed,
    *,
    n_teacher: int = N_TEACHER,
    n_components: int = 512,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> RowEmbeddings:
    """Embed rows: all by the embedder where they are few, else by a student of it.

    The student is ridge regression from the leading singular vectors of all rows' TF-IDF (latent semantic
    analysis) onto the embedder's vectors of a random sample.
    """
    n = len(texts)
    if n <= n_teacher:
        return RowEmbeddings(embed(texts), np.ones(n, bool), {"n_teacher": n, "n_student": 0})
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.choice(n, n_teacher, replace=False))
    taught = embed([texts[i] for i in sample])
    features = TfidfVectorizer(
        sublinear_tf=True, min_df=2, max_df=0.5, max_features=100_000, dtype=np.float32
    ).fit_transform(texts)
    rank = min(n_components, min(features.shape) - 1)
    left, sigma, _ = randomized_svd(features, rank, n_iter=3, random_state=seed)
    reduced = (left * sigma).astype(np.float32)
    held_out = rng.permutation(n_teacher)[: min(N_HELD_OUT, n_teacher // 5)]
    fitted = np.setdiff1d(np.arange(n_teacher), held_out)
    mean = taught[fitted].mean(axis=0)
    ridge = Ridge(alpha=0.3).fit(reduced[sample[fitted]], taught[fitted] - mean)
    vectors = unit(ridge.predict(reduced) + mean)
    cosine = float(np.einsum("ij,ij->i", vectors[sample[held_out]], taught[held_out]).mean())
    vectors[sample] = taught
    is_teacher = np.zeros(n, bool)
    is_teacher[sample] = True
    if progress is not None:
        progress(n, n)
    return RowEmbeddings(
        vectors, is_teacher, {"n_teacher": n_teacher, "n_student": n - n_teacher, "cosine_to_teacher": cosine}
    )
