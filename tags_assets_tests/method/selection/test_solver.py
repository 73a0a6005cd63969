from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.errors import UserError
from tags_assets.method.selection import lazy_queue
from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.solver import greedy, maximise
from tags_assets_tests.method.selection.problems import (
    constraints_or_none,
    feasible_sets,
    naive_greedy,
    random_attributes,
    random_objective,
    with_bonus,
)

seeds = st.integers(0, 10_000)


@given(seeds, st.integers(1, 60), st.integers(1, 12), st.booleans(), st.booleans(), st.data())
@settings(max_examples=150, deadline=None)
def test_selection_is_equal_to_naive_greedy(  # noqa: PLR0917 (hypothesis draws them)
    seed, n_rows, n_features, signed, ties, data
):
    n_picks = data.draw(st.integers(1, n_rows))
    objective = random_objective(seed, n_rows, n_features, signed=signed, ties=ties)
    found = greedy(objective, build_constraints(n_rows, n_picks))
    assert found.rows.tolist() == naive_greedy(objective, n_picks)
    assert found.value == pytest.approx(objective.value(found.rows), abs=1e-9)


@pytest.mark.parametrize(("signed", "ties"), [(False, False), (True, False), (True, True)])
def test_selection_is_equal_to_naive_greedy_where_rows_wait_in_buckets(monkeypatch, signed, ties):
    monkeypatch.setattr(lazy_queue, "_SMALL", 10)
    monkeypatch.setattr(lazy_queue, "_ROWS_PER_BUCKET", 7)
    objective = random_objective(5, 2000, 80, signed=signed, ties=ties, per_row=8)
    found = greedy(objective, build_constraints(2000, 300))
    assert found.rows.tolist() == naive_greedy(objective, 300)


def test_bucketed_and_heap_only_queues_pick_the_same_from_many_rows():
    objective = random_objective(3, 20_000, 300, per_row=6)
    lazily = greedy(objective, build_constraints(20_000, 500))
    assert lazily.n_evaluations < 20_000 * 500 / 50
    assert lazily.rows.tolist() == naive_greedy(objective, 500)


def test_ties_go_to_the_smaller_row_or_as_the_priority_says():
    objective = random_objective(0, 40, 3, ties=True, per_row=3)
    twins = objective.indptr, np.tile(objective.indices[:3], 40), np.tile(objective.values[:3], 40)
    objective = type(objective)(*twins, objective.weight, objective.capacity, np.zeros(40))
    assert greedy(objective, build_constraints(40, 5)).rows.tolist() == [0, 1, 2, 3, 4]
    backwards = np.arange(40, dtype=np.int32)[::-1].copy()
    assert greedy(objective, build_constraints(40, 3), priority=backwards).rows.tolist() == [39, 38, 37]


@given(seeds, st.booleans())
@settings(max_examples=40, deadline=None)
def test_gains_diminish(seed, signed):
    objective = random_objective(seed, 40, 10, signed=signed)
    gains = greedy(objective, build_constraints(40, 40)).gains
    assert np.all(np.diff(gains) <= 1e-9)


def test_a_budget_of_rows_is_spent_also_where_every_gain_is_negative():
    objective = random_objective(1, 30, 5)
    gloomy = with_bonus(objective, -np.arange(1.0, 31.0))
    assert greedy(gloomy, build_constraints(30, 4)).rows.tolist() == [0, 1, 2, 3]


def test_a_budget_of_tokens_is_left_where_no_gain_is_positive():
    objective = with_bonus(random_objective(1, 30, 5), np.where(np.arange(30) < 3, 1.0, -1.0))
    found = maximise(objective, build_constraints(30, 1000, tokens=np.full(30, 10)))
    assert sorted(found.rows.tolist()) == [0, 1, 2]


SHARES = [
    {"max_share": {"source": {"a": 0.3}}},
    {"max_share": {"source": {"a": 0.4, "b": 0.4}}, "min_share": {"source": {"c": 0.1}}},
    {"max_share": {"source": {"a": 0.5}}, "min_share": {"language": {"de": 0.4}}},
    {"min_share": {"source": {"c": 0.2, "b": 0.3}, "language": {"de": 0.5}}},
]


@given(seeds, st.integers(0, len(SHARES) - 1), st.booleans(), st.lists(st.integers(0, 59), max_size=3))
@settings(max_examples=150, deadline=None)
def test_constraints_hold_wherever_they_can(seed, which, by_tokens, include):
    objective = random_objective(seed, 60, 8, signed=True)
    tokens = np.random.default_rng(seed).integers(1, 20, 60) if by_tokens else None
    constraints = constraints_or_none(
        60,
        220 if by_tokens else 20,
        tokens=tokens,
        attributes=random_attributes(seed, 60),
        include=np.array(include, dtype=np.int64),
        **SHARES[which],
    )
    if constraints is None:
        return
    try:
        found = maximise(objective, constraints)
    except UserError:
        if not by_tokens:  # to the token, floors can be out of reach; in rows never
            raise
        return
    assert constraints.violations(found.rows) == []
    assert found.value == pytest.approx(objective.value(found.rows), abs=1e-9)


@given(seeds, st.integers(0, len(SHARES) - 1))
@settings(max_examples=40, deadline=None)
def test_rows_are_found_for_every_feasible_set_of_constraints_and_errors_are_true(seed, which):
    attributes = random_attributes(seed, 9)
    constraints = constraints_or_none(9, 5, attributes=attributes, **SHARES[which])
    groups = {**SHARES[which].get("max_share", {}), **SHARES[which].get("min_share", {})}
    assert groups
    if constraints is not None:
        objective = random_objective(seed, 9, 6)
        best = max(objective.value(rows) for rows in feasible_sets(constraints, 9))
        found = greedy(objective, constraints)
        assert constraints.violations(found.rows) == []
        assert found.value >= 0.5 * best - 1e-9


def test_caps_hold_on_attributes_that_overlap_in_every_way():
    n = 400
    attributes = {name: np.arange(n) // step % 3 for name, step in (("x", 1), ("y", 3), ("z", 9))}
    caps = {name: {"0": 0.34, "1": 0.34, "2": 0.34} for name in attributes}
    objective = random_objective(2, n, 12, signed=True)
    constraints = build_constraints(n, 60, attributes=attributes, max_share=caps)
    found = greedy(objective, constraints)
    assert constraints.violations(found.rows) == []


def test_floors_of_tokens_that_need_rows_which_serve_two_are_filled():
    n = 200
    attributes = {"source": np.arange(n) % 2, "language": np.arange(n) // 2 % 2}
    floors = {"source": {"1": 0.7}, "language": {"1": 0.7}}
    objective = random_objective(2, n, 12)
    tokens = np.full(n, 5)
    constraints = build_constraints(n, 300, tokens=tokens, attributes=attributes, min_share=floors)
    found = maximise(objective, constraints)
    assert constraints.violations(found.rows) == []


def test_tokens_take_the_better_of_two_strategies_and_report_both():
    objective = random_objective(4, 300, 20)
    tokens = np.random.default_rng(0).integers(1, 100, 300)
    constraints = build_constraints(300, 900, tokens=tokens)
    found = maximise(objective, constraints)
    both = [greedy(objective, constraints), greedy(objective, constraints, per_cost=True)]
    assert found.value == max(run.value for run in both)
    assert found.other_value == min(run.value for run in both)
    assert tokens[found.rows].sum() <= 900


def test_progress_is_told_up_to_the_budget_and_changes_nothing():
    objective = random_objective(4, 3000, 20)
    told = []
    constraints = build_constraints(3000, 1000)
    watched = greedy(objective, constraints, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (1000, 1000)
    assert len(told) >= 3
    assert watched.rows.tolist() == greedy(objective, constraints).rows.tolist()


@pytest.mark.slow
def test_selection_is_the_same_whatever_the_thread_count():
    code = (
        "from tags_assets.method.selection.constraints import build_constraints\n"
        "from tags_assets.method.selection.solver import greedy\n"
        "from tags_assets_tests.method.selection.problems import random_objective\n"
        "found = greedy(random_objective(7, 5000, 60, signed=True), build_constraints(5000, 200))\n"
        "print(hash((found.rows.tobytes(), found.gains.tobytes())))\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={
                **os.environ,
                "NUMBA_NUM_THREADS": threads,
                "OMP_NUM_THREADS": threads,
                "PYTHONHASHSEED": "0",
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(answers) == 1
