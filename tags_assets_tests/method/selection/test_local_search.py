from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.errors import UserError
from tags_assets.method.selection.alignment import target_from_examples
from tags_assets.method.selection.certificate import Point, certify, tighten
from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.local_search import exchange, raise_certificate
from tags_assets.method.selection.request import Budget, MaxKL, SelectionRequest
from tags_assets.method.selection.selector import select
from tags_assets.method.selection.solver import maximise
from tags_assets_tests.method.selection.problems import (
    constraints_or_none,
    feasible_sets,
    random_attributes,
    random_grounding,
    random_objective,
    small_tree,
)
from tags_assets_tests.method.selection.test_solver import SHARES


@given(
    st.integers(0, 10_000),
    st.one_of(st.none(), st.integers(0, len(SHARES) - 1)),
    st.booleans(),
    st.booleans(),
    st.sets(st.integers(0, 8), max_size=2),
)
@settings(max_examples=120, deadline=None)
def test_the_search_keeps_constraints_never_lowers_the_value_and_no_set_beats_its_bound(
    seed, which, by_tokens, signed, include
):
    n = 9
    objective = random_objective(seed, n, 6, signed=signed)
    constraints = constraints_or_none(
        n,
        25 if by_tokens else 4,
        tokens=np.random.default_rng(seed).integers(1, 12, n) if by_tokens else None,
        attributes=random_attributes(seed, n),
        include=np.array(sorted(include), dtype=np.int64),
        **({} if which is None else SHARES[which]),
    )
    if constraints is None:
        return
    sets = list(feasible_sets(constraints, n))
    if not sets:
        return
    best = max(objective.value(rows) for rows in sets)
    start = sets[seed % len(sets)]  # any feasible set, mostly a bad one
    raised = raise_certificate(objective, constraints, start, 1.0)
    value = objective.value(raised.rows)
    assert constraints.violations(raised.rows) == []
    assert raised.value_before - 1e-12 <= value <= best + 1e-9
    assert value == pytest.approx(raised.certificate.value)
    assert raised.certificate.bound >= best - 1e-9
    assert raised.certificate.ratio <= raised.certificate.limit
    if value > 0:
        assert raised.certificate.ratio <= value / best + 1e-9
    again = raise_certificate(objective, constraints, start, 1.0)
    assert np.array_equal(again.rows, raised.rows)
    assert again.certificate == raised.certificate


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_exchange_of_one_row_is_left_that_raises_the_value(seed, signed):
    objective = random_objective(seed, 30, 8, signed=signed)
    constraints = build_constraints(30, 6)
    rows = np.random.default_rng(seed).choice(30, 6, replace=False)
    found, _ = exchange(objective, constraints, rows, np.setdiff1d(np.arange(30), rows))
    value = objective.value(found)
    for leaving in found:
        for coming in np.setdiff1d(np.arange(30), found):
            other = np.append(found[found != leaving], coming)
            assert objective.value(other) <= value + 1e-7 * abs(value) + 1e-12


def test_what_is_left_of_a_budget_of_tokens_is_spent():
    objective = random_objective(4, 40, 10)
    tokens = np.random.default_rng(4).integers(2, 9, 40)
    constraints = build_constraints(40, 60, tokens=tokens)
    found, _ = exchange(objective, constraints, np.array([3]), np.setdiff1d(np.arange(40), [3]))
    assert 60 - tokens.max() < tokens[found].sum() <= 60


def test_the_search_stops_at_the_looks_that_it_may_take():
    objective = random_objective(5, 300, 20)
    constraints = build_constraints(300, 30)
    rows, others = np.arange(30), np.arange(30, 300)
    _, looks = exchange(objective, constraints, rows, others, most_looks=1000)
    assert looks <= 1000 + len(others)
    assert exchange(objective, constraints, rows, others)[1] > 1000


def test_a_certificate_that_is_there_already_costs_no_search():
    objective = random_objective(1, 2000, 40)
    constraints = build_constraints(2000, 400)
    rows = maximise(objective, constraints).rows
    raised = raise_certificate(objective, constraints, rows, 0.9)
    assert raised.n_exchanged == 0
    assert np.array_equal(raised.rows, rows)
    assert raised.certificate.n_steps < 25


def test_what_no_bound_can_say_is_not_less_than_any_bound_says():
    objective = random_objective(2, 400, 30, signed=True)
    constraints = build_constraints(400, 12)
    rows = maximise(objective, constraints).rows
    limit = raise_certificate(objective, constraints, rows, 1.0).certificate.limit
    far = tighten(objective, constraints, Point.of(objective, rows), max_steps=3000)
    assert far.bound >= far.value - 1e-9
    assert certify(objective, constraints, rows, max_steps=3000, goal=1.0).ratio <= limit


N, K = 600, 40


@pytest.fixture(scope="module")
def pool():
    tree = small_tree((80, 20, 5), seed=2)
    grounding = random_grounding(2, N, 80, most=4)
    quality = np.random.default_rng(2).beta(5, 2, N)
    supply = np.asarray(grounding.sum(axis=0)).ravel()
    examples = random_grounding(9, 12, 8, most=2)
    examples.resize((12, 80))
    return grounding, tree, quality, target_from_examples(examples, tree, supply)


def run(pool, **request):
    return select(*pool, SelectionRequest(**{"budget": Budget(rows=K), "alignment": 0.3, **request}))


def test_a_selection_that_was_searched_is_told_in_the_order_of_its_gains(pool):
    plain, found = run(pool), run(pool, certificate=1.0)
    assert plain.figures.certificate_asked is None
    assert plain.figures.rows_exchanged is None
    figures = found.figures
    assert figures.rows_exchanged > 0, "a pool on which greedy is not a local optimum"
    assert len(np.setdiff1d(found.rows, plain.rows)) == figures.rows_exchanged
    assert figures.value > figures.value_before_search == pytest.approx(plain.figures.value)
    assert figures.certificate > plain.figures.certificate
    assert figures.certificate <= figures.certificate_limit
    assert figures.certificate_asked == 1.0
    assert found.gains.sum() == pytest.approx(figures.value)
    assert np.all(np.diff(found.gains) <= 1e-9), "greedy order: gains fall"
    assert np.abs(found.attribution.totals(K).sum(axis=1) - found.gains).max() < 1e-9
    assert found.frontier["value"][-1] == pytest.approx(figures.value)
    assert found.frontier["kl"][-1] == pytest.approx(figures.kl)
    assert any("A certificate of 1 was asked for" in message for message in found.messages)
    assert not any("certificate" in message for message in plain.messages)


def test_why_a_certificate_was_not_reached_is_one_sentence(pool):
    found = run(pool, budget=Budget(rows=5), certificate=0.999)
    assert found.figures.certificate < 0.999
    said = [message for message in found.messages if "was asked for" in message]
    assert len(said) == 1
    assert "no bound of this kind says more than" in said[0]


def test_a_ceiling_on_the_kl_and_stability_come_before_the_search(pool):
    ceiling = run(pool, alignment=MaxKL(0.4)).figures.kl
    assert run(pool, alignment=MaxKL(0.4), certificate=1.0).figures.kl <= max(0.4, ceiling) + 1e-9
    previous = np.sort(run(pool, seed=3, alignment=0.6).rows)
    leaning = {"stability": 0.5, "previous": previous}
    plain, searched = run(pool, **leaning), run(pool, **leaning, certificate=1.0)
    assert np.array_equal(plain.rows, searched.rows)
    assert any("stability" in message for message in searched.messages if "asked for" in message)


def test_floors_of_tokens_that_cannot_be_filled_are_still_one_line(pool):
    tokens = np.full(N, 100)
    with pytest.raises(UserError, match="can be selected"):
        run(
            pool,
            budget=Budget(tokens=1000),
            tokens=tokens,
            certificate=0.999,
            attributes={"source": np.where(np.arange(N) < 3, "rare", "other")},
            min_share={"source": {"rare": 0.9}},
        )
