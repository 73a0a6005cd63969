from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.errors import UserError
from tags_assets.method.selection.certificate import certify, linear_maximum
from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.solver import maximise
from tags_assets_tests.method.selection.problems import (
    constraints_or_none,
    feasible_sets,
    random_attributes,
    random_objective,
    with_bonus,
)
from tags_assets_tests.method.selection.test_solver import SHARES


@given(
    st.integers(0, 10_000),
    st.one_of(st.none(), st.integers(0, len(SHARES) - 1)),
    st.booleans(),
    st.booleans(),
    st.sets(st.integers(0, 8), max_size=2),
    st.integers(0, 6),
)
@settings(max_examples=120, deadline=None)
def test_no_feasible_set_beats_the_bound(  # noqa: PLR0917 (hypothesis draws them)
    seed, which, by_tokens, signed, include, max_steps
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
    try:
        found = maximise(objective, constraints)
    except UserError:
        return
    if len(found.rows) == 0:
        return
    certificate = certify(objective, constraints, found.rows, max_steps=max_steps, goal=1.0)
    best = max(objective.value(rows) for rows in feasible_sets(constraints, n))
    assert certificate.bound >= best
    assert 0 <= certificate.ratio <= 1
    if certificate.value > 0:
        assert certificate.ratio <= certificate.value / best + 1e-9


def test_frank_wolfe_steps_only_tighten_the_bound():
    objective = random_objective(1, 500, 30)
    constraints = build_constraints(500, 60)
    rows = maximise(objective, constraints).rows
    bounds = [certify(objective, constraints, rows, max_steps=n, goal=1.0).bound for n in (0, 5, 50)]
    assert bounds[0] >= bounds[1] >= bounds[2]
    assert objective.value(rows) / bounds[2] > 0.99


def test_the_certificate_of_a_large_selection_is_at_least_99_percent():
    objective = random_objective(1, 20_000, 400, signed=True)
    constraints = build_constraints(20_000, 1000)
    rows = maximise(objective, constraints).rows
    assert certify(objective, constraints, rows).ratio >= 0.99


def test_a_value_below_zero_is_certified_after_a_shift():
    objective = with_bonus(random_objective(1, 30, 5), -np.arange(1.0, 31.0))
    constraints = build_constraints(30, 4)
    certificate = certify(objective, constraints, maximise(objective, constraints).rows)
    assert certificate.shift > 0
    assert certificate.ratio == pytest.approx(1.0)
    worse = certify(objective, constraints, np.array([26, 27, 28, 29]))
    assert worse.ratio < certificate.ratio


@pytest.mark.parametrize("which", range(len(SHARES)))
def test_the_linear_maximum_over_groups_is_that_of_the_linear_program(which):
    from scipy.optimize import linprog

    n = 60
    rng = np.random.default_rng(which)
    attributes = random_attributes(which, n)
    for tokens in (None, rng.integers(1, 20, n)):
        budget = 15 if tokens is None else 200
        constraints = build_constraints(n, budget, tokens=tokens, attributes=attributes, **SHARES[which])
        reward = rng.normal(size=n)
        held = constraints.class_groups[constraints.row_class].T * constraints.cost
        limits = np.concatenate([np.minimum(constraints.caps, budget), -constraints.floors])
        rules = {"A_ub": np.vstack([held, -held]), "b_ub": limits}
        total = constraints.cost[None, :].astype(float)
        if tokens is None:
            rules |= {"A_eq": total, "b_eq": [budget]}
        else:
            rules = {"A_ub": np.vstack([rules["A_ub"], total]), "b_ub": np.append(limits, budget)}
        exact = -linprog(-reward, bounds=(0, 1), **rules).fun
        found, _ = linear_maximum(reward, constraints)
        assert found.bound >= exact - 1e-9
        assert found.bound == pytest.approx(exact, rel=1e-4)
        assert held @ found.share == pytest.approx(
            np.clip(
                held @ found.share, constraints.floors - 1e-3, np.minimum(constraints.caps, budget) + 1e-3
            )
        )
