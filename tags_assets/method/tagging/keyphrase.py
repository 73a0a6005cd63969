"""The tagger that needs no server: what the text says, ranked by what tells its row from the others."""

from __future__ import annotations

import os
from itertools import starmap
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.method.tagging.extraction import EXTRACTION_VERSION, Row, bounded_row, encode, extract
from tags_assets.method.tagging.workers import Workers, read_by_one_ahead
from tags_assets.method.text.embedding import blocks, centred
from tags_assets.method.text.number import singular
from tags_assets.method.text.stoplist import FIRST_NAMES, GENERIC_MODIFIERS, GENERIC_NOUNS, stop_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tags_assets.method.text.embedding import Embed, Vectors

SMALL_POOL = 500
"""Rows below which a phrase of one row alone is kept as it is: so few rows share little."""

MIN_TEMPLATE, TEMPLATE_SHARE = 5, 0.001
"""A sentence is a template's where so many rows, and this share of them, hold it."""

SEVERAL_WORDS, IN_PROMPT, IN_TEMPLATE, RELEVANCE = 1.5, 1.2, 0.3, 2.0
"""Factors of a candidate's score, and the exponent's slope on its cosine to its row."""

_FILLER = GENERIC_NOUNS | GENERIC_MODIFIERS | FIRST_NAMES

TAG_SCHEMA: dict[str, pl.DataType] = {"row": pl.UInt32(), "tag": pl.String(), "weight": pl.Float32()}
"""Columns of what the tagger returns, by row, then by falling weight; the weights of a row sum to 1."""

BATCH_ROWS = 128
"""Rows sent to a worker at once."""

FEW_BATCHES = 4
"""With so few batches workers cost more than they save: each loads the model, two seconds."""

_CANDIDATES = pl.List(
    pl.Struct(
        {
            "phrase": pl.String,
            "times": pl.Int32,
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
        Processes that read rows; 1 reads them here. Unless said, one for each core, two at most.
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
        rows = list(starmap(bounded_row, zip(prompts, responses, languages, strict=True)))
        found: list[bytes] = []
        for part in self._batches(rows):
            found += part
            if progress is not None:
                progress(len(found), len(rows))
        return found

    def _batches(self, rows: list[Row]) -> Iterator[list[bytes]]:
        parts = [rows[block] for block in blocks(len(rows), BATCH_ROWS)]
        if self.n_processes == 1 or len(parts) <= FEW_BATCHES:
            yield from read_by_one_ahead(parts) or (
                [encode(found) for found in extract(part)] for part in parts
            )
            return
        with Workers(self.n_processes) as workers:
            yield from workers.map(parts)

    def rank(
        self,
        candidates: Sequence[bytes],
        *,
        row_vectors: Vectors | None = None,
        embed: Embed | None = None,
    ) -> pl.DataFrame:
        """Choose each row's tags among its candidates, by how much they tell it from the other rows.

        A candidate's score is TF-IDF with a preference for what stands early, in the prompt, and in more
        than one word. What stands in a sentence that many rows share is a template's word, and counts
        little. A phrase that no other row holds gives way to the longest phrase within it that other rows
        hold too ("grey security deposit" to "security deposit"), so that it relates its row to them.

        Parameters
        ----------
        candidates
            What `extract` returned, (n_rows,).
        row_vectors, embed
            Vectors of the rows, float32 (n_rows, n_dims), and the embedder that made them: with both,
            candidates that lie near their row count more.

        Returns
        -------
        Frame with ``TAG_SCHEMA``.
        """
        n_rows = len(candidates)
        found = _decode(candidates)
        least = 2 if n_rows >= SMALL_POOL else 1
        phrases = found.select("phrase").unique().sort("phrase")
        phrases = phrases.filter(pl.Series([is_concept(p) for p in phrases["phrase"]], dtype=pl.Boolean))
        found = found.join(phrases, on="phrase")
        found = found.join(_general_forms(found, least), on="phrase")
        template = pl.col("row").n_unique().over("sentence") >= max(MIN_TEMPLATE, TEMPLATE_SHARE * n_rows)
        df = pl.col("row").n_unique().over("tag")
        n_words = pl.col("tag").str.count_matches(" ") + 1
        found = (
            found.with_columns(template=template & (pl.col("sentence") != 0))
            .group_by("row", "tag")
            .agg(
                pl.col("times").sum(),
                pl.col("first").min(),
                pl.col("in_prompt").any(),
                pl.col("template").all(),
            )
            .with_columns(
                weight=(1 + pl.col("times").log())
                * ((1 + n_rows) / (1 + df)).log1p()
                * (10 / (10 + pl.col("first")))
                * pl.when(n_words > 1).then(SEVERAL_WORDS).otherwise(1.0)
                * pl.when(pl.col("in_prompt")).then(IN_PROMPT).otherwise(1.0)
                * pl.when(pl.col("template")).then(IN_TEMPLATE).otherwise(1.0)
            )
        )
        if row_vectors is not None and embed is not None:
            found = found.with_columns(
                weight=pl.col("weight") * (RELEVANCE * _relevance(found, row_vectors, embed)).exp()
            )
        best = _without_nested(_top(found, 2 * self.max_tags))
        total = pl.col("weight").sum().over("row")
        return _top(best, self.max_tags).select("row", "tag", (pl.col("weight") / total).cast(pl.Float32))


def is_concept(phrase: str) -> bool:
    """Say whether a phrase can be a concept: not if all its words are names, numbers or common filler."""
    words = phrase.split(" ")
    if len(words) == 1 and (phrase in stop_words("en") or (len(phrase) < 2 and phrase.isascii())):
        return False
    return not all(
        w in _FILLER or singular(w) in _FILLER or not any(c.isalpha() for c in w) or w.endswith("'s")
        for w in words
    )


def _decode(candidates: Sequence[bytes]) -> pl.DataFrame:
    """Read cached candidates back: ``row, phrase, times, first, in_prompt, sentence``."""
    texts = pl.Series("found", [c.decode() for c in candidates], pl.String)
    frame = pl.DataFrame({"row": pl.int_range(len(texts), dtype=pl.UInt32, eager=True), "found": texts})
    decoded = frame.with_columns(pl.col("found").str.json_decode(_CANDIDATES))
    return decoded.explode("found").drop_nulls("found").unnest("found")


def _general_forms(found: pl.DataFrame, least: int) -> pl.DataFrame:
    """Find the form under which each phrase is counted, ``phrase, tag``.

    It is the longest part of the phrase, its head at the end, that at least ``least`` rows hold, as a
    phrase or as the end of one; a single word takes the place of a phrase only if it is a concept. The
    phrase itself stays where there is no such part.
    """
    parts = (
        found.select("phrase")
        .unique()
        .with_columns(words=pl.col("phrase").str.split(" "))
        .with_columns(at=pl.int_ranges(0, pl.col("words").list.len()))
        .explode("at")
        .with_columns(tag=pl.col("words").list.slice(pl.col("at")).list.join(" "))
        .select("phrase", "tag", "at")
    )
    rows = found.select("row", "phrase").join(parts, on="phrase").group_by("tag")
    known = rows.agg(
        pl.col("row").n_unique().alias("n_rows"),
        pl.col("row").filter(pl.col("at") == 0).n_unique().alias("n_alone"),
    )
    # The end of a name is no concept ("Gila Bend"), unless it stands alone elsewhere.
    known = known.filter(
        (pl.col("n_rows") >= least) & (pl.col("tag").str.contains(" ") | (pl.col("n_alone") >= 2 * least))
    )
    known = known.filter(pl.Series([is_concept(t) for t in known["tag"]], dtype=pl.Boolean))
    general = (
        parts.join(known, on="tag").sort("phrase", "at").unique("phrase", keep="first", maintain_order=True)
    )
    own = found.select("phrase").unique().join(general, on="phrase", how="left")
    return own.select("phrase", pl.col("tag").fill_null(pl.col("phrase")))


def _relevance(found: pl.DataFrame, row_vectors: Vectors, embed: Embed) -> pl.Series:
    """Cosine of each candidate to its row, both mean-centred, (n_candidates,)."""
    tags = found["tag"].unique().sort()
    tag_vectors = centred(embed(tags.to_list()))
    rows = centred(row_vectors)
    number = found.join(
        pl.DataFrame({"tag": tags}).with_row_index("number"), on="tag", how="left", maintain_order="left"
    )
    at_row, at_tag = found["row"].to_numpy(), number["number"].to_numpy()
    cosine = np.empty(len(found), dtype=np.float32)
    for block in blocks(len(found), 65_536):
        cosine[block] = np.einsum("ij,ij->i", rows[at_row[block]], tag_vectors[at_tag[block]])
    return pl.Series("relevance", cosine)


def _without_nested(ranked: pl.DataFrame) -> pl.DataFrame:
    """Leave out what a better tag of the same row already says in whole words ("campaign", "ad campaign")."""
    better = ranked.select("row", "rank", "tag")
    inside = (pl.lit(" ") + pl.col("tag_better") + " ").str.contains(
        pl.lit(" ") + pl.col("tag") + " ", literal=True
    )
    nested = (
        ranked.select("row", "rank", "tag")
        .join(better, on="row", suffix="_better")
        .filter(pl.col("rank_better") < pl.col("rank"))
        .filter(inside)
        .select("row", "tag")
        .unique()
    )
    return ranked.join(nested, on=["row", "tag"], how="anti")


def _top(tags: pl.DataFrame, n: int) -> pl.DataFrame:
    """Keep the heaviest ``n`` tags of each row, by row and rank; ties go to the first in the alphabet."""
    ordered = tags.sort("row", "weight", "tag", descending=[False, True, False])
    ranked = ordered.with_columns(rank=pl.int_range(pl.len()).over("row"))
    return ranked.filter(pl.col("rank") < n)
