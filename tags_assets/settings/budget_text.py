"""Budgets as people write them: ``5%``, ``5000 rows``, ``2Mtok``."""

from __future__ import annotations

import re

from tags_assets.errors import InvalidInputError
from tags_assets.method.selection.request import Budget
from tags_assets.text import clipped

MOST = 10**15
"""Above what anybody means, and below where sums of numbers lose their last digits."""

_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000, "g": 1_000_000_000}
_BUDGET = re.compile(
    r"([0-9][0-9_,]*(?:\.[0-9]+)?|\.[0-9]+)\s*([kmbg]?)\s*(%|rows?|tok(?:ens?)?)?", re.IGNORECASE
)


def parse_budget(text: str, *, where: str = "--budget") -> Budget:
    """Read ``5%``, ``5000``, ``10k``, ``2Mtok``, ``2_000_000 tokens``, ``500 rows``.

    Raises
    ------
    UserError
        For anything else.
    """
    match = _BUDGET.fullmatch(text.strip())
    if match is None:
        raise InvalidInputError(
            f"{shown(text)} is not a budget",
            where=where,
            fix="Write 5% of the rows, 5000 rows, or 2Mtok for tokens.",
        )
    amount = float(match[1].replace("_", "").replace(",", "")) * _UNITS[match[2].lower()]
    unit = (match[3] or "").lower()
    if amount > MOST:
        raise InvalidInputError(f"{shown(text)} is too large", where=where)
    if unit == "%":
        if match[2]:
            raise InvalidInputError(f"{text!r} is not a budget: a percentage has no {match[2]}", where=where)
        if not 0 < amount <= 100:
            raise InvalidInputError(f"{text!r} is not between 0% and 100%", where=where)
        return Budget(fraction=amount / 100)
    if not unit and 0 < amount < 1:
        raise InvalidInputError(
            f"{text!r} is less than one row", where=where, fix=f"For a fraction write {amount:.2%}."
        )
    if amount != int(amount):
        raise InvalidInputError(f"{text!r} is not a whole number", where=where)
    if amount < 1:
        raise InvalidInputError(f"{text!r} selects nothing", where=where, fix="Ask for at least 1.")
    return Budget(tokens=int(amount)) if unit.startswith("tok") else Budget(rows=int(amount))


def shown(value: object) -> str:
    """Show a value that was written, in one line at most."""
    return clipped(repr(value[:60] if isinstance(value, str) else value), 60, "...")
