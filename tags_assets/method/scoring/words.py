"""The words of many texts, one after the other: what the signals count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Flags = NDArray[np.bool_]

_NO_SPACES = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}"
"""Scripts that put no space between words: there each letter counts as one."""

_PIECE = (
    r"[.!?\u2026][\"'\u201d\u2019*_]*\s+"  # the end of a sentence, with what follows it
    r"|\n\s*"
    rf"|[{_NO_SPACES}]"
    rf"|[[\p{{L}}\p{{M}}\p{{N}}]--[{_NO_SPACES}]]+"
    r"|[^\s\p{L}\p{M}\p{N}]"
)


@dataclass(frozen=True, eq=False)
class Words:
    """The tokens of many texts, one after the other.

    Attributes
    ----------
    n_texts
        Number of texts.
    row
        Number of each token's text, rising, int64 (n_tokens,).
    tokens
        The tokens: ``raw`` as written and ``word`` in lower case.
    is_word
        Whether a token is a word and not punctuation, (n_tokens,).
    """

    n_texts: int
    row: NDArray[np.int64]
    tokens: pl.DataFrame
    is_word: Flags

    @classmethod
    def of(cls, texts: pl.Series) -> Words:
        """Split texts into tokens."""
        tokens = (
            pl.DataFrame({"raw": texts.str.extract_all(_PIECE)})
            .with_row_index("row")
            .filter(pl.col("raw").list.len() > 0)
            .explode("raw")
            .with_columns(pl.col("raw").str.to_lowercase().alias("word"))
        )
        is_word = tokens["raw"].str.contains(r"^[\p{L}\p{M}\p{N}]").to_numpy()
        return cls(len(texts), tokens["row"].to_numpy().astype(np.int64), tokens, is_word)

    def among(self, words: frozenset[str]) -> Flags:
        """Say which tokens are one of these words, whatever their case."""
        return self.tokens["word"].is_in(list(words)).to_numpy()

    def like(self, pattern: str) -> Flags:
        """Say which tokens match a pattern as they are written."""
        return self.tokens["raw"].str.contains(pattern).to_numpy()

    def count(self, flags: Flags) -> Values:
        """Count the flagged tokens of each text, float64 (n_texts,)."""
        return np.bincount(self.row[flags], minlength=self.n_texts).astype(np.float64)

    def next(self, flags: Flags) -> Flags:
        """Say which tokens are followed, in their own text, by a flagged one."""
        after = np.zeros(len(flags), dtype=np.bool_)
        after[:-1] = flags[1:] & (self.row[1:] == self.row[:-1])
        return after

    def previous(self, flags: Flags) -> Flags:
        """Say which tokens follow, in their own text, a flagged one."""
        before = np.zeros(len(flags), dtype=np.bool_)
        before[1:] = flags[:-1] & (self.row[1:] == self.row[:-1])
        return before

    def unmatched(self) -> tuple[Values, Values]:
        """Count the brackets that close nothing and those that nothing closes, all kinds alike.

        The mark of a list, such as ``1)`` at the beginning of a line or sentence, is no bracket. Two arrays,
        float64 (n_texts,).
        """
        opens = self.like(r"^[(\[{]$")
        begins = self.previous(self.like(r"\s$")) | ~self.previous(np.ones_like(opens))
        mark = self.like(r"^\w{1,2}$") & begins
        closes = self.like(r"^[)\]}]$") & ~self.previous(mark)
        step = opens.astype(np.int64) - closes
        # Depth within each text: the running sum, less what it was where the text begins.
        depth = np.cumsum(step)
        first = np.searchsorted(self.row, np.arange(self.n_texts))
        before = np.concatenate([[0], depth])[first]
        depth -= before[self.row]
        lowest, final = np.zeros(self.n_texts), np.zeros(self.n_texts)
        np.minimum.at(lowest, self.row, depth.astype(np.float64))
        np.add.at(final, self.row, step.astype(np.float64))
        return -lowest, final - lowest

    def distinct(self) -> pl.DataFrame:
        """Give the distinct words of each text: ``row, word``."""
        return self.tokens.filter(pl.Series(self.is_word)).select("row", "word").unique()

    def runs(self, length: int, begins: Flags | None = None) -> pl.DataFrame:
        """Give the runs of so many words: ``row, key``, where the key is a hash.

        One begins at each word, or at each flagged one; those at the end of a text are filled up.
        """
        row = self.row[self.is_word]
        word = self.tokens["word"].filter(pl.Series(self.is_word)).hash().to_numpy()
        key = word.copy()
        for step in range(1, length):
            key *= np.uint64(0x9E3779B97F4A7C15)
            same = row[step:] == row[:-step]
            key[:-step] += np.where(same, word[step:], np.uint64(0))
        taken = slice(None) if begins is None else begins[self.is_word]
        return pl.DataFrame({"row": row[taken], "key": key[taken]})
