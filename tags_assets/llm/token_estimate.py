"""How many tokens a text will be, without the model's tokenizer.

The estimate is linear in what can be counted fast: words, the words' long parts, digits, runs of
punctuation, runs of white space, and bytes beyond ASCII. Its weights were fitted by non-negative least
squares to the byte-pair tokenizer of SmolLM2 on 2,500 rows of public instruction data in 12 languages: the
total is within 3%, and 90% of the English rows are within 12% (other languages: 35%). Each server's own
counts correct it as answers come in (see ``Dialect.tokens_per_estimate``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_WEIGHTS = {
    r"[A-Za-z]+": 1.07,
    r"[A-Za-z]{8}": 0.24,
    r"[0-9]": 1.19,
    r"[!-/:-@\[-`{-~]+": 1.0,
    r"\n|  +": 0.94,
}
_BEYOND_ASCII = 0.55
"""Tokens per byte of a character that is not ASCII."""

_PATTERNS = tuple((re.compile(pattern), weight) for pattern, weight in _WEIGHTS.items())


def count_tokens(texts: Sequence[str] | pl.Series) -> NDArray[np.float64]:
    """Estimate the tokens of each text, (n,)."""
    column = pl.col("text")
    ascii_chars = column.str.count_matches(r"[\x00-\x7F]").cast(pl.Float64)
    counted = [column.str.count_matches(p).cast(pl.Float64) * w for p, w in _WEIGHTS.items()]
    beyond = (column.str.len_bytes().cast(pl.Float64) - ascii_chars) * _BEYOND_ASCII
    frame = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
    return frame.select(pl.sum_horizontal(*counted, beyond).fill_null(0.0)).to_series().to_numpy()


def count_tokens_of(text: str) -> float:
    """Estimate the tokens of one text."""
    total = sum(weight * sum(1 for _ in pattern.finditer(text)) for pattern, weight in _PATTERNS)
    beyond = 0 if text.isascii() else len(text.encode(errors="replace")) - sum(map(str.isascii, text))
    return total + _BEYOND_ASCII * beyond
