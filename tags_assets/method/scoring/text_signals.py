"""What the text of a row alone says against it: defects that need neither a model nor the other rows."""

from __future__ import annotations

import numpy as np
import polars as pl

from tags_assets.method.scoring.word_signals import (
    disordered,
    incoherent,
    languages_differ,
    prompt_copied,
    repetitive,
    unfinished,
)
from tags_assets.method.scoring.words import Words

TEXT_SIGNALS_VERSION = "text-signals-2"
"""Raised whenever a signal says something else of equal texts: what is kept by content is kept under it."""

CHARS_READ = 6000
"""Characters of a prompt or response that are looked at; a row of a megabyte must not cost a megabyte."""

SIGNALS = (
    "empty",
    "degenerate",
    "refused",
    "truncated",
    "repetitive",
    "disordered",
    "prompt_copied",
    "incoherent",
    "off_language",
)
"""Names of the signals, each in [0, 1]: 0 = no trace of the defect, 1 = certain."""

TEXT_SIGNAL_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    **{name: pl.Float64() for name in SIGNALS},
}
"""Columns of what `text_signals` returns, one row per instance."""

BLOCK_ROWS = 5_000
"""Rows whose words are in memory at once."""

_TRACE = r"(?s)<think>.*?(?:</think>|\z)"
_NULL_ANSWER = r"^\W*(?:n/?a|null|none|nan|undefined|no ?output|no ?answer|todo|tbd|\.+|-+)\W*$"
_REFUSAL = (
    r"(?i)^\W*(?:i(?:['\u2019]?m| am) (?:very |really |truly )?sorry|sorry,|i apologi[sz]e|"
    r"unfortunately,? (?:i (?:can|am|do)|as an)|as an ai\b|as a (?:large )?language model|"
    r"i(?: am|['\u2019]m) (?:just |only )?an ai\b|"
    r"i (?:can ?not|can['\u2019]t|am unable to|am not able to|won['\u2019]t|will not) "
    r"(?:help|assist|provide|answer|comply|fulfil|create|generate|access|write|do that))"
)
_TRANSLATION = (
    r"(?i)translat|traduc|tradui|\u00fcbersetz|vertaal|t\u0142umacz|\u043f\u0435\u0440\u0435\u0432|"
    r"\u7ffb\u8bd1|\u7ffb\u8b6f|\u7ffb\u8a33|\ubc88\uc5ed|\u0e41\u0e1b\u0e25|\u062a\u0631\u062c\u0645|"
    r"\b(?:english|french|german|spanish|italian|chinese|mandarin|japanese|russian|portuguese|arabic|korean|"
    r"hindi|thai|latin|dutch|greek|hebrew|polish|turkish|ukrainian|ingl[e\u00e9]s|franc[e\u00e9]s|alem[a\u00e1]n|chino|"
    r"anglais|allemand|espagnol|englisch|franz\u00f6sisch|spanisch)\b|"
    r"\u82f1\u8bed|\u82f1\u6587|\u4e2d\u6587|\u6cd5\u8bed|\u65e5\u8bed|\u897f\u73ed\u7259|\u0430\u043d\u0433\u043b\u0438\u0439\u0441\u043a"
)
_ENDS_IN_WORD = r"[\p{L}\p{M}]$"
_ENDS_IN_NAME = r"(?:[#@]\w+|https?://\S+|\breturn \w+)$"
_ENDS_BADLY = (
    r"(?:,|\b(?:and|or|but|the|a|an|of|to|in|with|for|that|which|is|are|was|were|as|by|from|at|if|because|"
    r"than|your|their|its|can|will|our|has|have|de|la|el|que|en|los|las|un|una|por|der|die|das|und|ein|eine|"
    r"mit|le|les|des|et|du|il|di|che|os|em|het|een|och|att|\u0438|\u0432|\u043d\u0430))$"
)


def text_signals(rows: pl.DataFrame) -> pl.DataFrame:
    """Look for defects in each row by itself.

    Parameters
    ----------
    rows
        ``instance_id, prompt, response``; null reads as empty.

    Returns
    -------
    pl.DataFrame
        ``TEXT_SIGNAL_SCHEMA``, rows in their order. A signal looks at the first `CHARS_READ` characters of
        either text, and at the last hundred of the response. A trace of reasoning (``<think>``) is no part of
        the answer: it may be long and repeat itself, but it has to end, and an answer has to follow.

    Notes
    -----
    All rules are this project's own. They are after defects that training suffers from (Zhou et al., LIMA,
    2023; Chen et al., AlpaGasus, 2023 name them), in ways that cost microseconds.
    """
    blocks = [_signals(block) for block in rows.iter_slices(BLOCK_ROWS)]
    return pl.concat([pl.DataFrame(schema=TEXT_SIGNAL_SCHEMA), *blocks])


def _signals(rows: pl.DataFrame) -> pl.DataFrame:
    thinks = pl.col("response").str.contains("<think>", literal=True)
    answer = pl.col("response").str.replace_all(_TRACE, "")
    opened = pl.col("response").str.count_matches("<think>", literal=True)
    closed = pl.col("response").str.count_matches("</think>", literal=True)
    rows = rows.select(
        "instance_id",
        "prompt",
        pl.when(thinks).then(answer).otherwise("response").alias("response"),
        (opened > closed).fill_null(value=False).alias("trace_is_open"),
    )
    cut = rows.select(
        "instance_id",
        "trace_is_open",
        pl.col("prompt").fill_null("").str.slice(0, CHARS_READ).alias("prompt"),
        pl.col("response").fill_null("").str.slice(0, CHARS_READ).alias("response"),
        pl.col("response").fill_null("").str.len_chars().gt(CHARS_READ).alias("is_cut"),
        pl.col("response").fill_null("").str.tail(400).str.strip_chars_end().alias("end"),
    )
    prompt, response = Words.of(cut["prompt"]), Words.of(cut["response"])
    differ = languages_differ(prompt, response)
    asked = cut["prompt"].str.contains(_TRANSLATION).to_numpy()
    return (
        cut.with_columns(unfinished=unfinished(response))
        .select(
            "instance_id",
            _empty().alias("empty"),
            _degenerate().alias("degenerate"),
            _refused().alias("refused"),
            _truncated().alias("truncated"),
            pl.Series("repetitive", repetitive(response)),
            pl.Series("disordered", disordered(response)),
            pl.Series("prompt_copied", prompt_copied(prompt, response)),
            # What is to be translated shares no word with its translation.
            pl.Series("incoherent", np.where(asked, 0.0, incoherent(prompt, response))),
            pl.Series("off_language", np.where(asked, 0.0, differ)),
        )
        .cast(TEXT_SIGNAL_SCHEMA)  # type: ignore[arg-type]
    )


def _length(name: str = "response") -> pl.Expr:
    return pl.col(name).str.len_chars().cast(pl.Float64)


def _ramp(value: pl.Expr, low: float, high: float) -> pl.Expr:
    """0 up to `low`, 1 from `high` on, straight in between."""
    return ((value - low) / (high - low)).clip(0.0, 1.0)


def _empty() -> pl.Expr:
    return (~pl.col("response").str.contains(r"[^\s\p{C}\p{Z}]")).cast(pl.Float64)


def _degenerate() -> pl.Expr:
    answer = pl.col("response").str.to_lowercase().str.strip_chars()
    # "None" answers a question that offers it.
    asked = pl.col("prompt").str.to_lowercase().str.contains(answer, literal=True)
    asked &= answer.str.contains(r"^\w+$")
    null = (answer.str.contains(_NULL_ANSWER) & ~asked) | answer.str.contains(r"^[\p{P}\s]+$")
    wordless = 1 - pl.col("response").str.count_matches(r"[\p{L}\p{M}\p{N}\s]") / _length().clip(1)
    # Code and formulas are a third punctuation, a regular expression more than half; noise is more.
    return pl.when(null).then(1.0).otherwise(_ramp(wordless, 0.6, 0.85) * _ramp(_length(), 10, 40))


def _refused() -> pl.Expr:
    refusal = pl.col("response").str.contains(_REFUSAL)
    # A long answer that begins with an apology mostly goes on to answer.
    return pl.when(refusal).then(1.0 - 0.7 * _ramp(_length(), 300, 1500)).otherwise(0.0)


def _truncated() -> pl.Expr:
    whole = ~pl.col("is_cut")
    fence = (pl.col("response").str.count_matches("```") % 2 == 1) & whole
    # The last line holds a sentence's end, and the text ends in the middle of another.
    line = pl.col("end").str.extract(r"([^\n]*)$", 1)
    amid = line.str.contains(r"\p{L}{2}[.!?]\s|[\u3002\uff01\uff1f]")
    words = pl.col("response").str.count_matches(r"\s") >= 5
    return (
        pl.when(
            pl.col("trace_is_open")
            | fence
            | (pl.col("unfinished") & whole)
            | pl.col("end").str.contains(_ENDS_BADLY)
        )
        .then(1.0)
        .when(~pl.col("end").str.contains(_ENDS_IN_WORD) | pl.col("end").str.contains(_ENDS_IN_NAME))
        .then(0.0)
        .when(amid)
        .then(0.7)
        # Labels, names and lists need no full stop.
        .when(words)
        .then(0.1)
        .otherwise(0.0)
    )
