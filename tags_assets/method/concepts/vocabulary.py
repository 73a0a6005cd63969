"""One canonical form for each concept: tags normalised, near-duplicates merged, aliases kept."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.method.text.number import singular_phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from tags_assets.method.text.embedding import Embed

VOCABULARY_SCHEMA: dict[str, pl.DataType] = {
    "tag": pl.String(),
    "count": pl.Int64(),
    "aliases": pl.List(pl.String()),
    "language": pl.String(),
}
"""Columns of the table ``tag_vocabulary``, one row per canonical tag; ``count`` is of rows, ``language`` that
of most rows whose text holds it, null for English and for tags that no text holds."""

ALIAS_SCHEMA: dict[str, pl.DataType] = {"alias": pl.String(), "tag": pl.String()}
"""Columns of the table ``tag_vocabulary_aliases``: each form as it was written, and its canonical tag."""

MAX_TAG_CHARS = 100
"""A longer tag is a sentence, which no concept is; it is left out."""

SMALL_POOL = 500
"""Instances below which tags seen once are kept: a small pool has few others."""

NAMED_BY_MODEL_OR_USER = ("llm", "given")
"""Origins of tags that are concepts as they stand, where a phrase of a text may be anything."""

MOST_SINGLE_TAGS = 200_000
"""Tags up to which those of `NAMED_BY_MODEL_OR_USER` are kept though only one row has them: so many make a
tree in a few minutes."""

SAME_MEANING = 0.8
"""Cosine that two forms one letter apart must reach. Measured with MiniLM: pairs of different meaning reach
.74 ("sulfate", "sulfite"), true pairs lie on both sides, so some are missed and none is wrongly merged."""

SAME_LETTERS = 0.6
"""Cosine that two forms of the same letters must reach ("web site", "data base", "e-mail")."""

MOST_ROWS = 2 / 3
"""Share of the rows that hold a tag from which their language is that of the tag."""

NOT_IN_LATIN_LETTERS = ("ar", "bg", "bn", "el", "fa", "he", "hi", "ja", "ko", "ru", "th", "uk", "zh")
"""Languages of which a tag has letters of its own: an English word in a Chinese text stays English."""

_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-")
_QUOTES = {ord(c): "'" for c in "\u2018\u2019\u201b\u02bc\u00b4`"} | {
    ord(c): '"' for c in "\u201c\u201d\u201e"
}
_PLAIN = _DASHES | _QUOTES
_SPACE = re.compile(r"[\s_]+")
_EDGES = " \t.,;:!?\"'*()[]{}<>|/\\~^=-"

# British and American spellings, on letters that stand in no other role; the key is never shown.
_SPELLING = (
    ("is", re.compile(r"is(ation|ations|ing|ed|er|e)\b"), r"iz\1"),
    ("our", re.compile(r"\b(col|behavi|tum|fav|lab|harb|hum|neighb|vap)our"), r"\1or"),
    ("re", re.compile(r"\b(cent|met|fib|theat|lit)re(s?)\b"), r"\1er\2"),
    ("aemi", re.compile(r"\b(an|h|leuk|isch|ur)aemi"), r"\1emi"),
    ("haemo", re.compile(r"\bhaemo"), "hemo"),
    (
        "ll",
        re.compile(r"\b(modell|labell|travell|cancell|signall)(ing|ed|er)\b"),
        lambda m: m[1][:-1] + m[2],
    ),
)
"""Letters without which the pattern cannot be found, the pattern, what takes its place."""

_OPPOSITES = tuple(
    frozenset(pair.split())
    for pair in (
        "hyper hypo", "inter intra", "pre post", "micro macro", "endo exo", "ante anti", "mono di", "uni bi",
        "over under", "in un", "ab ad", "im ex", "maxi mini", "major minor", "affect effect", "ortho para",
    )
)  # fmt: skip


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

    @cached_property
    def _keys(self) -> pl.DataFrame:
        tags = self.tags.select("tag", pl.Series("key", list(map(merge_key, self.tags["tag"])), pl.String))
        return tags.unique("key", keep="first", maintain_order=True)

    def resolve(self, written: pl.Series) -> pl.DataFrame:
        """Find the canonical tags of written forms, seen before or not; ``ALIAS_SCHEMA``, others left out."""
        forms = pl.DataFrame({"alias": written.unique().sort()})
        known = forms.join(self.aliases, on="alias", how="inner")
        new = forms.join(self.aliases, on="alias", how="anti")
        keys = pl.Series("key", [merge_key(normalise_tag(form)) for form in new["alias"]], pl.String)
        matched = new.with_columns(keys).join(self._keys, on="key").select("alias", "tag")
        return pl.concat([known, matched]).cast(ALIAS_SCHEMA)  # type: ignore[arg-type]

    def canonical(self, tags: pl.DataFrame) -> pl.DataFrame:
        """Replace written tags by canonical ones; those out of the vocabulary go, weights of equals add.

        Parameters
        ----------
        tags
            ``instance_id, tag, weight`` and optionally ``origin``.

        Returns
        -------
        The same columns, by instance, then by falling weight.
        """
        resolved = self.resolve(tags["tag"]).rename({"tag": "canonical"})
        origin = (
            [pl.col("origin").sort_by("weight", descending=True).first()] if "origin" in tags.columns else []
        )
        return (
            tags.join(resolved, left_on="tag", right_on="alias")
            .group_by("instance_id", pl.col("canonical").alias("tag"))
            .agg(pl.col("weight").sort().sum(), *origin)
            .sort("instance_id", "weight", "tag", descending=[False, True, False])
        )


def normalise_tag(tag: str) -> str:
    """Bring a tag to its plain form: NFKC, case folded, one space, plain quotes and dashes, bare edges.

    Signs that carry meaning stay (``c++``, ``c#``, ``.net``); what has no letter or digit is no tag and
    comes back empty, and so does what is longer than ``MAX_TAG_CHARS``.

    Examples
    --------
    >>> [normalise_tag(t) for t in ("  Bayes\u2019 Theorem. ", "C++", ".NET", "(list_comprehension)", "--")]
    ["bayes' theorem", 'c++', '.net', 'list comprehension', '']
    """
    text = unicodedata.normalize("NFKC", tag.encode("utf-8", "ignore").decode()).casefold()
    text = unicodedata.normalize("NFKC", text).translate(_PLAIN)  # case folding may undo the form
    text = _SPACE.sub(" ", "".join(c for c in text if c.isprintable() or c.isspace())).strip()
    dotted = text.startswith(".") and text[1:2].isalpha()
    text = text.strip(_EDGES)
    if len(text) > MAX_TAG_CHARS or not any(c.isalnum() for c in text):
        return ""
    return f".{text}" if dotted else text


def merge_key(form: str) -> str:
    """Give what all spellings of one concept share: number, hyphens, apostrophes, British and American.

    Nothing else is touched: digits, single letters and signs tell concepts apart (``python 2`` and
    ``python 3``, ``vitamin b`` and ``vitamin d``, ``c`` and ``c++``).
    """
    key = form.replace("'s ", " ").replace("' ", " ").replace("'", "").replace("-", " ")
    key = singular_phrase(" ".join(key.split()))
    for letters, pattern, replacement in _SPELLING:
        if letters in key:  # a fifth of the time: keys of the whole vocabulary are made for each new target
            key = pattern.sub(replacement, key)
    return key or form


def build_vocabulary(
    tags: pl.DataFrame,
    embed: Embed,
    *,
    min_count: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Vocabulary:
    """Merge tags that are spellings of one concept onto the most frequent form.

    Forms merge where they share their `merge_key`, or where one is a slip of the pen of the other: one
    letter apart, in a long word, alike to the embedder. A form merges straight onto its canonical form and
    never through a third, so nothing chains.

    Parameters
    ----------
    tags
        ``instance_id, tag, weight`` and optionally ``origin`` and ``language`` (of the row, ISO 639-1): tags
        as the tagger wrote them.
    embed
        The embedder; it reads only the forms that may be slips.
    min_count
        Rows that a concept needs to be kept. Unless said, 1 in a pool of fewer than ``SMALL_POOL`` instances
        and for tags of `NAMED_BY_MODEL_OR_USER`, up to ``MOST_SINGLE_TAGS`` tags; else 2. A phrase seen once
        is mostly no concept; what a language model says of one row alone is one, and the tree relates it to
        others (benchmarks/llm_sample.py: four points of share by concepts alone).

    Returns
    -------
    The vocabulary; time and memory grow linearly with the number of distinct tags.
    """
    n_instances = tags["instance_id"].n_unique()
    least = min_count if min_count is not None else (2 if n_instances >= SMALL_POOL else 1)
    written = tags.select("tag").unique().sort("tag").rename({"tag": "alias"})
    forms = pl.Series("form", list(map(normalise_tag, written["alias"])), pl.String)
    written = written.with_columns(forms).filter(pl.col("form") != "")
    keys = written.select("form").unique().sort("form")
    keys = keys.with_columns(pl.Series("key", list(map(merge_key, keys["form"])), pl.String))
    rows = tags.select("instance_id", alias="tag").join(written, on="alias").join(keys, on="form")
    form_counts = rows.group_by("key", "form").agg(pl.col("instance_id").n_unique().alias("count"))
    # The most frequent form stands for its key; of equals the shortest, then the first in the alphabet.
    heads = (
        form_counts.sort(
            pl.col("count"), pl.col("form").str.len_chars(), pl.col("form"), descending=[True, False, False]
        )
        .group_by("key", maintain_order=True)
        .agg(pl.col("form").first().alias("tag"))
    )
    counts = rows.group_by("key").agg(pl.col("instance_id").n_unique().cast(pl.Int64).alias("count"))
    heads = heads.join(counts, on="key").sort("count", "tag", descending=[True, False])
    heads = heads.join(_slips(heads, embed), on="tag", how="left").with_columns(
        pl.col("of").fill_null(pl.col("tag")).alias("tag")
    )
    rows = rows.join(heads.select("key", "tag"), on="key")
    counts = rows.group_by("tag").agg(pl.col("instance_id").n_unique().cast(pl.Int64).alias("count"))
    kept = pl.col("count") >= least
    if min_count is None and "origin" in tags.columns and len(counts) <= MOST_SINGLE_TAGS:
        named = tags.filter(pl.col("origin").is_in(NAMED_BY_MODEL_OR_USER)).select(alias="tag").unique()
        kept |= pl.col("tag").is_in(rows.join(named, on="alias", how="semi")["tag"].unique().implode())
    aliases = rows.select("alias", "tag").unique().join(counts.filter(kept), on="tag")
    others = aliases.filter(pl.col("alias") != pl.col("tag")).group_by("tag").agg(pl.col("alias").sort())
    vocabulary = (
        aliases.select("tag", "count")
        .unique()
        .join(others, on="tag", how="left")
        .join(_languages(tags, rows), on="tag", how="left")
        .select("tag", "count", pl.col("alias").fill_null([]).alias("aliases"), "language")
        .sort("count", "tag", descending=[True, False])
    )
    # The canonical form leads to itself even where no tagger wrote it quite so.
    own = vocabulary.select(pl.col("tag").alias("alias"), "tag")
    every = pl.concat([aliases.select("alias", "tag"), own]).unique().sort("alias", "tag")
    # A written form that is another concept's canonical form would be ambiguous: its own tag wins.
    every = every.unique("alias", keep="first", maintain_order=True)
    if progress is not None:
        progress(len(written), len(written))
    return Vocabulary(
        vocabulary.cast(VOCABULARY_SCHEMA),  # type: ignore[arg-type]
        every.cast(ALIAS_SCHEMA),  # type: ignore[arg-type]
    )


def _languages(tags: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Find the tags that are words of another language than English, ``tag, language``."""
    if "language" not in tags.columns:
        return pl.DataFrame(schema={"tag": pl.String, "language": pl.String})
    found_in_text = (
        tags if "origin" not in tags.columns else tags.filter(~pl.col("origin").is_in(NAMED_BY_MODEL_OR_USER))
    )
    held = (
        found_in_text.select("instance_id", "language", alias="tag")
        .join(rows.select("instance_id", "alias", "tag"), on=["instance_id", "alias"])
        .group_by("tag", "language")
        .agg(pl.col("instance_id").n_unique().alias("n"))
        .with_columns(share=pl.col("n") / pl.col("n").sum().over("tag"))
    )
    foreign_letters = ~pl.col("tag").str.contains(r"\p{Latin}")
    own_letters = foreign_letters | ~pl.col("language").is_in(NOT_IN_LATIN_LETTERS)
    return held.filter((pl.col("language") != "en") & (pl.col("share") >= MOST_ROWS) & own_letters).select(
        "tag", "language"
    )


def _slips(heads: pl.DataFrame, embed: Embed) -> pl.DataFrame:
    """Find the tags that are other spellings or slips of more frequent ones, ``tag, of``."""
    letters = pl.col("tag").str.replace_all("[ -]", "")
    forms = heads.select("tag", "count", letters=letters).with_row_index("rank")
    # Two forms are one letter apart where taking one letter off each (or off one) leaves the same: a join
    # over deletions finds them in linear time (SymSpell's trick; W. Garbe 2012). Taking off the letter
    # behind the last takes off none, and meets the forms that are one letter longer.
    at, form = pl.col("at"), pl.col("letters")
    deletions = (
        forms.filter(form.str.len_chars() >= 7)
        .with_columns(pl.int_ranges(0, form.str.len_chars() + 1).alias("at"))
        .explode("at")
        .select(
            "rank",
            "tag",
            "count",
            (form.str.slice(0, at) + form.str.slice(at + 1, 10_000)).hash(seed=0).alias("rest"),
        )
        .unique()
    )
    near = _pairs(deletions, "rest").filter(pl.col("count_of") >= 3 * pl.col("count"))
    near = near.filter(
        pl.Series([_may_be_slip(a, b) for a, b in near.select("tag", "of").iter_rows()], dtype=pl.Boolean)
    )
    same = _pairs(forms.filter(form.str.len_chars() >= 5), "letters")
    pairs = (
        pl.concat([same.with_columns(least=SAME_LETTERS), near.with_columns(least=SAME_MEANING)])
        .unique(["tag", "of"], keep="first", maintain_order=True)
        .sort("tag", "count_of", "of", descending=[False, True, False])
    )
    if pairs.is_empty():
        return pl.DataFrame(schema={"tag": pl.String, "of": pl.String})
    alike = np.einsum("ij,ij->i", embed(pairs["tag"].to_list()), embed(pairs["of"].to_list()))
    slips = pairs.filter(pl.Series(alike) >= pl.col("least")).unique("tag", keep="first", maintain_order=True)
    # What is itself a slip stands for nothing else: no chains.
    return slips.filter(~pl.col("of").is_in(slips["tag"].implode())).select("tag", "of")


def _pairs(forms: pl.DataFrame, on: str) -> pl.DataFrame:
    """Pair each form with the more frequent ones that share a value: ``tag, count, of, count_of``."""
    # A value that very many forms share tells nothing, and its pairs would be too many.
    shared = forms.filter(pl.len().over(on).is_between(2, 16))
    return (
        shared.join(shared, on=on, suffix="_of")
        .filter(pl.col("rank_of") < pl.col("rank"))
        .select("tag", "count", of="tag_of", count_of="count_of")
        .unique()
        .sort("tag", "of")
    )


def _may_be_slip(a: str, b: str) -> bool:
    """Say whether forms one letter apart may be one word misspelt: never numbers, short words, opposites."""
    words_a, words_b = re.split("[ -]", a), re.split("[ -]", b)
    if len(words_a) != len(words_b):
        return False
    return all(
        min(len(x), len(y)) >= 6
        and x[0] == y[0]
        and not any(c.isdigit() for c in x + y)
        and not any(x.startswith(p) != y.startswith(p) for pair in _OPPOSITES for p in pair)
        for x, y in zip(words_a, words_b, strict=True)
        if x != y
    )
