"""A row as the model sees it: delimited, without the server's own marks, cut in its middle where too long."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from tags_assets.llm.token_estimate import count_tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_HEAD_SHARE = 0.6
"""Share of a cut turn that is kept from its beginning; the rest is its end."""

_ROLES = frozenset({"system", "user", "assistant", "tool", "function", "developer"})
_TURN_OVERHEAD = 8
"""Tokens of a turn's heading, about."""

# Marks with which chat templates begin and end turns, and with which we do. A server that finds its own in a
# message obeys them: the row would speak with the system's voice. In brackets of another kind they stay
# readable and mean nothing, in code and in XML as well.
_CONTROL = re.compile(
    r"<\|[\w\s/-]{1,40}\|>|<｜[^｜>]{1,40}｜>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|<[be]os>"  # noqa: RUF001
    r"|[<＜﹤]\s{0,4}[/|]?\s{0,4}(?:row|system|user|assistant|tool|function|developer)\b[^<>＞﹥]{0,40}[>＞﹥]",  # noqa: RUF001
    re.IGNORECASE,
)
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]+"
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """Text for the prompt, and whether anything of the row was left out of it."""

    text: str
    cut: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns of a row, as (role, content).

    Its text is cleaned when it is made (see `clean`), so what is hashed is what is sent.
    """

    turns: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, messages: Iterable[Mapping[str, object]]) -> Conversation:
        """Take messages of ``role`` and ``content``."""
        return cls(tuple((clean(str(m["role"] or "user")), clean(str(m["content"] or ""))) for m in messages))

    @property
    def identity(self) -> bytes:
        """What tells this conversation from another: the answer's key hangs on it."""
        return orjson.dumps(self.turns)

    @property
    def text(self) -> str:
        """All turns, one after the other."""
        return "\n\n".join(content for _, content in self.turns)

    def render(self, limit: float) -> Rendered:
        """Lay the turns out as ``<row>`` in about ``limit`` tokens at most; no text of the row can end it."""
        kept, cut = cut_turns(self.turns, limit)
        lines = ["<row>"]
        for role, content in kept:
            tag = role if role in _ROLES else "user"
            lines += [f"<{tag}>", content, f"</{tag}>"] if role else [content]
        lines.append("</row>")
        return Rendered("\n".join(lines), cut)


def clean(text: str) -> str:
    """Take the voice out of control marks, and take invisible characters and broken surrogates out."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode("utf-8")
    text = _UNPRINTABLE.sub("", text.replace("\r\n", "\n"))
    return _CONTROL.sub(_muted, text)


def _muted(found: re.Match[str]) -> str:
    inner = re.sub(r"^[<＜﹤\[|｜\s]+|[>＞﹥\]|｜\s]+$", "", found.group())  # noqa: RUF001
    return f"\u2039{inner}\u203a"


def cut_turns(turns: Sequence[tuple[str, str]], limit: float) -> tuple[list[tuple[str, str]], bool]:
    """Leave out what exceeds the limit: whole turns of the middle first, then the middles of long turns.

    Parameters
    ----------
    turns
        (role, content).
    limit
        Tokens, as `count_tokens_of` counts them.

    Returns ------- The turns, with a line in square brackets (and an empty role, where whole turns are
    missing) for what was left out, and whether anything was.
    """
    # No character counts for more than 2.4 tokens, so most rows need not be counted.
    if sum(2.4 * len(c) + _TURN_OVERHEAD for _, c in turns) <= limit:
        return list(turns), False
    sizes = [count_tokens_of(content) + _TURN_OVERHEAD for _, content in turns]
    if sum(sizes) <= limit:
        return list(turns), False
    kept = _whole_turns(sizes, limit)
    levels = _levels([sizes[i] for i in kept], limit)
    out: list[tuple[str, str]] = []
    previous = -1
    for i, level in zip(kept, levels, strict=True):
        if i > previous + 1:
            out.append(("", f"[... {i - previous - 1} turns of the conversation left out ...]"))
        role, content = turns[i]
        out.append((role, content if sizes[i] <= level else _cut_middle(content, sizes[i], level)))
        previous = i
    return out, True


def _whole_turns(sizes: Sequence[float], limit: float) -> list[int]:
    """Keep turns from both ends while they fit; the first two and the last two stay whatever their size."""
    n = len(sizes)
    if n <= 4:
        return list(range(n))
    kept = {0, 1, n - 2, n - 1}
    room = limit - sum(sizes[i] for i in kept)
    ends = [i for pair in zip(range(2, n - 2), range(n - 3, 1, -1), strict=True) for i in pair]
    for i in ends:
        if i in kept:
            continue
        room -= sizes[i]
        if room < 0:
            break
        kept.add(i)
    return sorted(kept)


def _levels(sizes: Sequence[float], limit: float) -> list[float]:
    """Share the limit out so that only the longest are cut, all of them to the same length."""
    left, open_sizes = float(limit), sorted(sizes)
    for position, size in enumerate(open_sizes):
        level = left / (len(open_sizes) - position)
        if size > level:
            return [min(s, level) for s in sizes]
        left -= size
    return list(sizes)


def _cut_middle(content: str, size: float, level: float) -> str:
    """Keep the beginning and the end of a text."""
    share = max((level - 2 * _TURN_OVERHEAD) / size, 0.0)
    n_kept = int(len(content) * share)
    head = int(n_kept * _HEAD_SHARE)
    tail = n_kept - head
    left_out = len(content) - n_kept
    # Characters are not tokens: a dense part may still be too long, which the server then says.
    end = content[len(content) - tail :] if tail else ""
    return f"{content[:head]}\n[... {left_out:,} characters left out ...]\n{end}"
