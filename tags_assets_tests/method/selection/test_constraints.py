from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.errors import UserError
from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.request import Budget
from tags_assets_tests.method.selection.problems import feasible_sets, random_attributes
from tags_assets_tests.method.selection.test_solver import SHARES

LANGUAGES = np.array(["de"] * 12 + ["en"] * 88)


def refused(*args, **kwargs):
    with pytest.raises(UserError) as caught:
        build_constraints(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({}, "asks for 500 rows and 100 can be selected: 400 too many"),
        (
            {"budget": 50, "min_share": {"language": {"de": 0.5}}},
            "asks for 25 rows and 12 can be selected: 13 too few",
        ),
        (
            {"budget": 20, "max_share": {"language": {"de": 0.2, "en": 0.3}}},
            "the caps leave 10 rows, 10 too few",
        ),
        ({"budget": 20, "max_share": {"langage": {"de": 0.2}}}, "Did you mean 'language'?"),
        ({"budget": 2, "include": np.arange(3)}, "need 3 rows and the budget is 2: 1 too many"),
        (
            {"budget": 10, "include": np.arange(3), "max_share": {"language": {"de": 0.2}}},
            "allows 2 rows and include names 3: 1 too many",
        ),
        (
            {"budget": 3, "min_share": {"language": {"de": 0.5, "en": 0.6}}},
            "ask for 4 rows and the budget is 3",
        ),
        ({"budget": 4, "tokens": np.full(100, 5)}, "4 tokens hold no row: the shortest has 5"),
        (
            {"budget": 100, "tokens": np.full(100, 5), "min_share": {"language": {"de": 0.7}}},
            "asks for 70 tokens and 60 can be selected: 10 too few",
        ),
    ],
)
def test_what_cannot_be_met_is_said_with_the_amount(given_, said):
    arguments = {"budget": 500, "attributes": {"language": LANGUAGES}, **given_}
    assert said in refused(100, **arguments)


def test_what_cannot_hold_together_is_said_with_the_least_that_must_give_way():
    attributes = {"source": np.array(["a"] * 5 + ["b"] * 5), "language": np.array(["de"] * 5 + ["en"] * 5)}
    said = refused(
        10, 4, attributes=attributes, max_share={"source": {"a": 0.25}}, min_share={"language": {"de": 0.5}}
    )
    assert "cannot all hold in 4 rows" in said
    assert (
        "min_share of language=de lacks 1 rows" in said or "max_share of source=a is 1 rows too low" in said
    )


def test_caps_are_rounded_down_and_floors_up():
    constraints = build_constraints(
        100,
        15,
        attributes={"language": LANGUAGES},
        max_share={"language": {"de": 0.5}},
        min_share={"language": {"de": 0.21}},
    )
    assert (constraints.caps.tolist(), constraints.floors.tolist()) == ([7], [4])
    exact = build_constraints(
        100, 10, attributes={"language": LANGUAGES}, max_share={"language": {"de": 0.3}}
    )
    assert exact.caps.tolist() == [3]


@given(st.integers(0, 5000), st.integers(0, len(SHARES) - 1), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_constraints_are_refused_only_where_no_set_is_feasible(seed, which, budget):
    attributes = random_attributes(seed, 9)
    lenient = build_constraints(9, budget)
    try:
        build_constraints(9, budget, attributes=attributes, **SHARES[which])
    except UserError:
        shares = SHARES[which]
        for rows in feasible_sets(lenient, 9):
            counts = {
                (name, value): int(np.sum(attributes[name][rows] == value))
                for name in attributes
                for value in ("a", "b", "c", "de", "en")
            }
            capped = [
                counts[name, value] <= int(share * budget + 1e-9)
                for name, values in shares.get("max_share", {}).items()
                for value, share in values.items()
            ]
            floored = [
                counts[name, value] >= share * budget - 1e-9
                for name, values in shares.get("min_share", {}).items()
                for value, share in values.items()
            ]
            assert not all(capped + floored)


def test_a_plan_completes_what_is_taken_or_there_is_none():
    attributes = {"source": np.array(["a"] * 5 + ["b"] * 5)}
    constraints = build_constraints(10, 4, attributes=attributes, max_share={"source": {"a": 0.5}})
    in_a = int(constraints.row_class[0])
    taken = np.zeros(2, dtype=np.int64)
    taken[in_a] = 2
    plan = constraints.plan(taken)
    assert plan is not None
    assert plan.sum() == 4
    assert plan[in_a] == 2
    taken[in_a] = 3
    assert constraints.plan(taken) is None


def test_a_budget_is_one_thing_and_in_range():
    assert Budget(fraction=0.05).n_rows(19_636) == 981
    assert Budget(fraction=0.3).n_rows(10) == 3
    assert Budget(fraction=0.001).n_rows(10) == 1
    assert str(Budget(fraction=0.05)) == "5% of the eligible rows"
    for wrong in ({}, {"rows": 1, "tokens": 1}, {"fraction": 1.5}, {"fraction": 0.0}, {"rows": 0}):
        with pytest.raises(UserError):
            Budget(**wrong)
