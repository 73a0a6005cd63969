"""The keyphrase tagger with its cache: the phrases of a text are looked for once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import polars as pl

from tags_assets.method.tagging.extraction import EXTRACTION_VERSION
from tags_assets.method.tagging.keyphrase import KeyphraseTagger
from tags_assets.store.content_cache import ContentCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

TAGS_SCHEMA = pl.Schema({"instance_id": pl.String(), "tag": pl.String(), "weight": pl.Float32()})


class CachedKeyphrases:
    """Tags rows with the phrases that they hold.

    Parameters
    ----------
    cache
        Folder of the caches; phrases are kept there by the content of the row.
    """

    def __init__(self, cache: Path) -> None:
        self._tagger = KeyphraseTagger()
        self._cache = ContentCache(cache / "phrases.sqlite")

    @property
    def fingerprint(self) -> str:
        """Names the tagger and its settings, for versions."""
        return self._tagger.fingerprint

    def tag(
        self,
        batches: Iterable[pl.DataFrame],
        *,
        total: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> pl.DataFrame:
        """Tag rows that come in batches of ``instance_id, prompt, response, language``.

        Returns
        -------
        pl.DataFrame
            `TAGS_SCHEMA`; the weights of a row sum to 1.
        """
        ids: list[str] = []
        candidates: list[bytes] = []
        for batch in batches:
            before = len(ids)

            def advance(done: int, _: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + done, total)

            candidates += self.extract(batch, advance)
            ids += batch["instance_id"].to_list()
        ranked = self._tagger.rank(candidates)
        names = pl.Series("instance_id", ids, pl.String()).gather(ranked["row"])
        return ranked.select(names, "tag", "weight").cast(TAGS_SCHEMA)

    def extract(self, rows: pl.DataFrame, progress: Callable[[int, int], None] | None = None) -> list[bytes]:
        """Find the candidate phrases of each row, in order, looking first in the cache."""
        texts = list(rows.select("prompt", "response", "language").iter_rows())
        keys = [_key(*row) for row in texts]

        def make(places: list[int]) -> list[bytes]:
            new = rows[places]
            return self._tagger.extract(new["prompt"], new["response"], new["language"], progress=progress)

        return self._cache.get_or_make(EXTRACTION_VERSION, keys, make)


def _key(prompt: str, response: str, language: str | None) -> str:
    text = "\0".join((language or "", prompt, response))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
