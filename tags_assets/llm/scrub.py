"""Keys and control characters taken out of what servers say."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache

from tags_assets.errors import printable
from tags_assets.text import clipped

MAX_REASON_LENGTH = 240

HIDDEN = "[key]"

_LEAST_LENGTH = 12
"""A shorter key ("EMPTY", "test", for a server of one's own) is a word and no secret: in answers it stays."""

_MAX_SCANNED = 4096

_KEYLIKE = re.compile(r"\b(?:sk|pk|rk|hf|gsk|key|tok)[-_][A-Za-z0-9*_\-.]{6,}|[Bb]earer\s+\S+")


def scrub(text: str, secret: str | None = None) -> str:
    """Make one short line without control characters in which no key is left, whoever's it is."""
    cut = text[:_MAX_SCANNED]
    if secret and len(secret) > 3:
        cut = _forms(secret).sub(HIDDEN, cut)
        if len(text) > _MAX_SCANNED:
            cut = cut[: -6 * len(secret)]  # where a key may have been cut in two
    line = printable(" ".join(_KEYLIKE.sub(HIDDEN, cut).split()))
    return clipped(line, MAX_REASON_LENGTH)


def hide_key(text: str, secret: str | None) -> str:
    """Take one key out of a text and leave all else as it is."""
    if not secret or len(secret) < _LEAST_LENGTH:
        return text
    return _forms(secret).sub(HIDDEN, text)


@lru_cache(maxsize=8)
def _forms(secret: str) -> re.Pattern[str]:
    """Match a key in any case, broken by white space, escaped as in JSON or a URL, and in base64."""
    plain = r"\s*".join(
        rf"(?:{re.escape(c)}|\\u00{ord(c):02x}|%{ord(c):02x})" if c.isascii() else re.escape(c)
        for c in secret
    )
    # In base64 three bytes are four characters: what follows the key in an echo may change the last two.
    encoded = [b64encode(f"{before}{secret}".encode()).rstrip(b"=")[:-2].decode() for before in _BEFORE_KEY]
    forms = [plain, *(re.escape(form) + r"[\w+/]{0,2}=*" for form in encoded)]
    return re.compile("|".join(forms), re.IGNORECASE)


_BEFORE_KEY = ("", ":", "Bearer ")
