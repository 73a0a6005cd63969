"""Candidate phrases of languages that have no tagger here: the runs between stop words."""

from __future__ import annotations

import re

from tags_assets.method.text.stoplist import stop_words

_HAN = re.compile(r"[\u3400-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_HANGUL = re.compile(r"[\uac00-\ud7af]")
_THAI = re.compile(r"[\u0e00-\u0e7f]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_OTHER = re.compile(r"[^\W\d_A-Za-z\u00c0-\u024f]")

_TOKEN = re.compile(r"[^\W\d_][\w'\u2019-]*|[^\w\s]|\d+", re.UNICODE)
_SPLIT_ZH = re.compile(
    r"[^\u3400-\u9fff]+|以及|或者|因为|所以|如果|但是|可以|需要|使用|通过|进行|这个|那个|一个|一些|什么|如何|怎么"
    r"|为什么|我们|你们|他们|它们|这些|那些|没有|非常|请问|以下|下面|根据|关于|对于|提供|给出|描述|解释|写一|列出|例如|比如"
    r"|其中|包括|不同|具有|并且|而且|然后|因此|[的了是在和与或及把被给对从向为于以也都就还又很更最不没有我你他她它这那哪几个些们着过地得]"
    r"|[吗呢吧啊请将让使其之等中上下里外能会要可并但而且由到]"
)
_JAPANESE = re.compile(r"[\u3400-\u9fff々]{2,8}|[\u30a0-\u30ff]{3,12}(?:[\u3400-\u9fff]{1,3})?")


def script_of(text: str) -> str:
    """Name how a text is cut into words: ``latin``, ``zh``, ``ja``, ``ko``, ``th``, else ``other``."""
    n_latin = len(_LATIN.findall(text))
    n_other = len(_OTHER.findall(text))
    # One sign of Chinese says as much as several letters.
    if n_other * 3 <= n_latin:
        return "latin"
    n_kana, n_han = len(_KANA.findall(text)), len(_HAN.findall(text))
    if n_kana * 8 > n_han and n_kana > 0 and n_kana + n_han > n_other // 2:
        return "ja"
    if n_han > n_other // 2:
        return "zh"
    if len(_THAI.findall(text)) > n_other // 2:
        return "th"
    if len(_HANGUL.findall(text)) > n_other // 2:
        return "ko"
    return "other"


def phrase_runs(text: str, language: str) -> list[str]:
    """Find the runs of content words (or signs) between stop words and punctuation."""
    if language == "zh":
        return [run for run in _SPLIT_ZH.split(text) if 2 <= len(run) <= 6]
    if language == "ja":
        return _JAPANESE.findall(text)
    if language == "th":
        return _thai_runs(text)
    # Scripts without a reader here: Cyrillic mostly, and English is quoted everywhere.
    codes = ("ru", "uk", "en") if language == "other" else (language,)
    stops = frozenset().union(*map(stop_words, codes))
    phrases, run = [], []
    for token in [*_TOKEN.findall(text), "."]:
        word = token.casefold()
        if len(word) > 2 and word not in stops and word[0].isalpha():
            run.append(word)
            continue
        if 1 <= len(run) <= 3:
            phrases.append(" ".join(run))
        run = []
    return phrases


def _thai_runs(text: str) -> list[str]:
    """Split Thai, which writes no spaces between words, at its stop words, longest first."""
    stops = sorted((w for w in stop_words("th") if len(w) > 1), key=lambda w: (-len(w), w))
    pattern = (
        re.compile("|".join(map(re.escape, stops)) + r"|[^\u0e00-\u0e7f]+") if stops else re.compile(r"\s+")
    )
    return [run for run in pattern.split(text) if 3 <= len(run) <= 14]
