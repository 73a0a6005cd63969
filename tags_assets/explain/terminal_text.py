"""Texts for a terminal, which must not be steered by what rows hold."""

from __future__ import annotations

from rich.text import Text


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
