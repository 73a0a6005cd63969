"""What the text of a row alone says against it: defects that need neither a model nor the other rows."""

from __future__ import annotations

import zlib

import numpy as np
import polars as pl

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
    "off_language",
)
"""Names of the signals, each in [0, 1]: 0 = no trace of the defect, 1 = certain."""

TEXT_SIGNAL_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    **{name: pl.Float64() for name in SIGNALS},
}
"""Columns of what `text_signals` returns, one row per instance."""

_NULL_ANSWER = r"^\W*(?:n/?a|null|none|nan|undefined|no ?output|no ?answer|todo|tbd|\.+|-+)\W*$"
_REFUSAL = (
    r"(?i)^\W*(?:i(?:'|’)?m (?:very |really )?sorry|sorry,|i apologi[sz]e|unfortunately,? i (?:can|am)|"
    r"as an ai\b|i(?: am|'m|’m) (?:just )?an ai\b|i (?:can ?not|can(?:'|’)t|am unable to|am not able to|won(?:'|’)t) "
    r"(?:help|assist|provide|answer|comply|fulfil|create|generate|access|do that))"
)
_TRANSLATION = r"(?i)\btranslat|\btraduc|\bübersetz|\bin (?:french|german|spanish|italian|chinese|japanese|russian|portuguese|arabic|korean|hindi|english)\b"
_ENDS_WELL = r"[.!?…。！？।؟\"'”’»)\]}>`*_|;:0-9$%°/=]\s*$|\b(?:https?://\S+)$"
_ENDS_BADLY = r"(?i)(?:,|\b(?:and|or|but|the|a|an|of|to|in|with|for|that|which|is|are|was|as|by|from|at|on|if|because|than|this|it))\s*$"

_SCRIPTS = {
    "cyrillic": r"\p{Cyrillic}",
    "han": r"[\p{Han}\p{Hiragana}\p{Katakana}]",
    "hangul": r"\p{Hangul}",
    "arabic": r"\p{Arabic}",
    "devanagari": r"\p{Devanagari}",
    "thai": r"\p{Thai}",
    "greek": r"\p{Greek}",
    "hebrew": r"\p{Hebrew}",
}
_WORDS = {
    "en": "the|of|and|to|is|that|it|with|for|are|was|this|be|you|which|what|how",
    "de": "der|die|das|und|ist|nicht|ein|eine|mit|für|auf|sich|den|von|zu|wie|wird",
    "fr": "le|la|les|des|et|est|une|dans|pour|que|qui|pas|sur|avec|du|au|vous",
    "es": "el|los|las|una|que|por|para|con|es|del|se|como|más|su|qué|está",
    "it": "il|di|che|è|una|per|con|non|sono|della|gli|nel|più|anche|questo",
    "pt": "os|uma|que|não|com|para|por|dos|são|mais|como|você|em|da|do",
    "nl": "het|een|van|en|niet|dat|zijn|met|voor|op|aan|ook|wordt|deze",
    "fi": "on|ja|ei|se|että|oli|ovat|mutta|kun|myös|joka|hän",
}  # fmt: skip


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
        either text, and at the last hundred of the response.

    Notes
    -----
    All rules are this project's own. They are after defects that training suffers from (Zhou et al., LIMA,
    2023; Chen et al., AlpaGasus, 2023 name them), in ways that cost microseconds.
    """
    cut = rows.select(
        "instance_id",
        pl.col("prompt").fill_null("").str.slice(0, CHARS_READ).alias("prompt"),
        pl.col("response").fill_null("").str.slice(0, CHARS_READ).alias("response"),
        pl.col("response").fill_null("").str.tail(100).str.strip_chars().alias("end"),
    )
    return cut.select(
        "instance_id",
        _empty().alias("empty"),
        _degenerate().alias("degenerate"),
        _refused().alias("refused"),
        _truncated().alias("truncated"),
        pl.Series("repetitive", _repetitive(cut["response"]), dtype=pl.Float64),
        _disordered().alias("disordered"),
        _prompt_copied().alias("prompt_copied"),
        pl.Series("off_language", _off_language(cut), dtype=pl.Float64),
    ).cast(TEXT_SIGNAL_SCHEMA)  # type: ignore[arg-type]


def _length(name: str = "response") -> pl.Expr:
    return pl.col(name).str.len_chars()


def _ramp(value: pl.Expr, low: float, high: float) -> pl.Expr:
    """0 up to `low`, 1 from `high` on, straight in between."""
    return ((value - low) / (high - low)).clip(0.0, 1.0)


def _empty() -> pl.Expr:
    return (pl.col("response").str.count_matches(r"[\p{L}\p{N}]") == 0).cast(pl.Float64)


def _degenerate() -> pl.Expr:
    null = pl.col("response").str.to_lowercase().str.contains(_NULL_ANSWER)
    wordless = 1 - pl.col("response").str.count_matches(r"[\p{L}\p{M}\p{N}\s]") / _length().clip(1)
    # Code and formulas are a third punctuation; noise is more.
    return pl.when(null).then(1.0).otherwise(_ramp(wordless, 0.45, 0.75) * _ramp(_length(), 10, 40))


def _refused() -> pl.Expr:
    refusal = pl.col("response").str.contains(_REFUSAL)
    # A long answer that begins with an apology mostly goes on to answer.
    return pl.when(refusal).then(1.0 - 0.7 * _ramp(_length(), 300, 1500)).otherwise(0.0)


def _truncated() -> pl.Expr:
    badly = pl.col("end").str.contains(_ENDS_BADLY)
    well = pl.col("end").str.contains(_ENDS_WELL)
    fence = pl.col("response").str.count_matches("```") % 2 == 1
    prose = pl.col("response").str.count_matches(r"[.!?。！？]\s") >= 2  # noqa: RUF001 - full stops of Chinese
    long = _ramp(_length(), 40, 200)
    return (
        pl.when(fence & (_length() < CHARS_READ))
        .then(1.0)
        .when(badly)
        .then(long)
        .when(prose & ~well)
        .then(0.7 * long)
        .otherwise(0.0)
    )


def _repetitive(responses: pl.Series) -> list[float]:
    # How far a text can be packed says how much of it is said again; prose packs 2 to 1, a loop 20 to 1.
    encoded = (text.encode("utf-8", "replace") for text in responses)
    ratios = [len(data) / len(zlib.compress(data, 1)) if len(data) > 120 else 1.0 for data in encoded]
    packed: list[float] = np.clip((np.array(ratios) - 4.0) / 6.0, 0.0, 1.0).tolist()
    return packed


def _disordered() -> pl.Expr:
    # Words in no order put sentence ends before lower-case words, and capitals in the middle.
    ends = pl.col("response").str.count_matches(r"\p{Ll}[.!?]\s+\S")
    lower = pl.col("response").str.count_matches(r"\p{Ll}{2}[.!?]\s+\p{Ll}")
    return pl.when(ends >= 2).then(_ramp(lower / ends.clip(1), 0.25, 0.6)).otherwise(0.0)


def _prompt_copied() -> pl.Expr:
    def plain(name: str) -> pl.Expr:
        return pl.col(name).str.to_lowercase().str.replace_all(r"\W+", " ").str.strip_chars()

    prompt, response = plain("prompt"), plain("response")
    whole = response.str.contains(prompt, literal=True) & (prompt.str.len_chars() >= 20)
    within = prompt.str.contains(response, literal=True) & (response.str.len_chars() >= 60)
    share = prompt.str.len_chars() / response.str.len_chars().clip(1)
    return pl.when(whole).then(_ramp(share, 0.3, 0.9)).when(within).then(0.8).otherwise(0.0)


def _off_language(rows: pl.DataFrame) -> list[float]:
    """1 where prompt and response are surely of different languages and nobody asked for a translation."""

    def counts(name: str) -> pl.DataFrame:
        text = pl.col(name).str.slice(0, 1500).str.to_lowercase()
        scripts = [text.str.count_matches(pattern).alias(key) for key, pattern in _SCRIPTS.items()]
        words = [text.str.count_matches(rf"\b(?:{some})\b").alias(key) for key, some in _WORDS.items()]
        letters = text.str.count_matches(r"\p{L}").alias("letters")
        return rows.select(*scripts, *words, letters)

    prompt, response = _language(counts("prompt")), _language(counts("response"))
    asked = rows["prompt"].str.contains(_TRANSLATION).to_numpy()
    differ = (prompt >= 0) & (response >= 0) & (prompt != response) & ~asked
    found: list[float] = differ.astype(np.float64).tolist()
    return found


def _language(counts: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Number the language of each text, -1 where it is not clear."""
    letters = counts["letters"].to_numpy()
    script = counts.select(*_SCRIPTS).to_numpy()
    words = counts.select(*_WORDS).to_numpy()
    by_script = np.where(script.max(axis=1) > 0.5 * np.maximum(letters, 10), script.argmax(axis=1), -1)
    ordered = np.sort(words, axis=1)
    clear = (ordered[:, -1] >= 4) & (ordered[:, -1] >= 2 * ordered[:, -2])
    by_words = np.where(clear, len(_SCRIPTS) + words.argmax(axis=1), -1)
    return np.where(by_script >= 0, by_script, by_words)
