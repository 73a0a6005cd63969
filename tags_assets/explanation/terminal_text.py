"""Text for a terminal, safe against control characters in rows."""

from __future__ import annotations

from rich.text import Text

from tags_assets.text import clipped


def short(text: str, length: int) -> str:
    """Put a text on one line, cut to a length."""
    return clipped(" ".join(text.split()), length)


def styled(text: str) -> Text:
    """Make headings stand out; nothing in the text is read as markup."""
    shown = Text(text)
    shown.highlight_regex(r"(?m)^[A-Z][^\n]*$", "bold")
    shown.highlight_regex(r"(?m)^  → .*$", "dim")
    return shown
