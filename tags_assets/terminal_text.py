"""Texts for a terminal, which must not be steered by what rows hold."""

from __future__ import annotations

import re

from rich.text import Text

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """Replace what would steer the terminal or turn the line's direction; line ends stay."""
    return _UNSEEN.sub("\ufffd", text)


def short(text: str, length: int) -> str:
    """Put a text on one line, cut to a length."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def styled(text: str) -> Text:
    """Make headings stand out; nothing in the text is read as markup."""
    shown = Text(text)
    shown.highlight_regex(r"(?m)^[A-Z][^\n]*$", "bold")
    shown.highlight_regex(r"(?m)^  → .*$", "dim")
    return shown
