"""The tagger that needs no server: what the text says, ranked by what tells its row from the others."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import polars as pl

from tags_assets.method.embedding import blocks
from tags_assets.method.tagging.extraction import EXTRACTION_VERSION, Row, extract_encoded
from tags_assets.method.tagging.stoplist import FIRST_NAMES, GENERIC_MODIFIERS, GENERIC_NOUNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

TAG_SCHEMA: dict[str, pl.DataType] = {"row": pl.UInt32(), "tag": pl.String(), "weight": pl.Float32()}
"""Columns of what the tagger returns, by row, then by falling weight; the weights of a row sum to 1."""

BATCH_ROWS = 128
"""Rows sent to a worker at once."""

_CANDIDATES = pl.List(
    pl.Struct(
        {
            "phrase": pl.String,
            "count": pl.Int32,
            "first": pl.Int32,
            "in_prompt": pl.Boolean,
            "sentence": pl.Int64,
        }
    )
)


class KeyphraseTagger:
    """Tags rows with the phrases that they hold.

    Parameters
    ----------
    max_tags
        Tags of a row at most.
    n_processes
        Processes that read English rows; 1 reads them here. The cores of the machine, two at most, unless said.
    """

    def __init__(self, *, max_tags: int = 8, n_processes: int | None = None) -> None:
        self.max_tags = max_tags
        self.n_processes = n_processes or min(2, os.cpu_count() or 1)

    @property
    def fingerprint(self) -> str:
        """Names the tagger and its settings, for versions; the cache key of `extract` is ``extraction``."""
        return f"keyphrase-{EXTRACTION_VERSION}-{self.max_tags}"

    def tag(
        self,
        prompts: Sequence[str] | pl.Series,
        responses: Sequence[str] | pl.Series,
        languages: Sequence[str | None] | pl.Series | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> pl.DataFrame:
        """Tag rows: `extract`, then `rank`. Returns a frame with ``TAG_SCHEMA``."""
        return self.rank(self.extract(prompts, responses, languages, progress=progress))

    def extract(
        self,
        prompts: Sequence[str] | pl.Series,
        responses: Sequence[str] | pl.Series,
        languages: Sequence[str | None] | pl.Series | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[bytes]:
        """Find each row's candidate phrases: a pure function of its texts, as JSON for a cache."""
        languages = ["en"] * len(prompts) if languages is None else languages
        rows = [Row(p or "", r or "", c) for p, r, c in zip(prompts, responses, languages, strict=True)]
        found: list[bytes] = []
        for part in self._batches(rows):
            found += part
            if progress is not None:
                progress(len(found), len(rows))
        return found

    def _batches(self, rows: list[Row]) -> Iterator[list[bytes]]:
        parts = [rows[block] for block in blocks(len(rows), BATCH_ROWS)]
        if self.n_processes == 1 or len(parts) <= 4:
            yield from map(extract_encoded, parts)
            return
        # Spawned, not forked: a fork of a process with threads (polars, ONNX) may hang.
        with ProcessPoolExecutor(self.n_processes, mp_context=get_context("spawn")) as pool:
            yield from pool.map(extract_encoded, parts)

    def rank(self, candidates: Sequence[bytes]) -> pl.DataFrame:
        """Choose each row's tags among its candidates, by how much they tell it from the other rows."""
        n_rows = len(candidates)
        found = (
            pl.DataFrame(
                {"row": pl.Series(range(n_rows), dtype=pl.UInt32), "found": [c.decode() for c in candidates]}
            )
            .with_columns(pl.col("found").str.json_decode(_CANDIDATES))
            .explode("found")
            .drop_nulls()
            .unnest("found")
            .rename({"phrase": "tag"})
        )
        generic = GENERIC_NOUNS | GENERIC_MODIFIERS | FIRST_NAMES
        words = pl.col("tag").str.split(" ")
        found = found.filter(~words.list.eval(pl.element().is_in(list(generic))).list.all())
        n_words = words.list.len()
        df = pl.col("row").n_unique().over("tag")
        score = (
            (1 + pl.col("count").log())
            * ((1 + n_rows) / (1 + df)).log().add(1)
            * (1 / (1 + pl.col("first") / 10))
            * pl.when(n_words > 1).then(1.5).otherwise(1.0)
            * pl.when(pl.col("in_prompt")).then(1.2).otherwise(1.0)
        )
        ranked = (
            found.with_columns(score.alias("weight"))
            .sort("row", "weight", "tag", descending=[False, True, False])
            .group_by("row", maintain_order=True)
            .head(self.max_tags)
        )
        total = pl.col("weight").sum().over("row")
        return ranked.select("row", "tag", (pl.col("weight") / total).cast(pl.Float32))
