"""What is asked of a selection: budget, alignment, constraints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tags_assets.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

DEFAULT_BREADTH = 0.15
DEFAULT_ALIGNMENT = 0.75
DEFAULT_TEXT_SHARE = 0.75
"""Measured, see docs/method.md: the share of true picks hardly changes from .5 to 1, their variety falls."""

EVERY = "*"
"""A cap on this value is one on each other value, of one row at least; an empty value is left alone."""

ROUNDING = 1e-9
"""0.3 * 10 is 3, also where floating point says 2.9999999999999996."""


@dataclass(frozen=True)
class Budget:
    """How much may be selected: exactly one of the three is given.

    Attributes
    ----------
    fraction
        Share of the eligible rows, in (0, 1].
    rows
        Number of rows.
    tokens
        Most tokens (prompt and response) that the selected rows may hold together.
    """

    fraction: float | None = None
    rows: int | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("fraction", "rows", "tokens") if getattr(self, name) is not None]
        if len(given) != 1:
            what = " and ".join(given) if given else "nothing"
            raise InvalidInputError(
                f"a budget is one of fraction, rows and tokens, and {what} is given", where="budget"
            )
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise InvalidInputError(
                f"a fraction must lie in (0, 1], not {self.fraction:g}", where="budget.fraction"
            )
        for name in ("rows", "tokens"):
            amount = getattr(self, name)
            if amount is not None and amount < 1:
                raise InvalidInputError(
                    f"a budget of {amount} {name} selects nothing", where=f"budget.{name}"
                )

    def __str__(self) -> str:
        if self.fraction is not None:
            return f"{100 * self.fraction:.4g}% of the eligible rows"
        return f"{self.rows:,} rows" if self.rows is not None else f"{self.tokens:,} tokens"

    def n_rows(self, n_eligible: int) -> int:
        """Rows that a fraction or a number of rows buys: a fraction is rounded down, to one row at least."""
        if self.rows is not None:
            return self.rows
        if self.fraction is None:
            raise ValueError("a budget of tokens has no fixed number of rows")
        return max(1, int(self.fraction * n_eligible + ROUNDING))


@dataclass(frozen=True)
class MaxKL:
    """A ceiling on KL(T || P_S) in nats, in place of a fixed lambda."""

    ceiling: float


@dataclass(frozen=True, eq=False)
class SelectionRequest:
    """What is asked for. Arrays are over all rows, (n_rows,).

    Attributes
    ----------
    budget
        Fraction of the eligible rows, rows or tokens.
    alignment
        lambda in [0, 1], 0 = information gain alone, 1 = alignment alone; or a ceiling on the KL.
    breadth
        Weight of coverage beside closeness, 0 or more: the alignment's variety against its precision.
    text_share
        Share in [0, 1] of closeness that is the likeness of the row's whole text, where the target has one;
        the rest is its concepts'.
    eligible
        Rows that may be selected at all, bool; all by default. Rows without mass in the tree never are.
    exclude
        Rows that the target leaves out, bool.
    include
        Numbers of rows that must be selected.
    min_quality
        Least quality of a row (``include`` is exempt).
    max_share, min_share
        Attribute -> value -> share of the budget, in the budget's own unit (rows or tokens).
    attributes
        Attribute -> values per row, for those that the shares name.
    tokens
        Tokens of each row; needed for a budget of tokens.
    texts
        Group of rows of nearly the same text that each row is of (`near_texts.text_groups`), int64, negative
        where it is of none: what repeats a picked row's text gains less. None: no such groups are known.
    names
        Identifier of each row, for messages.
    seed
        Order among rows of exactly equal gain: 0 is the order of the pool, any other a permutation.
    stability
        What a row of the selection before counts more, in mean gains of a pick, in [0, 1].
    previous
        Numbers of the rows of the selection before, ascending; None where there was none.
    n_previous
        Rows of the selection before, those that are gone included.
    certificate
        Certificate to search for, in (0, 1]; None takes what greedy reaches.
    """

    budget: Budget = field(default_factory=lambda: Budget(fraction=0.05))
    alignment: float | MaxKL = DEFAULT_ALIGNMENT
    breadth: float = DEFAULT_BREADTH
    text_share: float = DEFAULT_TEXT_SHARE
    eligible: NDArray[np.bool_] | None = None
    exclude: NDArray[np.bool_] | None = None
    include: Sequence[int] | NDArray[np.integer] = ()
    min_quality: float = 0.0
    max_share: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    min_share: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    attributes: Mapping[str, Sequence[object] | NDArray[np.generic]] = field(default_factory=dict)
    tokens: NDArray[np.integer] | None = None
    texts: NDArray[np.int64] | None = None
    names: Sequence[str] | None = None
    seed: int = 0
    stability: float = 0.0
    previous: NDArray[np.int64] | None = None
    n_previous: int = 0
    certificate: float | None = None
