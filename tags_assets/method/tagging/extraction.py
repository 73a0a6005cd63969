"""Candidate phrases of one row: a pure function of its text, so that they can be cached by content."""

from __future__ import annotations

import re
from bisect import bisect
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from zlib import crc32

import orjson

from tags_assets.method.tagging.code import code_concepts
from tags_assets.method.tagging.passages import (
    PROMPT_CHARS,
    RESPONSE_CHARS,
    TAIL_CHARS,
    bounded,
    prose,
)
from tags_assets.method.tagging.runs import phrase_runs, script_of
from tags_assets.method.text.number import singular
from tags_assets.method.text.stoplist import (
    FIRST_NAMES,
    GENERIC_MODIFIERS,
    PROGRAM_NOUNS,
    PROGRAMMING_LANGUAGES,
    TASK_GERUNDS,
    TASK_VERBS,
    import_quietly,
    stop_words,
)
from tags_assets.models.packaged import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spacy.language import Language
    from spacy.tokens import Doc

EXTRACTION_VERSION = "3"
"""Part of every cache key and fingerprint: change it when the same text would give other candidates."""

MAX_WORDS = 4
"""Longest phrase; of a longer one the last words are kept, which hold its head."""

MAX_CHARS = 60
"""Longest phrase in characters."""

MAX_CANDIDATES = 40
"""Candidates kept of a row, the first ones: the ranking keeps eight at most."""


class Row(NamedTuple):
    """What the tagger reads of a row; see `bounded_row`."""

    prompt: str
    response: str
    language: str | None


class Candidate(NamedTuple):
    """A phrase that a row holds.

    ``times`` is how often, ``first`` the order of its first mention (0 = first), ``in_prompt`` whether the
    prompt holds it, and ``sentence`` the CRC-32 of the sentence of its first mention: one that stands in many
    rows is a template's.
    """

    phrase: str
    times: int
    first: int
    in_prompt: bool
    sentence: int


# The grammar is a regular expression over one letter per token: N noun, P proper noun, J adjective,
# G -ing form, E -ed form, C number, H hyphen, S possessive, x anything else.
_LETTER = {
    "NN": "N", "NNS": "N", "NNP": "P", "NNPS": "P", "JJ": "J", "JJR": "J", "JJS": "J", "VBG": "G", "VBN": "E",
    "CD": "C", "HYPH": "H", "POS": "S", "AFX": "J", "FW": "N",
}  # fmt: skip
_WORD = "[JNPE](?:H[JNPGEC])*"
_PHRASE = re.compile(
    # "two-factor ...", "learning rate", then modifiers and nouns, "type 2 diabetes", "Newton's law" ...
    f"(?:CH[JNPGE]|G(?:H[JNPGEC])*(?=[NP]))?(?:[NP]C(?=[NP])|{_WORD}|(?<=[NP])S)*"
    # ... and its head: a noun, "k-means", "Python 3".
    "[NP](?:H[NPEGJ])*(?:(?<=P)C(?!H))?"
)
_SENTENCE_END = frozenset(".!?;:|")
_SYMBOLS = frozenset("nxyzijm")
_ORDINAL = re.compile(r"^(?:nth|\d+(?:st|nd|rd|th))$")
_Mention: TypeAlias = tuple[str, int]  # a phrase, and its sentence's checksum
_LATIN_LANGUAGES = ("en", "es", "fr", "de", "it", "pt", "nl", "ca", "vi")
_EDGE = " \t\n.,;:!?\"'`*()[]{}<>|-~^=&%#@\\/_\u2013\u2014\u2026\u2018\u2019\u201c\u201d\u00ab\u00bb\u2022"
_PLAIN = re.compile(r"^(?=.*[a-z]{2})[a-z0-9][a-z0-9 .+#&'/-]*$")


@lru_cache(maxsize=1)
def tagger() -> Language:
    """Load spaCy's small English model, cut down to what tells nouns from verbs; once a process."""
    # By its path: the package's own code never runs.
    spacy = import_quietly("spacy")
    unused = ["parser", "ner", "lemmatizer", "senter", "attribute_ruler"]
    nlp: Language = spacy.load(ENGLISH.verified(), exclude=unused)
    return nlp


def bounded_row(prompt: str | None, response: str | None, language: str | None) -> Row:
    """Take of a row what the tagger reads, so that a row of a megabyte costs no more than another."""
    return Row(
        bounded(prompt or "", PROMPT_CHARS, tail=TAIL_CHARS),
        bounded(response or "", RESPONSE_CHARS),
        language,
    )


def extract(rows: Sequence[Row]) -> list[list[Candidate]]:
    """Find the candidate phrases of bounded rows, in order."""
    parts = [(prose(row.prompt), prose(row.response)) for row in rows]
    routes = [_route("\n".join(part), row.language) for part, row in zip(parts, rows, strict=True)]
    english = [i for i, route in enumerate(routes) if route == "en"]
    mentions: list[tuple[list[_Mention], list[_Mention]]] = [
        ([], []) if route == "en" else (_runs(prompt, route), _runs(response, route))
        for (prompt, response), route in zip(parts, routes, strict=True)
    ]
    if english:
        nlp = tagger()
        # In a memory zone the model forgets the words of a batch again: memory does not grow with the rows.
        with nlp.memory_zone():
            docs = nlp.pipe((text for i in english for text in parts[i]), batch_size=64)
            found = [_noun_phrases(doc) for doc in docs]
        for at, i in enumerate(english):
            mentions[i] = (found[2 * at], found[2 * at + 1])
    return [
        _candidates(prompt, response, code_concepts(f"{row.prompt}\n{row.response}"))
        for row, (prompt, response) in zip(rows, mentions, strict=True)
    ]


def _route(text: str, language: str | None) -> str:
    """Say how a text is read: as English, or by the runs of another language.

    The language that was detected is trusted unless the script or the small words say otherwise: short
    English instructions are often taken for another language.
    """
    script = script_of(text)
    if script != "latin":
        return script
    words = re.findall(r"[^\W\d_]+", text[:600].casefold())
    known = {(language or "en").lower(): 0, "en": 0} if language else dict.fromkeys(_LATIN_LANGUAGES, 0)
    small = {code: sum(word in stop_words(code) for word in words) for code in known}
    # Ties go to English, where little is said.
    return max(small, key=lambda code: (small[code], code == "en"))


def _runs(text: str, route: str) -> list[_Mention]:
    return [(run, crc32(line.encode())) for line in text.splitlines() for run in phrase_runs(line, route)]


def _noun_phrases(doc: Doc) -> list[_Mention]:
    """Find the noun phrases of a tagged text by the grammar, cleaned, heads in the singular."""
    tags = [t.tag_ for t in doc]
    words = [t.lower_ for t in doc]
    spaces = [bool(t.whitespace_) for t in doc]
    letters = "".join([_LETTER.get(tag, "x") for tag in tags])
    ends = [i for i, word in enumerate(words) if word in _SENTENCE_END or word.isspace()] + [len(words)]
    mentions: list[_Mention] = []
    for match in _PHRASE.finditer(letters):
        start, end = match.span()
        # A sentence ends between two tokens at most; what the grammar joined lies within one.
        sentence = bisect(ends, start)
        if words[start] in TASK_VERBS and start == (ends[sentence - 1] + 1 if sentence else 0):
            start += 1
        if start == end:
            continue
        start = _behind_owner(words, letters, start, end)
        while (
            start < end - 1 and letters[start + 1] not in "HS" and _says_nothing(words[start], letters[start])
        ):
            start += 1
        while end - start > MAX_WORDS and letters[start + 1] not in "HS":
            start += 1
        head = end - 1
        while head > start and (
            words[head].strip(_EDGE) in _SYMBOLS
            or (words[head] in PROGRAM_NOUNS and words[head - 1] in PROGRAMMING_LANGUAGES)
        ):
            head -= 1
        if tags[head] == "NNS" or (tags[head] == "NNPS" and head > start):
            words[head] = singular(words[head])
        pieces = zip(words[start : head + 1], spaces[start : head + 1], strict=True)
        text = "".join([word + " " if space else word for word, space in pieces]).strip(_EDGE)
        if _PLAIN.match(text) and len(text) <= MAX_CHARS:
            first = ends[sentence - 1] + 1 if sentence else 0
            mentions.append((text, crc32(" ".join(words[first : ends[sentence]]).encode())))
    return mentions


def _behind_owner(words: list[str], letters: str, start: int, end: int) -> int:
    """Say where the thing owned begins: a "person's kidney" is a kidney, but "Newton's law" is a law."""
    mark = letters.rfind("S", start, end)
    named = mark > start and letters[mark - 1] == "P" and words[mark - 1] not in FIRST_NAMES
    return start if mark < 0 or named else mark + 1


def _says_nothing(word: str, letter: str) -> bool:
    return (
        word in GENERIC_MODIFIERS
        or len(word) < 2
        or (letter == "G" and word in TASK_GERUNDS)
        or bool(_ORDINAL.match(word))
    )


def _candidates(
    prompt: Sequence[_Mention], response: Sequence[_Mention], code: Sequence[str]
) -> list[Candidate]:
    counts: dict[str, int] = {}
    sentences: dict[str, int] = {}
    for phrase, sentence in (*((name, 0) for name in code), *prompt, *response):
        counts[phrase] = counts.get(phrase, 0) + 1
        sentences.setdefault(phrase, sentence)
    in_prompt = {phrase for phrase, _ in prompt} | set(code)
    first = list(counts)[:MAX_CANDIDATES]
    return [Candidate(p, counts[p], i, p in in_prompt, sentences[p]) for i, p in enumerate(first)]


def encode(candidates: Sequence[Candidate]) -> bytes:
    """Write a row's candidates as JSON: what a cache holds."""
    return orjson.dumps([c._asdict() for c in candidates])
