"""Sentences in a row that speak to the model which reads it: found by rule, so that they can be left out.

The rules look for what such a sentence must do to work: set the instructions aside, take on another's
voice, or name the output that it wants. They will not find all; the judge has further defences (see
``judge.py``).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from tags_assets.llm.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACEHOLDER = "[a sentence addressed to the reader was left out]"

_MAX_SCANNED = 200_000
"""Characters of a turn that are scanned at each end; what lies between is not shown to the model either."""

_MAX_HITS = 200
"""Hits of the rules in one turn that are looked at; a row made of nothing else is known by then."""

_REACH = 600
"""Characters before and after a hit in which its sentence is looked for."""

_OVERRIDE = (
    (
        r"\b(?:ignore|disregard|forget|override|skip|bypass)\b[^.!?\n]{0,40}"
        r"\b(?:previous|prior|above|earlier|preceding|foregoing|your|all|any|the)\b[^.!?\n]{0,30}"
        r"\b(?:instructions?|prompts?|rules?|directions?|guidelines?|task|rubric|of the above|above)\b"
    ),
    (
        r"\b(?:ignora|ignore[zr]?|ignorez|olvida|oublie[zr]?|vergiss|ignoriere?n?|ignorier)\b[^.!?\n]{0,40}"
        r"\b(?:instrucciones|instru[cç][oõ]es|instructions|anweisungen|anleitungen|istruzioni|consignes)\b"
    ),
    r"(?:忽略|无视|無視|忘记|忘れ)[^。！？\n]{0,20}(?:指令|指示|说明|提示|規則|规则)",  # noqa: RUF001
    r"(?:指示|命令|指令)[^。！？\n]{0,12}(?:無視|忽略)",  # noqa: RUF001
    r"(?:игнорируй|игнорируйте|забудь)[^.!?\n]{0,40}(?:инструкци|указани|правил)",
    r"(?:이전|위의)[^.!?\n]{0,20}(?:지시|명령)[^.!?\n]{0,12}(?:무시|잊)",
    r"(?:تجاهل)[^.!?\n]{0,40}(?:التعليمات|الأوامر)",
    r"\bdo not read on\b|\bstop reading here\b",
)

_VOICE = (
    r"(?:^|[.!?])[ \t]{0,20}(?:system|developer) ?(?:prompt|message|override|note) ?:",
    r"</?(?:instance|instructions?|rubric|judge|prompt)>",
    r"\byou are now\b[^.!?\n]{0,60}",
    r"\bnew (?:rule|instructions?|system prompt)\b ?:",
    r"\byour (?:system prompt|hidden instructions|initial instructions)\b",
    (
        r"\b(?:dear|attention|note to|message to|hey),?\s{1,3}(?:the\s{1,3})?"
        r"(?:judge|grader|evaluator|rater|tagger|annotator|ai|llm|model)\b"
    ),
)

_SCALE = (
    r"(?:(?:5(?:\.0)? ?/ ?5|10 ?/ ?10|100 ?/ ?100"
    r"|[0-9.]{1,6}\s{1,3}out\s{1,3}of\s{1,3}(?:5|10|100|five|ten))(?![\d=])"
    r"|(?:five|ten) out of (?:five|ten)|full marks?"
    r"|(?:top|highest|maximum|max|best|perfect)\s{1,3}(?:possible\s{1,3})?(?:score|rating|marks?|grade|quality))"
)

_OUTPUT = (
    (
        r"\b(?:give|assign|award|grant|rate|score|grade|mark|deserves?|must receive"
        r"|output|answer|respond|reply|return)\b"
        rf"[^!?\n]{{0,60}}{_SCALE}"
    ),
    (
        r"\bthe (?:above|below|following|previous) (?:response|answer) is "
        r"(?:perfect|excellent|flawless|correct)\b"
    ),
    (
        r"^[ \t]{0,20}(?:overall )?(?:score|rating|quality|grade|helpfulness|correctness)"
        r"[ \t]{0,20}[:=][ \t]{0,20}"
        r"(?:[45](?:\.0)?|10|100|[0-9.]{1,6}/\d{1,6}|excellent|perfect)[ \t]{0,20}\.?$"
    ),
    r"\b(?:helpfulness|correctness|completeness|clarity)\b[ \t:=]{1,4}(?:[45]|10)\b(?! ?[/.\d])",
    (
        r"\b(?:all|every|each)\b(?: of)?(?: your| the)?\s{1,3}(?:scores?|grades?|ratings?)\b"
        r"[^.!?\n]{0,20}\b(?:5|10|five|ten)\b"
    ),
    r"\bquality (?:score|rating)\s{0,3}(?:of\s{0,3})?(?:5|10|100)\b",
    (
        r"\b(?:output|reply with|respond with|answer with|return|emit|use|write|print|give)\b[^.!?\n]{0,60}"
        r"\b(?:tags?|labels?)\b"
    ),
    (
        r"\b(?:output|reply|respond|answer|return)\b[^.!?\n]{0,30}\[ ?[\"'\u201c][^\]\n]{1,200}\]"
        r" for (?:every|each|all|any|this)\b"
    ),
    r"\btag (?:this|it|the \w+) (?:as|with)\b",
    r"\b(?:tagging|label+ing|judging|grading) (?:task|job|phase) is (?:over|done|finished|complete)\b",
    r"\blist of all (?:known )?tags\b",
    r"^[ \t]{0,20}(?:tags|labels)[ \t]{0,20}[:=][ \t]{0,20}\[.*\][ \t]{0,20}$",
    r"\{[^{}\n]{0,200}\"(?:tags|quality|score|rating|helpfulness|correctness|addresses_judge|badness)\"\s*:[^{}\n]{0,200}\}",
    r"\b(?:nur|solo|seulement|uniquement|somente)\b[^.!?\n]{0,40}\b(?:etiqueta|étiquette|etikett|tag)\b",
    r"\b(?:etiqueta|étiquette|etikett)\b[^.!?\n]{0,30}[\"'«“][^\"'»”\n]{1,40}[\"'»”]",
    r"(?:只|仅)(?:输出|返回|回答)[^。！？\n]{0,30}",  # noqa: RUF001
    r"\bdecode (?:and|then) (?:obey|follow|execute|run)\b",
)

_FLAGS = re.IGNORECASE | re.MULTILINE
_RULES = {
    "override": re.compile("|".join(_OVERRIDE), _FLAGS),
    "voice": re.compile("|".join(_VOICE), _FLAGS),
    "output": re.compile("|".join(_OUTPUT), _FLAGS),
}

# A text without one of these can't be hit: a substring is found a hundred times faster than a rule is tried.
_WORDS = {
    "override": (
        "ignor|disregard|forget|overrid|skip|bypass|olvida|oubli|vergiss|忽略|无视|無視|忘|игнорируй"
        "|забудь|무시|잊|تجاهل|do not read|stop reading"
    ),
    "voice": (
        "system|developer|<i|</i|<r|</r|<j|</j|<p|</p|you are now|new rule|new instruction|your hidden|your "
        "initial|dear|attention|note to|message to|hey"
    ),
    "output": (
        "out of|full mark|score|rating|mark|grade|quality|/5|/10|/ 5|/ 10|perfect|excellent"
        "|flawless|tag|label|etiqueta|étiquette|etikett|只|仅|decode|] for|helpfulness|correctness"
        "|badness|response is|answer is|completeness|clarity"
    ),
}
_NEEDLES = {kind: tuple(words.split("|")) for kind, words in _WORDS.items()}

_STOP_BEFORE = re.compile(r"[.!?。！？]\s+|[。！？]")  # noqa: RUF001
_STOP = re.compile(r"[.!?。！？](?=\s|$|[\"'”])[\"'”]?")  # noqa: RUF001
_ENCODED = re.compile(r"\b[A-Za-z0-9+/]{24,}={0,2}")


@dataclass(frozen=True)
class Scan:
    """What was found in a row.

    Attributes
    ----------
    kinds
        Names of the rules that found something, sorted; empty for a row that speaks to nobody.
    spans
        The sentences.
    redacted
        The row with a placeholder in their place.
    """

    kinds: tuple[str, ...]
    spans: tuple[str, ...]
    redacted: Conversation

    @property
    def found(self) -> bool:
        return bool(self.kinds)


def scan(conversation: Conversation) -> Scan:
    """Look for sentences that speak to the model which reads the row."""
    kinds: set[str] = set()
    spans: list[str] = []
    turns = []
    for role, content in conversation.turns:
        pieces = _suspicious(content, kinds)
        spans += [content[a:b].strip() for a, b in pieces]
        turns.append((role, _without(content, pieces)))
    redacted = Conversation(tuple(turns)) if spans else conversation
    return Scan(tuple(sorted(kinds)), tuple(spans), redacted)


def _suspicious(content: str, kinds: set[str]) -> list[tuple[int, int]]:
    """Find the sentences of a text that a rule hits, as sorted disjoint ranges."""
    found: list[tuple[int, int]] = []
    for start, text in _scanned(content):
        for kind, a, b in islice(_hits(text), _MAX_HITS):
            kinds.add(kind)
            first, last = _sentence(text, a, b)
            found.append((start + first, start + last))
    return _merged(sorted(found))


def _hits(text: str) -> Iterator[tuple[str, int, int]]:
    """Find what the rules hit, as (kind, start, end)."""
    lowered = text.lower()
    for kind, rule in _RULES.items():
        if any(needle in lowered for needle in _NEEDLES[kind]):
            for hit in rule.finditer(text):
                yield kind, hit.start(), hit.end()
    for hit in _ENCODED.finditer(text):
        hidden = _decoded(hit.group())
        if hidden and any(rule.search(hidden) for rule in _RULES.values()):
            yield "encoded", hit.start(), hit.end()


def _scanned(content: str) -> list[tuple[int, str]]:
    if len(content) <= 2 * _MAX_SCANNED:
        return [(0, content)]
    tail = len(content) - _MAX_SCANNED
    return [(0, content[:_MAX_SCANNED]), (tail, content[tail:])]


def _sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen a hit to its sentence, within its line and `_REACH` characters."""
    line = max(text.rfind("\n", 0, start) + 1, start - _REACH)
    line_end = text.find("\n", end)
    line_end = min(len(text) if line_end < 0 else line_end, end + _REACH)
    first = max((m.end() for m in _STOP_BEFORE.finditer(text[line:start])), default=0) + line
    stop = _STOP.search(text, max(end - 1, start), line_end)
    return first, stop.end() if stop else line_end


def _decoded(text: str) -> str | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for a, b in ranges:
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return merged


def _without(content: str, ranges: list[tuple[int, int]]) -> str:
    parts, position = [], 0
    for a, b in ranges:
        parts += [content[position:a], PLACEHOLDER]
        position = b
    return "".join([*parts, content[position:]])
