"""What makes two conversations the same text: their normalised wording and its hash."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING
from unicodedata import normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tags_assets.formats.instance import Message

_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_HASH_BYTES = 16
_TAB = 4
_OPENERS = (":", "{", "(", "[", ",", "\\", "=", "->", "=>", "then", "do", "begin", "else")
"""Ends of lines that open a block or go on in the next line."""


def normalised(text: str) -> str:
    """Return a text in composed form (NFC), runs of white space as one space, invisible breaks left out.

    Not NFKC, which makes "x2" of "x²"; and joiners stay, because Persian words and emoji are spelt with them.
    Where indentation has a meaning, lines and their indentation stay: two programs of the same words may do
    different things.
    """
    if not text.isascii():
        text = _INVISIBLE.sub("", normalize("NFC", text))
    if "\n " in text or "\n\t" in text:
        lines = [line.expandtabs(_TAB) for line in text.split("\n") if line.strip()]
        indents = [len(line) - len(line.lstrip()) for line in lines]
        if _has_blocks(lines, indents):
            least = min(indents)
            bare = [" ".join(line.split()) for line in lines]
            return "\n".join(
                " " * (indent - least) + line for indent, line in zip(indents, bare, strict=True)
            )
    return " ".join(text.split())


def _has_blocks(lines: Sequence[str], indents: Sequence[int]) -> bool:
    """Whether a line opens a block, as in code, YAML or an outline: the next line is indented deeper."""
    return any(
        later > earlier and line.rstrip().endswith(_OPENERS)
        for line, earlier, later in zip(lines, indents, indents[1:], strict=False)
    )


def content_hash(messages: Iterable[Message], more: str | None = None) -> str:
    """Hash a conversation: who says what, by `normalised` wording. 32 hexadecimal digits of BLAKE2b.

    ``more`` is what tells a row from others that say the same, such as its pictures; a plain row has none.
    """
    digest = blake2b(digest_size=_HASH_BYTES)
    for message in messages:
        # Normalised text holds neither of these two: they count as white space.
        digest.update(
            f"{message['role']}\x1f{normalised(message['content'])}\x1e".encode(errors="surrogatepass")
        )
    if more is not None:
        digest.update(f"\x1d{more}".encode(errors="surrogatepass"))
    return digest.hexdigest()


def identity(*parts: str) -> str:
    """Hash what makes a thing what it is, in 32 hexadecimal digits; only the last part may hold a NUL."""
    return blake2b("\x00".join(parts).encode(errors="surrogatepass"), digest_size=_HASH_BYTES).hexdigest()
