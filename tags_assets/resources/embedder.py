"""The local embedder: MiniLM, each text embedded once and kept."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from tags_assets.models.minilm import MiniLM
from tags_assets.store.content_cache import ContentCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


ROW_TOKENS = 64
"""Word pieces read of a row."""

TAG_TOKENS = 24
"""Word pieces read of a tag."""


class CachedEmbedder:
    """Embeds texts, looking first in the cache of what was embedded before.

    Parameters
    ----------
    model
        What embeds a text that the cache lacks.
    cache
        Vectors by content.
    namespace
        Names the model and all that its vectors depend on.
    """

    def __init__(self, model: MiniLM, cache: ContentCache, namespace: str) -> None:
        self._model, self._cache, self._namespace = model, cache, namespace

    def __call__(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Embed the texts, float32 unit-norm (n_texts, n_dims)."""
        if not texts:
            return self._model.embed([])
        keys = [
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
            for text in texts
        ]

        def make(places: list[int]) -> list[bytes]:
            vectors = self._model.embed([texts[place] for place in places], progress=progress)
            return [vector.tobytes() for vector in vectors]

        found = self._cache.get_or_make(self._namespace, keys, make)
        return np.frombuffer(b"".join(found), dtype=np.float32).reshape(len(keys), -1)


LOCAL_EMBEDDER = "minilm-int8"
"""Names MiniLM (int8, ONNX) on this machine's processor, for versions and caches."""


def local_embedder(cache: Path, *, max_tokens: int) -> CachedEmbedder:
    """Build the embedder with its cache in the folder given; texts are cut after `max_tokens`."""
    return CachedEmbedder(
        MiniLM(max_tokens=max_tokens),
        ContentCache(cache / "embeddings.sqlite"),
        f"{LOCAL_EMBEDDER}:{max_tokens}",
    )
