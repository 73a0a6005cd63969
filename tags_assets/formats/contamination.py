"""Rows that repeat a benchmark: the same run of words, or nearly the same text.

Two rules, both on words and numbers (case, punctuation and signs do not count), each turn of a row by itself:

- *n-gram*: a turn shares a run of `n` words with a text of the benchmark (13 by default, as in Brown et al.
  2020, arXiv 2005.14165, appendix C), most of them no numbers: sums are alike everywhere. A text of the
  benchmark that is shorter than that, and has five words or more, must be the whole turn.
- *near-duplicate*: a turn holds at least 0.8 of the three-word shingles of a benchmark's text of eight words
  or more: the text with a few words changed, wherever it stands in the turn.

Scripts without spaces have no words to count. There, two characters of Chinese or Japanese count as one, and
three letters of Thai, Lao, Tibetan, Burmese or Khmer (vowel signs aside): so a name is not a sentence.

Every text in a benchmark's row is taken: question, choices of some length, answer, code. A benchmark need not
have one of the layouts that a pool has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from unicodedata import category, normalize

import numba
import numpy as np
import polars as pl

from tags_assets.errors import UserError
from tags_assets.formats.pool_files import names_of
from tags_assets.formats.readers import Position, read_records
from tags_assets.formats.shingles import mixed, shingles, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

CONTAMINATION_VERSION = "2"
"""Part of versions: raise it whenever equal rows and benchmarks would give other answers."""

HIT_SCHEMA = pl.Schema({"instance_id": pl.String(), "detail": pl.String()})

_SIGNS = re.compile(r"[^\w\s]|_")

WHOLE = 12
"""Size of a word, of which a character of a script without spaces is a part: no fractions, so that sums are
exact."""

_HALF, _THIRD = WHOLE // 2, WHOLE // 3
_LONG_WORDS = ((0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF))  # Thai, Lao, Tibetan; Burmese; Khmer

WHOLE_TEXT_WORDS = 5
NEAR_WORDS = 8
NEAR_SHARE = 0.8
_COMMON = 50
"""Benchmark texts from which a shingle is too common to propose a pair; it still counts in confirming one."""


@dataclass(frozen=True, eq=False)
class Benchmarks:
    """The texts of benchmarks, ready to be looked for.

    Attributes
    ----------
    places
        ``file:line`` of each text.
    n
        Words in a row that count as the same text.
    """

    places: tuple[str, ...]
    n: int
    _grams: tuple[NDArray[np.uint64], NDArray[np.int64]]
    _whole: tuple[NDArray[np.uint64], NDArray[np.int64]]
    _shingles: pl.DataFrame
    _sizes: pl.DataFrame

    @classmethod
    def read(cls, files: Sequence[Path], n: int) -> Benchmarks:
        """Read benchmark files of any format that a pool may have; all text in a row counts.

        Raises
        ------
        UserError
            For a file that cannot be read, or that holds no text of `WHOLE_TEXT_WORDS` words or more.
        """
        texts: list[str] = []
        places: list[str] = []
        for path, name in zip(files, names_of(files), strict=True):
            before = len(texts)
            for record in read_records(path, Position()):
                found = list(_texts(record.row)) if record.row is not None else []
                texts += found
                places += [f"{name}:{record.line}"] * len(found)
            if len(texts) == before:
                raise UserError(
                    "holds no text to compare rows with",
                    where=str(path),
                    fix="Name a file of rows: JSON Lines, JSON, CSV, Parquet or Arrow.",
                )
        return cls.of(texts, places, n)

    @classmethod
    def of(cls, texts: Sequence[str], places: Sequence[str], n: int) -> Benchmarks:
        """Take texts that are in hand."""
        hashes, numbers, offsets = _words(texts)
        sizes = _sizes_of(hashes)
        lengths = np.diff(np.concatenate([[0], np.cumsum(sizes)])[offsets]) / WHOLE
        grams, of_gram = _grams_of(hashes, numbers, sizes, offsets, n)
        short = np.flatnonzero((lengths >= WHOLE_TEXT_WORDS) & (lengths < n))
        whole = _whole_of(hashes, offsets)[short]
        pieces, piece_offsets = shingles(hashes, offsets)
        numbered = pl.DataFrame(
            {"shingle": pieces, "text": np.repeat(np.arange(len(texts)), np.diff(piece_offsets))}
        ).unique()
        numbered = numbered.filter(pl.Series(lengths >= NEAR_WORDS).gather(numbered["text"]))
        return cls(
            places=tuple(places),
            n=n,
            _grams=_sorted(grams, of_gram),
            _whole=_sorted(whole, short),
            _shingles=numbered.with_columns(common=pl.len().over("shingle") > _COMMON),
            _sizes=numbered.group_by("text").agg(pl.len().alias("size")),
        )

    def hits(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Find the rows of ``instance_id, messages`` that repeat a text: `HIT_SCHEMA`, in the rows' order."""
        turns = batch.select("messages").with_row_index("row").explode("messages").drop_nulls("messages")
        contents = turns["messages"].struct.field("content").fill_null("").to_list()
        hashes, numbers, offsets = _words(contents)
        found: dict[int, str] = {}
        grams, of_gram = _grams_of(hashes, numbers, _sizes_of(hashes), offsets, self.n)
        for turn, text in _matches(grams, of_gram, self._grams):
            found.setdefault(turn, f"{self.n} words in a row of {self.places[text]}")
        whole = _whole_of(hashes, offsets)
        for turn, text in _matches(whole, np.arange(len(whole)), self._whole):
            found.setdefault(turn, f"the whole of {self.places[text]}")
        for turn, text, share in self._near(hashes, offsets):
            found.setdefault(turn, f"{share:.0%} of the wording of {self.places[text]}")
        rows: dict[int, str] = {}
        for turn in sorted(found):
            rows.setdefault(int(turns["row"][turn]), found[turn])
        return pl.DataFrame(
            {"instance_id": batch["instance_id"].gather(list(rows)), "detail": list(rows.values())},
            schema=HIT_SCHEMA,
        )

    def _near(
        self, hashes: NDArray[np.uint64], offsets: NDArray[np.int64]
    ) -> Iterator[tuple[int, int, float]]:
        pieces, piece_offsets = shingles(hashes, offsets)
        turns = np.repeat(np.arange(len(offsets) - 1), np.diff(piece_offsets))
        ours = pl.DataFrame({"shingle": pieces, "turn": turns}).unique()
        rare = self._shingles.filter(~pl.col("common"))
        proposed = (
            ours.join(rare, on="shingle")
            .group_by("turn", "text")
            .agg(pl.len().alias("shared"))
            .join(self._sizes, on="text")
            # A fifth of its wording that is hardly anybody else's: only such pairs are looked at in full.
            .filter(pl.col("shared") >= pl.col("size") * 0.2)
            .select("turn", "text", "size")
        )
        near = (
            proposed.join(self._shingles.select("shingle", "text"), on="text")
            .join(ours, on=["turn", "shingle"])
            .group_by("turn", "text", "size")
            .agg(pl.len().alias("shared"))
            .with_columns(share=pl.col("shared") / pl.col("size"))
            .filter(pl.col("share") >= NEAR_SHARE)
            .sort(["turn", "share", "text"], descending=[False, True, False])
        )
        for turn, text, share in near.select("turn", "text", "share").iter_rows():
            yield int(turn), int(text), float(share)


def _texts(value: object) -> Iterator[str]:
    """All texts in a row, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _words(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.bool_], NDArray[np.int64]]:
    """Cut texts into words and numbers: hashes, whether each is a number, and where each text begins."""
    plain = [_SIGNS.sub(" ", normalize("NFC", text)).casefold() for text in texts]
    return words(plain)


def _sizes_of(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Size of each word in parts of a whole one, int64 (n_words,)."""
    alone = (hashes & np.uint64(1)).astype(bool)
    sizes = np.where(alone, _HALF, WHOLE)
    sizes[alone] = np.where(np.isin(hashes[alone], _letters_of_long_words()), _THIRD, _HALF)
    return sizes


@cache
def _letters_of_long_words() -> NDArray[np.uint64]:
    letters = [chr(point) for first, last in _LONG_WORDS for point in range(first, last + 1)]
    return words([letter for letter in letters if category(letter)[0] in "LM"])[0]


def _sorted(
    hashes: NDArray[np.uint64], of: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Each hash once, sorted, with the first text that has it."""
    distinct, first = np.unique(hashes, return_index=True)
    return distinct, of[first]


def _matches(
    hashes: NDArray[np.uint64],
    of: NDArray[np.int64],
    known: tuple[NDArray[np.uint64], NDArray[np.int64]],
) -> list[tuple[int, int]]:
    """Turn and benchmark text for each hash that is known, in the order of the turns."""
    distinct, text = known
    if not len(distinct) or not len(hashes):
        return []
    at = np.minimum(np.searchsorted(distinct, hashes), len(distinct) - 1)
    hit = distinct[at] == hashes
    return list(zip(of[hit].tolist(), text[at[hit]].tolist(), strict=True))


@numba.njit(cache=True, nogil=True)
def _grams_of(
    hashes: NDArray[np.uint64],
    numbers: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    offsets: NDArray[np.int64],
    n: int,
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Hash every `n` words in a row that are not mostly numbers, and number the text that they stand in."""
    out = np.empty(len(hashes), dtype=np.uint64)
    of = np.empty(len(hashes), dtype=np.int64)
    filled = 0
    for t in range(len(offsets) - 1):
        for first in range(offsets[t], offsets[t + 1]):
            h = np.uint64(n)
            plain, size, w = 0, 0, first
            while size < n * WHOLE and w < offsets[t + 1]:
                h = mixed(h, hashes[w])
                plain += not numbers[w]
                size += sizes[w]
                w += 1
            if size >= n * WHOLE and 2 * plain > w - first:
                out[filled], of[filled] = h, t
                filled += 1
    return out[:filled].copy(), of[:filled].copy()


@numba.njit(cache=True, nogil=True)
def _whole_of(hashes: NDArray[np.uint64], offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash the words of each text as a whole."""
    out = np.empty(len(offsets) - 1, dtype=np.uint64)
    for t in range(len(offsets) - 1):
        h = np.uint64(0)
        for w in range(offsets[t], offsets[t + 1]):
            h = mixed(h, hashes[w])
        out[t] = h
    return out
