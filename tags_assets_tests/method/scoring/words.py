"""A stand-in for the embedder: texts that share words lie near each other, and it costs nothing."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

N_DIMS = 32


def embed_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """Sum a fixed random direction per word; float32 (n_texts, 32), unit norm."""
    vectors = np.zeros((len(texts), N_DIMS), dtype=np.float32)
    for i, text in enumerate(texts):
        for word in text.casefold().split() or [""]:
            vectors[i] += np.random.default_rng(zlib.crc32(word.encode())).normal(size=N_DIMS)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
