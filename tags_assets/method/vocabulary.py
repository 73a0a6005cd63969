"""One canonical form for each concept: tags normalised, near-duplicates merged, aliases kept."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from tags_assets.method.embedding import Embed

VOCABULARY_SCHEMA: dict[str, pl.DataType] = {
    "tag": pl.String(),
    "count": pl.Int64(),
    "aliases": pl.List(pl.String()),
}
"""Columns of the table ``tag_vocabulary``, one row per canonical tag; ``count`` is of rows."""

ALIAS_SCHEMA: dict[str, pl.DataType] = {"alias": pl.String(), "tag": pl.String()}
"""Columns of the table ``tag_vocabulary_aliases``: each form as it was written, and its canonical tag."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Canonical tags, and the way from every written form to its canonical one.

    Attributes
    ----------
    tags
        ``VOCABULARY_SCHEMA``, by falling count, then by tag.
    aliases
        ``ALIAS_SCHEMA``, every written form once, canonical forms included.
    """

    tags: pl.DataFrame
    aliases: pl.DataFrame

    def canonical(self, tags: pl.DataFrame) -> pl.DataFrame:
        """Replace written tags by canonical ones; those out of the vocabulary go, weights of equals add."""
        return (
            tags.join(self.aliases, left_on="tag", right_on="alias", how="inner", suffix="_canonical")
            .group_by("instance_id", pl.col("tag_canonical").alias("tag"))
            .agg(pl.col("weight").sum(), *([pl.col("origin").first()] if "origin" in tags.columns else []))
            .sort("instance_id", "weight", "tag", descending=[False, True, False])
        )


def normalise_tag(tag: str) -> str:
    """Bring a tag to its plain form: NFKC, case folded, whitespace and edge punctuation cleaned."""
    text = unicodedata.normalize("NFKC", tag).casefold()
    text = re.sub(r"[\s_]+", " ", text).strip(" \t.,;:!?\"'`*()[]{}<>|-")
    return text


def build_vocabulary(tags: pl.DataFrame, embed: Embed, *, min_count: int = 1) -> Vocabulary:
    """Build the vocabulary of the tags ``instance_id, tag, weight``."""
    written = tags.select("tag").unique().sort("tag")
    written = written.with_columns(
        pl.col("tag").map_elements(normalise_tag, return_dtype=pl.String).alias("form")
    ).filter(pl.col("form") != "")
    counts = (
        tags.join(written, on="tag")
        .group_by("form")
        .agg(pl.col("instance_id").n_unique().cast(pl.Int64).alias("count"))
        .filter(pl.col("count") >= min_count)
    )
    aliases = written.join(counts, on="form").select(
        pl.col("tag").alias("alias"), pl.col("form").alias("tag")
    )
    grouped = aliases.filter(pl.col("alias") != pl.col("tag")).group_by("tag").agg(pl.col("alias").sort())
    vocabulary = (
        counts.rename({"form": "tag"})
        .join(grouped, on="tag", how="left")
        .select("tag", "count", pl.col("alias").fill_null([]).alias("aliases"))
        .sort("count", "tag", descending=[True, False])
    )
    return Vocabulary(vocabulary.cast(VOCABULARY_SCHEMA), aliases.cast(ALIAS_SCHEMA))  # type: ignore[arg-type]
