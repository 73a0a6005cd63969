"""Signals that count the words of a row: loops, disorder, copies, answers that belong elsewhere.

The constants were fitted on 3,000 rows of public instruction data and corrupted twins of them, other rows
than those on which `benchmarks/quality_twins.py` measures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.method.scoring.function_words import (
    ABBREVIATIONS,
    COMMON_WORDS,
    FUNCTION_WORDS,
    NEVER_TOGETHER,
    SCRIPTS,
    SENTENCE_OPENERS,
)

if TYPE_CHECKING:
    from tags_assets.method.scoring.words import Flags, Values, Words

_PRIOR = -4.0
"""Log odds of a defect before the text is looked at: about one row in fifty."""

_STEM = 5
"""Letters of a word that are compared: enough to tell words apart, few enough to join their endings."""

_SHARED_IF_OWN, _SHARED_IF_FOREIGN = (0.52, 0.93, 0.11, 30.0), (0.0061, 0.87, 0.58, 0.8)
"""Words that an answer shares with its own prompt, or another's: a, b, c and k of `incoherent`."""

_MOST_WORDS = 200.0
"""Words of the longer text beyond which more make no difference."""


def repetitive(response: Words) -> Values:
    """Say how much of the response is said again: the share of runs of four words that came before."""
    # Grids and boards of digits and single letters are patterns by nature.
    runs = response.runs(4, begins=response.like(r"^(?:\p{L}{2}|[^\x00-\x{24f}])"))
    again = runs.group_by("row").agg(value=1.0 - pl.col("key").n_unique() / pl.len())
    return _ramp(_per_text(again, response.n_texts), 0.15, 0.45)


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
        broken |= found & response.next(response.among(after) & lower)
    openers = response.like(r"^\p{Lu}\p{Ll}+$") & response.among(SENTENCE_OPENERS)
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
    """Say whether the response belongs to another prompt: it shares fewer words than answers do.

    With p <= r distinct words of content in prompt and response, or the other way round, the number of words
    shared is taken for negative binomial of mean a p^b r^c and shape k, once where the answer is the prompt's
    own and once where it is another's. Short answers, which share nothing for want of words, are hardly
    doubted.
    """
    n = prompt.n_texts
    asked, said = _stems(prompt), _stems(response)
    shared = _sizes(asked.join(said, on=["row", "key"], how="semi"), n)
    p, r = _sizes(asked, n), _sizes(said, n)
    less, more = np.maximum(np.minimum(p, r), 1.0), np.clip(np.maximum(p, r), 1.0, _MOST_WORDS)
    own, foreign = (
        _log_negative_binomial(shared, a * less**b * more**c, k)
        for a, b, c, k in (_SHARED_IF_OWN, _SHARED_IF_FOREIGN)
    )
    return np.where((p > 0) & (r > 0), _posterior(foreign - own), 0.0)


def languages_differ(prompt: Words, response: Words) -> Values:
    """Say whether prompt and response are surely of different languages, by script and by function words.

    A language in Latin letters is told by three of its function words that make up an eighth of the text's
    distinct words, and at least twice as many as the other text has of them. An answer in another script
    counts unless the prompt has some of it; one in Latin letters to a prompt in another script must be prose,
    for code is Latin anywhere.
    """
    asked, said = _scripts(prompt), _scripts(response)
    asked_words, said_words = _function_words(prompt), _function_words(response)
    at = np.arange(prompt.n_texts)
    own, other = asked_words.argmax(axis=0), said_words.argmax(axis=0)
    # Shares of distinct words: of the prompt's language in the prompt, in the response; of the response's.
    own_here, own_there = asked_words[own, at], said_words[own, at]
    other_here, other_there = said_words[other, at], asked_words[other, at]
    both_clear = (own_here > 0) & (other_here > 0)
    words_differ = both_clear & (2 * own_there <= own_here) & (2 * other_there <= other_here)
    of_prompt, of_response = asked.argmax(axis=0), said.argmax(axis=0)
    in_latin = of_response == 0
    unseen = asked[of_response, at] < np.where(in_latin, 0.2, 0.02)
    prose = response.count(response.is_word) >= 0.75 * response.count(~response.like(r"\s$"))
    scripts_differ = (of_prompt != of_response) & unseen & (~in_latin | (prose & (other_here > 0)))
    differ = np.where((of_prompt == 0) & in_latin, words_differ, scripts_differ)
    some = (asked.sum(axis=0) > 0) & (said.sum(axis=0) > 0)
    return np.asarray(differ & some, dtype=np.float64)


def _scripts(text: Words) -> Values:
    """Give the share of each script, Latin first, among each text's words: (n_scripts + 1, n_texts)."""
    letters = text.count(text.like(r"^\p{L}"))
    others = [text.count(text.like(f"^{script}")) for script in SCRIPTS.values()]
    latin = text.count(text.like(r"^\p{Latin}"))
    return np.stack([_share(count, letters) for count in (latin, *others)])


def _function_words(text: Words) -> Values:
    """Give the share of each language's function words among each text's distinct words.

    (n_languages, n_texts); 0 where there are fewer than three of them, or too few to tell.
    """
    words = text.distinct()
    size = _sizes(words, text.n_texts)
    known = (words.filter(pl.col("word").is_in(list(some))) for some in FUNCTION_WORDS.values())
    counts = [_sizes(some, text.n_texts) for some in known]
    shares = [np.where((count >= 3) & (count >= size / 8), _share(count, size), 0.0) for count in counts]
    return np.stack(shares)


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
    return np.asarray(np.clip(ratio, -most, most))


def _log_negative_binomial(count: Values, mean: Values, shape: float) -> Values:
    from scipy.special import gammaln  # noqa: PLC0415 - a new target alone looks at no text of the pool

    kept = shape / (shape + mean)
    ways = gammaln(count + shape) - gammaln(shape) - gammaln(count + 1.0)
    return np.asarray(ways + shape * np.log(kept) + count * np.log1p(-kept))


def _posterior(evidence: Values) -> Values:
    """Turn evidence for a defect into a signal: by how much it raises the probability, 0 where it does not.

    A long text has room for evidence of its soundness and a short one has not; it must not lose by that.
    """
    from scipy.special import expit  # noqa: PLC0415 - as above

    prior = expit(_PRIOR)
    return np.asarray(np.clip((expit(_PRIOR + evidence) - prior) / (1.0 - prior), 0.0, 1.0))


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
