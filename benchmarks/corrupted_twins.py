"""Corrupted twins of real rows: what a quality score must tell from the originals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.formats.language import detect

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("swapped", "cut", "shuffled", "repeated", "prompt_copied", "wrong_language")

SCHEMA = {"instance_id": pl.String, "kind": pl.String, "prompt": pl.String, "response": pl.String}

LEAST_WORDS, LEAST_CHARS = 8, 120
"""A shorter response has no middle to be cut in, and hardly an order to be shuffled."""


def corrupted_twins(rows: pl.DataFrame, donors: pl.DataFrame, seed: int = 0) -> pl.DataFrame:
    """Make up to six twins of each row: ``instance_id, kind, prompt, response``.

    swapped         the response is another row's of about the same length
    cut             the response ends at the white space nearest to its middle
    shuffled        its words in random order, white space and line breaks where they were
    repeated        a third of it (4 to 40 words) is said three times more on the spot
    prompt_copied   the response is the prompt
    wrong_language  a row in English gets the response, of about the same length, of a row that is not

    Not every row has every twin: what is too short is neither cut, shuffled nor repeated.

    Parameters
    ----------
    rows, donors
        ``instance_id, prompt, response, language``; no row in both.
    """
    rng = np.random.default_rng(seed)
    any_answer = _by_length(donors)
    told = donors.filter((pl.col("language") != "en") & (pl.col("response").str.len_chars() >= 20))
    languages = detect([""] * len(told), told["response"])
    foreign_answer = _by_length(told.filter(pl.Series(languages) != "en"))
    twins = []
    for row in rows.iter_rows(named=True):
        prompt, response = row["prompt"], row["response"]
        words, gaps = re.findall(r"\S+", response), re.split(r"\S+", response)
        made = {"swapped": any_answer(rng, response), "prompt_copied": prompt}
        if row["language"] == "en":
            made["wrong_language"] = foreign_answer(rng, response)
        if len(words) >= LEAST_WORDS or len(response) >= LEAST_CHARS:
            made["cut"] = _cut(response)
        if len(words) >= LEAST_WORDS:
            order = rng.permutation(len(words))
            made["shuffled"] = "".join(
                gap + word for gap, word in zip(gaps, [*(words[k] for k in order), ""], strict=True)
            )
            size = int(np.clip(len(words) // 3, 4, 40))
            start = int(rng.integers(0, len(words) - size + 1))
            stretch = words[start : start + size]
            made["repeated"] = " ".join(words[:start] + stretch * 4 + words[start + size :])
        twins += [(row["instance_id"], kind, prompt, made[kind]) for kind in KINDS if kind in made]
    return pl.DataFrame(twins, schema=SCHEMA, orient="row")


def _by_length(donors: pl.DataFrame) -> Callable[[np.random.Generator, str], str]:
    donors = donors.with_columns(n=pl.col("response").str.len_chars()).sort("n", "instance_id")
    lengths, responses = donors["n"].to_numpy(), donors["response"].to_list()

    def draw(rng: np.random.Generator, like: str) -> str:
        at = int(np.searchsorted(lengths, len(like)))
        for reach in (20, 40, 80, 160, 320):
            taken = responses[int(np.clip(at + rng.integers(-reach, reach + 1), 0, len(responses) - 1))]
            if taken.strip().lower() != like.strip().lower():
                return taken
        return taken

    return draw


def _cut(response: str) -> str:
    middle = len(response) // 2
    gaps = [found.start() for found in re.finditer(r"\s+", response)]
    nearest = min(gaps, key=lambda gap: abs(gap - middle), default=middle)
    return response[: nearest if abs(nearest - middle) <= 0.2 * len(response) else middle]
