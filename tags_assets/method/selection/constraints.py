"""What a selection must keep to: its budget, caps and floors on attributes, rows that it must hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tags_assets.errors import InvalidInputError, UserError
from tags_assets.method.selection.request import EVERY, ROUNDING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

NO_CAP = np.int64(2**62)


@dataclass(frozen=True, eq=False)
class Constraints:
    """The feasible sets, over rows that are already candidates.

    A *group* is one value of one attribute that a cap or a floor names. A *class* is a set of rows that lie
    in the same groups: rows of one class are exchangeable as far as feasibility goes, and there are few
    classes.

    Attributes
    ----------
    budget
        Rows or tokens. Rows: exactly so many are selected. Tokens: at most so many.
    cost
        What each row takes from the budget, int64 (n_rows,): 1, or its tokens.
    by_tokens
        Whether the budget is one of tokens.
    include
        Rows that must be selected, int64, ascending.
    row_class
        Class of each row, int32 (n_rows,).
    class_groups
        Whether a class lies in a group, bool (n_classes, n_groups).
    supply
        Cost of all rows of a class, int64 (n_classes,).
    caps, floors
        Most and least cost of a group's selected rows, int64 (n_groups,); ``NO_CAP`` and 0 where there is
        none.
    group_names
        As ``language=de``, (n_groups,).
    group_attribute
        Number of the attribute of each group, int64 (n_groups,).
    """

    budget: int
    cost: NDArray[np.int64]
    by_tokens: bool
    include: NDArray[np.int64]
    row_class: NDArray[np.int32]
    class_groups: NDArray[np.bool_]
    supply: NDArray[np.int64]
    caps: NDArray[np.int64]
    floors: NDArray[np.int64]
    group_names: tuple[str, ...]
    group_attribute: NDArray[np.int64]

    @property
    def n_rows(self) -> int:
        return len(self.cost)

    @property
    def n_classes(self) -> int:
        return len(self.class_groups)

    @property
    def n_groups(self) -> int:
        return len(self.group_names)

    @property
    def unit(self) -> str:
        return "tokens" if self.by_tokens else "rows"

    @property
    def one_attribute(self) -> bool:
        """Whether groups are disjoint, so that a row lies in one of them at most."""
        return len(np.unique(self.group_attribute)) <= 1

    def class_cost(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Cost of `rows` per class, int64 (n_classes,)."""
        out = np.zeros(self.n_classes, dtype=np.int64)
        np.add.at(out, self.row_class[rows], self.cost[rows])
        return out

    def group_cost(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """Cost of `rows` per group, int64 (n_groups,)."""
        return self.class_groups.T.astype(np.int64) @ self.class_cost(rows)

    def violations(self, rows: NDArray[np.integer]) -> list[str]:
        """Say which constraints `rows` break, and by how much; empty where they keep to all."""
        spent, held = int(self.cost[rows].sum()), self.group_cost(rows)
        found: list[str] = []
        if spent > self.budget or (not self.by_tokens and spent != self.budget):
            found.append(f"{spent:,} {self.unit} selected, the budget is {self.budget:,}")
        if len(np.unique(rows)) != len(rows):
            found.append("a row is selected twice")
        missing = len(np.setdiff1d(self.include, rows))
        if missing:
            found.append(f"{missing:,} rows of include are not selected")
        for g, name in enumerate(self.group_names):
            if held[g] > self.caps[g]:
                found.append(f"max_share of {name} allows {self.caps[g]:,} {self.unit}, got {held[g]:,}")
            if held[g] < self.floors[g]:
                found.append(f"min_share of {name} asks for {self.floors[g]:,} {self.unit}, got {held[g]:,}")
        return found

    def plan(self, taken: NDArray[np.int64], *, margin: int = 0) -> NDArray[np.int64] | None:
        """Find how much of each class completes `taken` to a feasible selection.

        Parameters
        ----------
        taken
            Cost of the selected rows of each class, int64 (n_classes,).
        margin
            Tokens by which the budget and the caps are kept free, for plans that are overshot by part of a
            row.

        Returns
        -------
        NDArray or None
            Cost of each class in all, at least `taken`, int64 (n_classes,); None where there is no way. Of
            rows: an exact plan of the whole budget. Of tokens: the fewest that fill the floors.
        """
        if self.n_groups == 0 and not self.by_tokens:
            return (
                np.array([self.budget], dtype=np.int64) if taken[0] <= self.budget <= self.supply[0] else None
            )
        if np.any(taken > self.supply):
            return None
        most = self.budget - margin
        held = self.class_groups.T.astype(float)
        caps = np.minimum(self.caps - margin, most).astype(float)
        if np.any(caps < self.floors) or most < 0:
            return None
        from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415 - half a second to load

        answer = milp(
            np.full(self.n_classes, float(self.by_tokens)),
            constraints=[
                LinearConstraint(np.ones((1, self.n_classes)), 0 if self.by_tokens else most, most),
                LinearConstraint(held, self.floors.astype(float), caps),
            ],
            bounds=Bounds(taken.astype(float), self.supply.astype(float)),
            integrality=np.full(self.n_classes, int(not self.by_tokens)),
        )
        if answer.x is None:
            return None
        return (
            np.ceil(answer.x - 1e-6).astype(np.int64)
            if self.by_tokens
            else np.rint(answer.x).astype(np.int64)
        )

    def check(self) -> None:
        """Raise a `UserError` that says which constraint cannot be met, and by how much.

        Budgets of rows are decided exactly. Whether rows fill floors of tokens to the token is a subset-sum
        problem: here parts of rows count, the rest shows when the selection is made.
        """
        unit, supply = self.unit, int(self.supply.sum())
        if not self.by_tokens and self.budget > supply:
            raise InvalidInputError(
                f"asks for {self.budget:,} rows and {supply:,} can be selected: "
                f"{self.budget - supply:,} too many",
                where="budget",
                fix="Lower the budget, or loosen what excludes rows.",
            )
        included = int(self.cost[self.include].sum())
        if included > self.budget:
            raise InvalidInputError(
                f"the rows named need {included:,} {unit} and the budget is {self.budget:,}: "
                f"{included - self.budget:,} too many",
                where="constraints.include",
            )
        cheapest = int(self.cost.min()) if len(self.cost) else 0
        if self.by_tokens and cheapest > self.budget:
            raise InvalidInputError(
                f"{self.budget:,} tokens hold no row: the shortest has {cheapest:,}", where="budget.tokens"
            )
        self._check_groups()
        taken = self.class_cost(self.include)
        if self.n_groups and self.plan(taken) is None:
            raise InvalidInputError(
                f"these cannot all hold in {self.budget:,} {unit}: {self._least_violations(taken)}",
                where="constraints",
                fix="Loosen one of them, or change the budget.",
            )

    def _check_groups(self) -> None:
        unit, held = self.unit, self.class_groups.T.astype(np.int64) @ self.supply
        included = self.group_cost(self.include)
        for g, name in enumerate(self.group_names):
            if self.floors[g] > self.caps[g]:
                raise InvalidInputError(
                    f"asks for {self.floors[g]:,} {unit} and max_share allows {self.caps[g]:,}: "
                    f"{self.floors[g] - self.caps[g]:,} too many",
                    where=f"constraints.min_share {name}",
                )
            if self.floors[g] > held[g]:
                raise InvalidInputError(
                    f"asks for {self.floors[g]:,} {unit} and {held[g]:,} can be selected: "
                    f"{self.floors[g] - held[g]:,} too few",
                    where=f"constraints.min_share {name}",
                    fix="Lower the share or the budget, or add such rows to the pool.",
                )
            if included[g] > self.caps[g]:
                raise InvalidInputError(
                    f"allows {self.caps[g]:,} {unit} and include names {included[g]:,}: "
                    f"{included[g] - self.caps[g]:,} too many",
                    where=f"constraints.max_share {name}",
                )
        for attribute in np.unique(self.group_attribute):
            asked = int(self.floors[self.group_attribute == attribute].sum())
            if asked > self.budget:
                names = ", ".join(
                    self.group_names[g]
                    for g in np.flatnonzero((self.group_attribute == attribute) & (self.floors > 0))
                )
                raise InvalidInputError(
                    f"the floors of {names} ask for {asked:,} {unit} and the budget is {self.budget:,}: "
                    f"{asked - self.budget:,} too many",
                    where="constraints.min_share",
                )

    def _least_violations(self, taken: NDArray[np.int64]) -> str:
        """Say which constraints would have to give way, by the least in all."""
        from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415 - half a second to load

        n, groups, unit = self.n_classes, self.n_groups, self.unit
        # Unknowns: cost per class, then what each floor lacks, what each cap exceeds, what the budget lacks.
        held = np.hstack(
            [self.class_groups.T.astype(float), np.eye(groups), -np.eye(groups), np.zeros((groups, 1))]
        )
        total = np.concatenate([np.ones(n), np.zeros(2 * groups), [1.0]])[None, :]
        answer = milp(
            np.concatenate([np.zeros(n), np.ones(2 * groups + 1)]),
            constraints=[
                LinearConstraint(total, 0 if self.by_tokens else self.budget, self.budget),
                LinearConstraint(
                    held, self.floors.astype(float), np.minimum(self.caps, self.budget).astype(float)
                ),
            ],
            bounds=Bounds(
                np.concatenate([taken.astype(float), np.zeros(2 * groups + 1)]),
                np.concatenate([self.supply.astype(float), np.full(2 * groups + 1, float(self.budget))]),
            ),
            integrality=np.full(n + 2 * groups + 1, int(not self.by_tokens)),
        )
        if answer.x is None:  # never: with slack in every constraint there is a solution
            return "constraints"
        slack = np.ceil(answer.x[n:] - 1e-6).astype(np.int64)
        lacks, exceeds, left = slack[:groups], slack[groups:-1], int(slack[-1])
        said = [
            f"min_share of {self.group_names[g]} lacks {lacks[g]:,} {unit}" for g in np.flatnonzero(lacks)
        ]
        said += [
            f"max_share of {self.group_names[g]} is {exceeds[g]:,} {unit} too low"
            for g in np.flatnonzero(exceeds)
        ]
        if left:
            said.append(f"the caps leave {self.budget - left:,} {unit}, {left:,} too few")
        return "; ".join(said)


def _of_each(
    ceiling: Mapping[str, float], of_row: NDArray[np.str_], cost: NDArray[np.int64], budget: int
) -> dict[str, float]:
    """Write a cap on every value as one on each value whose rows could exceed it."""
    values, of = np.unique(of_row, return_inverse=True)
    held, largest = np.zeros(len(values)), np.zeros(len(values))
    np.add.at(held, of, cost)
    np.maximum.at(largest, of, cost)
    share = np.maximum(ceiling[EVERY], largest / budget)
    binding = (values != "") & (held > share * budget)
    return dict(zip(values[binding].tolist(), share[binding].tolist(), strict=True))


def build_constraints(
    n_rows: int,
    budget: int,
    *,
    tokens: NDArray[np.integer] | None = None,
    attributes: Mapping[str, Sequence[object] | NDArray[np.generic]] | None = None,
    max_share: Mapping[str, Mapping[str, float]] | None = None,
    min_share: Mapping[str, Mapping[str, float]] | None = None,
    include: NDArray[np.integer] | None = None,
) -> Constraints:
    """Number the groups and classes that the shares of a target name.

    Parameters
    ----------
    n_rows
        Candidate rows.
    budget
        In rows, or in tokens where `tokens` is given.
    tokens
        Tokens of each row, (n_rows,): makes the budget, and with it every share, one of tokens.
    attributes
        Values of each attribute per row, (n_rows,), compared as text.
    max_share, min_share
        Attribute -> value -> share of the budget. A cap is rounded down, a floor up; the value `EVERY` of a
        cap stands for each value that is not empty.
    include
        Rows that must be selected.

    Raises
    ------
    UserError
        For an attribute that is not there and for constraints that cannot be met, with the amount.
    """
    max_share, min_share, attributes = max_share or {}, min_share or {}, attributes or {}
    cost = (
        np.ones(n_rows, dtype=np.int64)
        if tokens is None
        else np.maximum(np.asarray(tokens, dtype=np.int64), 1)
    )
    names: list[str] = []
    group_attribute: list[int] = []
    caps: list[int] = []
    floors: list[int] = []
    codes = np.zeros(n_rows, dtype=np.int64)
    members: list[NDArray[np.bool_]] = []
    used = sorted({*max_share, *min_share})
    for number, attribute in enumerate(used):
        if attribute not in attributes:
            kind = "max_share" if attribute in max_share else "min_share"
            raise UserError.unknown("column", attribute, attributes, where=f"constraints.{kind}")
        of_row = np.asarray(attributes[attribute]).astype(str)
        ceiling, floor = max_share.get(attribute, {}), min_share.get(attribute, {})
        if EVERY in ceiling:
            ceiling = _of_each(ceiling, of_row, cost, budget) | {
                value: share for value, share in ceiling.items() if value != EVERY
            }
        for value in sorted({*ceiling, *floor}):
            names.append(f"{attribute}={value}")
            group_attribute.append(number)
            caps.append(int(ceiling[value] * budget + ROUNDING) if value in ceiling else int(NO_CAP))
            floors.append(int(np.ceil(floor.get(value, 0.0) * budget - ROUNDING)))
            members.append(of_row == str(value))
    for member in members:
        # Renumbering at each step keeps the codes small, however many groups there are.
        _, codes = np.unique(codes * 2 + member, return_inverse=True)
    n_classes = int(codes.max()) + 1 if n_rows else 1
    class_groups = np.zeros((n_classes, len(names)), dtype=bool)
    for g, member in enumerate(members):
        class_groups[codes[member], g] = True
    supply = np.zeros(n_classes, dtype=np.int64)
    np.add.at(supply, codes, cost)
    constraints = Constraints(
        budget=int(budget),
        cost=cost,
        by_tokens=tokens is not None,
        include=np.unique(np.asarray([] if include is None else include, dtype=np.int64)),
        row_class=codes.astype(np.int32),
        class_groups=class_groups,
        supply=supply,
        caps=np.array(caps, dtype=np.int64),
        floors=np.array(floors, dtype=np.int64),
        group_names=tuple(names),
        group_attribute=np.array(group_attribute, dtype=np.int64),
    )
    constraints.check()
    return constraints
