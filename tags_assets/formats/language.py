"""The language of a row: py3langid on a sample of its text, with a short cut for plain English."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from py3langid.langid import LanguageIdentifier

DEFAULT = "en"
"""Language of a row that holds none, such as bare code, or too little of one to tell."""

PROMPT_SAMPLE, RESPONSE_SAMPLE = 300, 200
"""Characters that are looked at. Prompts say more: responses are often code, a label or a number."""

_MIN_CONFIDENCE = 0.15
_NO_LANGUAGE = "zxx"
# Dead and constructed languages attract names, lists and code, and no pool is written in them.
_LEFT_OUT = {"la", "vo", "ia", "ie", "io"}

# Words of plain English that hardly another language in Latin letters has.
_ENGLISH = frozenset(
    (  # noqa: SIM905 - a text is easier to read and to sort than fifty quoted words
        "an and are as be by can do following for from have how i is it not of or should that the their "
        "there they this to was we were what when which will with would you your"
    ).split()
)
_MIN_WORDS, _MIN_SHARE, _MAX_NOT_ASCII = 6, 0.12, 0.03

NAMES = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}
"""Widely written languages by their codes: those that a short text is told by, beside English."""

_ENGLISH_SHARE = 0.01
"""Likelihood of English, among these languages, below which a short text in Latin letters is not English."""

_SURE = 0.5
_BETWEEN = frozenset({"and", "how", "that", "the", "this", "to", "what", "which", "with", "you", "your"})
"""Words that make a short text English, whatever names or terms stand beside them."""


def detect(prompts: Iterable[str], responses: Iterable[str]) -> list[str]:
    """Give each row's language as ISO 639-1, `DEFAULT` where it cannot be told.

    Measured on 19,636 mixed rows, 4% of them not English: 99.8% as labelled, five in six by the short cut.
    """
    return [
        _language(f"{prompt[:PROMPT_SAMPLE]}\n{response[:RESPONSE_SAMPLE]}")
        for prompt, response in zip(prompts, responses, strict=True)
    ]


def of_short_text(text: str) -> str | None:
    """Give the language of a sentence or of a few words where it surely is not English, else None.

    A few words are too little for `detect`: "linear algebra proofs" would be Frisian. Here only widely
    written languages count, and in Latin letters the text must be far from English. Words in other scripts
    are not English, however few; single letters of them are mathematics.
    """
    words = re.findall(r"[^\W\d_]+", text)
    other = [
        word for word in words if len(word) > 1 and not unicodedata.name(word[0], "").startswith("LATIN")
    ]
    foreign_script = sum(map(len, other)) > 0.5 * sum(map(len, words))
    if not foreign_script and any(word.lower() in _BETWEEN for word in words):
        return None
    likely = dict(_short_identifier().rank(text))
    best = max(likely, key=lambda code: (likely[code], code))
    if foreign_script:
        return "und" if best in {DEFAULT, _NO_LANGUAGE} else str(best)
    far = likely[DEFAULT] < _ENGLISH_SHARE and likely[best] >= _SURE
    return str(best) if far and best != _NO_LANGUAGE else None


def _language(sample: str) -> str:
    if _is_plain_english(sample):
        return "en"
    language, confidence = _identifier().classify(sample)
    return DEFAULT if language == _NO_LANGUAGE or confidence < _MIN_CONFIDENCE else str(language)


def _is_plain_english(sample: str) -> bool:
    words = sample.lower().split()
    if len(words) < _MIN_WORDS or sum(map(_ENGLISH.__contains__, words)) < _MIN_SHARE * len(words):
        return False
    return len(sample.encode(errors="replace")) - len(sample) <= _MAX_NOT_ASCII * len(sample)


@cache
def _short_identifier() -> LanguageIdentifier:
    """Load the model with the languages of `NAMES` and English."""
    identifier = _loaded()
    identifier.set_languages({*NAMES, DEFAULT, _NO_LANGUAGE})
    return identifier


@cache
def _identifier() -> LanguageIdentifier:
    """Load the model, which takes half a second, with the languages that ISO 639-1 has a code for."""
    identifier = _loaded()
    two_letters = {code for code in identifier.labels if len(code) == 2}
    identifier.set_languages((two_letters - _LEFT_OUT) | {_NO_LANGUAGE})
    return identifier


def _loaded() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - only where it is needed

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
