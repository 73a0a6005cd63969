"""What of a row is embedded, and the small vector arithmetic that the method shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

Vectors: TypeAlias = NDArray[np.float32]
Embed: TypeAlias = Callable[[Sequence[str]], Vectors]
"""Texts in, float32 unit-norm vectors (n_texts, n_dims) out; a text's vector depends on that text alone."""

PROMPT_CHARS = 200
RESPONSE_CHARS = 1000
"""The embedder reads 64 word pieces, about 250 characters. Of a long prompt it gets the start, and then the
start of the response, which names the concepts that a prompt of boilerplate ("Solve the problem.") does not.
The student reads further."""


def row_texts(
    prompts: pl.Series,
    responses: pl.Series,
    *,
    prompt_chars: int = PROMPT_CHARS,
    response_chars: int = RESPONSE_CHARS,
) -> list[str]:
    """Join the start of each row's prompt and the start of its response, whitespace collapsed.

    Parameters
    ----------
    prompts, responses
        String series of one length; null reads as empty.
    prompt_chars, response_chars
        Characters kept of each.

    Returns
    -------
    One text per row, in order.
    """

    def start(name: str, n_chars: int) -> pl.Expr:
        # Cut before the whitespace is collapsed too: a row of a megabyte must not cost a megabyte.
        text = pl.col(name).fill_null("").str.slice(0, 4 * n_chars).str.replace_all(r"\s+", " ")
        return text.str.strip_chars().str.slice(0, n_chars)

    frame = pl.DataFrame([prompts.alias("prompt"), responses.alias("response")])
    joined = pl.concat_str(start("prompt", prompt_chars), start("response", response_chars), separator=" ")
    return frame.select(joined.str.strip_chars())[:, 0].to_list()


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Scale each row to norm 1; a row of zeros stays zero. float32, shape kept."""
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norm, 1e-12), dtype=np.float32)


def centred(vectors: Vectors, weights: NDArray[np.floating] | None = None) -> Vectors:
    """Take the (weighted) mean off each row and scale to norm 1.

    Sentence vectors of one corpus share a large common direction, which says "a row of this corpus" and hides
    what tells rows apart; without it cosines spread ("all-but-the-mean", after Mu and Viswanath 2018, eq. 1).
    """
    mean = np.average(vectors, axis=0, weights=weights) if len(vectors) else np.zeros(vectors.shape[1])
    return unit(vectors - mean.astype(np.float32))


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices that cover ``range(n)``, ``size`` at a time."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
