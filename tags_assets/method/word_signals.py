"""Signals that count the words of a row: loops, disorder, copies, answers that belong elsewhere.

The constants were fitted on 3,000 rows of public instruction data and corrupted twins of them, other rows than
those on which `benchmarks/quality_twins.py` measures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.special import expit, gammaln, xlog1py, xlogy

from tags_assets.method.function_words import (
    ABBREVIATIONS,
    COMMON_WORDS,
    FUNCTION_WORDS,
    NEVER_TOGETHER,
    SCRIPTS,
    SENTENCE_OPENERS,
)

if TYPE_CHECKING:
    from tags_assets.method.words import Flags, Values, Words

_PRIOR = -3.0
"""Log odds of a defect before the text is looked at: about one row in twenty."""

_STEM = 5
"""Letters of a word that are compared: enough to tell words apart, few enough to join their endings."""

_SHARED_IF_OWN, _SHARED_IF_FOREIGN = (0.35, 1.5), (0.03, 0.7)
"""Words that an answer shares with its own prompt and with another's: share of the size, and shape."""


def repetitive(response: Words) -> Values:
    """Say how much of the response is said again: the share of its runs of four words that occurred before."""
    runs = response.runs(4).group_by("row").agg(value=1.0 - pl.col("key").n_unique() / pl.len())
    return _ramp(_per_text(runs, response.n_texts), 0.15, 0.45)


def disordered(response: Words) -> Values:
    """Say whether words stand in no order, by four kinds of trace; each has a log likelihood ratio.

    Pairs of words that grammar keeps apart; sentences that begin small; words that begin a sentence, with
    their capital, in the middle of one; brackets that close before they open. A trace alone can be a title's
    or a list's, so each is capped: it takes two, or many such pairs, to be sure.
    """
    lower = response.like(r"^\p{Ll}")
    first, broken = np.zeros_like(lower), np.zeros_like(lower)
    followed = response.next(response.is_word)
    for before, after in NEVER_TOGETHER:
        found = response.among(before) & lower & followed
        first |= found
        broken |= found & response.next(response.among(after))
    openers = response.like(r"^\p{Lu}\p{Ll}*$") & response.among(SENTENCE_OPENERS)
    openers &= ~response.like("^I$")
    inside = openers & response.previous(response.is_word)
    stops = response.like(r"^[.!?\u2026]\W*\s$") & response.previous(
        response.like(r"\p{Ll}{2}$") & ~response.among(ABBREVIATIONS)
    )
    stops &= followed
    small = stops & response.next(lower)
    # Who writes without capitals breaks no rule here.
    has_capitals = response.count(openers) > 0
    early, _ = response.unmatched()
    closed = response.count(response.like(r"^[)\]}]$"))
    evidence = (
        _evidence(response.count(broken), response.count(first), rates=(0.003, 0.17), most=6.0)
        + _evidence(response.count(small) * has_capitals, response.count(stops), rates=(0.02, 0.8), most=4.0)
        + _evidence(response.count(inside), response.count(openers), rates=(0.06, 0.77), most=3.5)
        + _evidence(early, closed, rates=(0.01, 0.16), most=3.5)
    )
    return _posterior(evidence)


def unfinished(response: Words) -> Flags:
    """Say which responses leave a bracket open."""
    _, left_open = response.unmatched()
    return left_open > 0


def prompt_copied(prompt: Words, response: Words) -> Values:
    """Say whether the response is the prompt again: nearly all of it, its beginning too, and little else.

    By runs of three words. An answer that quotes its passage leaves the question out, and one that repeats
    the question goes on: neither is a copy.
    """
    n = prompt.n_texts
    asked = prompt.runs(3).unique(maintain_order=True)
    said = response.runs(3).unique()
    both = asked.join(said, on=["row", "key"], how="semi")
    begins = _sizes(
        asked.group_by("row", maintain_order=True).head(1).join(said, on=["row", "key"], how="semi"), n
    )
    shared, size = _sizes(both, n), _sizes(asked, n)
    of_prompt = _ramp(_share(shared, size), 0.6, 0.95)
    of_response = _ramp(_share(shared, _sizes(said, n)), 0.4, 0.9)
    # A greeting answers a greeting.
    return of_prompt * of_response * begins * (size >= 3)


def incoherent(prompt: Words, response: Words) -> Values:
    """Say whether the response belongs to another prompt: it shares fewer words with this one than answers do.

    With p and r distinct words of content in prompt and response, the size of their encounter is
    g = min(p, r)^0.7 max(p, r)^0.3. The number of words shared is taken for negative binomial, of mean 0.35 g
    and shape 1.5 where the answer is the prompt's own, of mean 0.03 g and shape 0.7 where it is another's. So
    short answers, which share nothing for want of words, are hardly doubted.
    """
    n = prompt.n_texts
    asked, said = _stems(prompt), _stems(response)
    shared = _sizes(asked.join(said, on=["row", "key"], how="semi"), n)
    p, r = _sizes(asked, n), _sizes(said, n)
    size = np.minimum(p, r) ** 0.7 * np.minimum(np.maximum(p, r), 200.0) ** 0.3
    evidence = np.zeros(n)
    some = size > 0
    for (share, shape), sign in ((_SHARED_IF_FOREIGN, 1.0), (_SHARED_IF_OWN, -1.0)):
        evidence[some] += sign * _log_negative_binomial(shared[some], share * size[some], shape)
    return np.where(some, _posterior(np.minimum(evidence, 8.0)), 0.0)


def languages_differ(prompt: Words, response: Words) -> Values:
    """Say whether prompt and response are surely of different languages, by script and by function words.

    Of languages in Latin letters, one is told where its function words make up a fifth of the text and twice
    as much as they do in the other text, both ways. An answer in another script counts unless the prompt has
    some of it; one in Latin letters to a prompt in another script must be prose, for code is Latin anywhere.
    """
    letters = [text.count(text.like(r"^\p{L}")) for text in (prompt, response)]
    scripts = [
        np.stack([text.count(text.like(f"^{one}")) for one in SCRIPTS.values()])
        for text in (prompt, response)
    ]
    by_script = [_main_script(s, n) for s, n in zip(scripts, letters, strict=True)]
    asked, said = (
        np.stack([_share(text.count(text.among(words)), n) for words in FUNCTION_WORDS.values()])
        for text, n in zip((prompt, response), letters, strict=True)
    )
    at = np.arange(prompt.n_texts)
    of_prompt, of_response = asked.argmax(axis=0), said.argmax(axis=0)
    own, foreign = said[of_response, at], asked[of_prompt, at]
    prose = (own >= 0.2) & (own * letters[1] >= 3)
    both_latin = (
        (of_prompt != of_response)
        & prose
        & (foreign >= 0.2)
        & (foreign * letters[0] >= 2)
        & (said[of_prompt, at] <= 0.5 * own)
        & (asked[of_response, at] <= 0.5 * foreign)
    )
    latin = [(by_script[side] < 0) & (letters[side] >= 3) for side in (0, 1)]
    unseen = scripts[0][np.maximum(by_script[1], 0), at] == 0
    to_other_script = (by_script[1] >= 0) & (by_script[0] != by_script[1]) & unseen
    from_other_script = (by_script[0] >= 0) & latin[1] & prose
    return np.where(latin[0] & latin[1], both_latin, to_other_script | from_other_script).astype(np.float64)


def _main_script(counts: Values, letters: Values) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Number the script of most of a text's words, -1 where that is Latin or none."""
    return np.where(counts.max(axis=0) > 0.5 * np.maximum(letters, 1.0), counts.argmax(axis=0), -1)


def _stems(text: Words) -> pl.DataFrame:
    """Give each text's distinct words of content, cut to their first letters: ``row, key``."""
    content = text.is_word & ~text.among(COMMON_WORDS) & text.like(r"^(?:\w{3,}|\d+|[^\x00-\x{24f}])")
    stem = pl.col("word").str.slice(0, _STEM).alias("key")
    return text.tokens.filter(pl.Series(content)).select("row", stem).unique()


def _evidence(bad: Values, of: Values, *, rates: tuple[float, float], most: float) -> Values:
    """Log likelihood ratio of so many bad ones: their rates are those of sound texts and of shuffled ones."""
    sound, shuffled = rates
    bad = np.minimum(bad, of)
    ratio = bad * np.log(shuffled / sound) + (of - bad) * np.log((1.0 - shuffled) / (1.0 - sound))
    return np.clip(ratio, -most, most)


def _log_negative_binomial(count: Values, mean: Values, shape: float) -> Values:
    kept = shape / (shape + mean)
    ways = gammaln(count + shape) - gammaln(shape) - gammaln(count + 1.0)
    return np.asarray(ways + xlogy(shape, kept) + xlog1py(count, -kept))


def _posterior(evidence: Values) -> Values:
    """Turn evidence for a defect into a signal: by how much it raises the probability, 0 where it does not.

    A long text has room for evidence of its soundness and a short one has not; it must not lose by that.
    """
    return np.maximum(0.0, (expit(_PRIOR + evidence) - expit(_PRIOR)) / (1.0 - expit(_PRIOR)))


def _per_text(counted: pl.DataFrame, n_texts: int) -> Values:
    """Lay out ``row, value`` over all texts, 0 where a text has none."""
    values = np.zeros(n_texts)
    values[counted["row"].to_numpy()] = counted["value"].to_numpy()
    return values


def _sizes(sets: pl.DataFrame, n_texts: int) -> Values:
    return np.bincount(sets["row"].to_numpy(), minlength=n_texts).astype(np.float64)


def _share(part: Values, whole: Values) -> Values:
    return part / np.maximum(whole, 1.0)


def _ramp(value: Values, low: float, high: float) -> Values:
    """0 up to `low`, 1 from `high` on, straight in between."""
    return np.clip((value - low) / (high - low), 0.0, 1.0)
