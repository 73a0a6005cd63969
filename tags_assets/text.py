"""Short texts for people: counts, clipped texts and lists that end in "and 3 more"."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def counted(number: int, noun: str, many: str | None = None) -> str:
    """Write a count with its noun: ``1 row``, ``1,234 rows``, ``2 entries``."""
    return f"{number:,} {noun if number == 1 else many or plural(noun)}"


def plural(noun: str) -> str:
    """Return the plural of a regular noun."""
    if noun.endswith("y") and noun[-2:-1] not in set("aeiou"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def clipped(text: str, length: int, ellipsis: str = "…") -> str:
    """Cut a text to at most ``length`` characters, the ellipsis included."""
    return text if len(text) <= length else text[: length - len(ellipsis)] + ellipsis


def listed(items: Sequence[str], most: int, between: str = ", ") -> str:
    """List the first ``most`` items and count the others: ``a, b and 3 more``."""
    rest = len(items) - most
    return between.join(items[:most]) + (f" and {rest:,} more" if rest > 0 else "")
