"""Counts as people say them: 1 row, 2 rows."""


def counted(number: int, noun: str, many: str | None = None) -> str:
    """Say how many: ``1 row``, ``1,234 rows``, ``2 entries``."""
    return f"{number:,} {noun if number == 1 else many or plural(noun)}"


def plural(noun: str) -> str:
    """Return the plural of a regular noun."""
    if noun.endswith("y") and noun[-2:-1] not in set("aeiou"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"
