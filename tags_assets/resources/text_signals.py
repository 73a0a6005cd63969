"""Text signals with their cache: a text is looked at for defects once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.method.scoring.text_signals import (
    SIGNALS,
    TEXT_SIGNAL_SCHEMA,
    TEXT_SIGNALS_VERSION,
    text_signals,
)
from tags_assets.store.content_cache import ContentCache

if TYPE_CHECKING:
    from pathlib import Path


class CachedTextSignals:
    """Looks for defects in rows, and keeps what it found by the content of the row.

    Parameters
    ----------
    cache
        Folder of the caches.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = ContentCache(cache / "signals.sqlite")

    def __call__(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Look at rows ``instance_id, prompt, response``; returns ``TEXT_SIGNAL_SCHEMA``, in their order."""
        keys = [_key(*texts) for texts in rows.select("prompt", "response").iter_rows()]

        def make(places: list[int]) -> list[bytes]:
            found = text_signals(rows[places]).select(SIGNALS).to_numpy().astype("<f8")
            return [values.tobytes() for values in found]

        found = self._cache.get_or_make(TEXT_SIGNALS_VERSION, keys, make)
        values = np.frombuffer(b"".join(found), dtype="<f8").reshape(-1, len(SIGNALS))
        columns = {name: values[:, place] for place, name in enumerate(SIGNALS)}
        return pl.DataFrame({"instance_id": rows["instance_id"], **columns}).cast(TEXT_SIGNAL_SCHEMA)  # type: ignore[arg-type]


def _key(prompt: str | None, response: str | None) -> str:
    text = "\0".join((prompt or "", response or ""))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
