from __future__ import annotations

import numpy as np
import pytest

from tags_assets.method.selection.alignment import target_from_examples
from tags_assets.method.selection.request import Budget, MaxKL, SelectionRequest
from tags_assets.method.selection.selector import select
from tags_assets_tests.method.selection.problems import random_attributes, random_grounding, small_tree

N, K = 600, 60


@pytest.fixture(scope="module")
def pool():
    tree = small_tree((40, 12, 4), seed=1)
    grounding = random_grounding(1, N, 40)
    quality = np.random.default_rng(1).beta(5, 2, N)
    supply = np.asarray(grounding.sum(axis=0)).ravel()
    examples = random_grounding(9, 12, 6, most=2)
    examples.resize((12, 40))
    return grounding, tree, quality, target_from_examples(examples, tree, supply)


@pytest.fixture(scope="module")
def before(pool):
    """Selected when the scores were a little other than now."""
    grounding, tree, quality, target = pool
    then = np.clip(quality + np.random.default_rng(2).normal(size=N) * 0.15, 0.05, 1)
    return np.sort(select(grounding, tree, then, target, SelectionRequest(budget=Budget(rows=K))).rows)


def run(pool, **request):
    return select(*pool, SelectionRequest(**{"budget": Budget(rows=K), **request}))


def test_more_stability_keeps_more_rows_and_costs_more(pool, before):
    plain = run(pool)
    assert plain.figures.rows_kept is None
    kept, cost = [len(np.intersect1d(plain.rows, before))], [0.0]
    for stability in (0.1, 0.3, 1.0):
        figures = run(pool, stability=stability, previous=before).figures
        assert figures.stability == stability
        assert figures.value_without_stability == pytest.approx(plain.figures.value)
        assert figures.rows_kept_without_stability == kept[0]
        assert figures.rows_kept + figures.rows_dropped == figures.rows_kept + figures.rows_added == K
        kept.append(figures.rows_kept)
        cost.append(figures.value_without_stability - figures.value)
    assert kept == sorted(kept)
    assert kept[-1] > kept[0]
    assert cost == sorted(cost)
    assert 0 < cost[-1] < 0.1


def test_none_is_asked_for_nothing_changes(pool, before):
    plain = run(pool)
    for request in ({"stability": 0.0, "previous": before}, {"stability": 1.0, "previous": None}):
        assert np.array_equal(run(pool, **request).rows, plain.rows)


def test_rows_selected_before_and_best_anyway_leave_the_selection_as_it_is(pool):
    plain = run(pool)
    again = run(pool, stability=0.5, previous=np.sort(plain.rows))
    assert np.array_equal(again.rows, plain.rows), "the same rows in the same order"
    assert np.allclose(again.gains, plain.gains)
    assert again.figures.value == pytest.approx(plain.figures.value)


def test_gains_are_those_of_the_objective_and_add_up(pool, before):
    found = run(pool, stability=0.5, previous=before)
    assert found.gains.sum() == pytest.approx(found.figures.value)
    assert np.abs(found.attribution.totals(K).sum(axis=1) - found.gains).max() < 1e-9
    assert found.figures.value <= found.figures.bound
    assert any("Stability 0.5 kept" in message for message in found.messages)


def test_constraints_hold_and_rows_that_must_be_in_come_first(pool, before):
    attributes = random_attributes(3, N)
    include = np.array([5, 17])
    found = run(
        pool,
        stability=1.0,
        previous=before,
        attributes=attributes,
        max_share={"source": {"a": 0.3}},
        min_share={"language": {"de": 0.5}},
        include=include,
    )
    assert (attributes["source"][found.rows] == "a").sum() <= 0.3 * K
    assert (attributes["language"][found.rows] == "de").sum() >= 0.5 * K
    assert set(found.rows[:2].tolist()) == {5, 17}


def test_tokens_are_not_overspent(pool, before):
    tokens = np.random.default_rng(4).integers(50, 400, N)
    request = {"budget": Budget(tokens=9000), "tokens": tokens}
    plain, found = run(pool, **request), run(pool, **request, stability=1.0, previous=before)
    assert tokens[found.rows].sum() <= 9000
    assert found.figures.rows_kept > len(np.intersect1d(plain.rows, before))


def test_a_ceiling_on_the_kl_is_kept(pool):
    far = np.arange(K)  # rows chosen for nothing, which would break any ceiling
    ceiling = run(pool, alignment=MaxKL(0.35)).figures.kl
    figures = run(pool, alignment=MaxKL(0.35), stability=1.0, previous=far).figures
    assert figures.kl <= max(0.35, ceiling) + 1e-9
