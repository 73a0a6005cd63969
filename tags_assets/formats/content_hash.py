"""What makes two conversations the same text: their normalised wording and its hash."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING
from unicodedata import normalize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tags_assets.formats.instance import Message

_INVISIBLE = re.compile("[\u00ad\u200b\u2060\ufeff]")
_HASH_BYTES = 16


def normalised(text: str) -> str:
    """Return a text in composed form (NFC), runs of white space as one space, invisible breaks left out.

    Not NFKC, which makes "x2" of "x²"; and joiners stay, because Persian words and emoji are spelt with them.
    """
    if not text.isascii():
        text = _INVISIBLE.sub("", normalize("NFC", text))
    return " ".join(text.split())


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
