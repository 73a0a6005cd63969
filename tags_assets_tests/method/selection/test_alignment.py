from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.method.selection.alignment import (
    closeness,
    coverage_objective,
    departure,
    kl,
    kl_floor,
    prior,
    sample_distribution,
    shortages,
    target_from_examples,
    target_from_pool,
)
from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.solver import greedy
from tags_assets_tests.method.selection.problems import random_grounding, small_tree


def problem(seed, n_rows=10, n_examples=4):
    tree = small_tree((8, 3), seed=seed)
    grounding = random_grounding(seed, n_rows, 8)
    supply = np.asarray(grounding.sum(axis=0)).ravel()
    target = target_from_examples(random_grounding(seed + 1, n_examples, 8), tree, supply)
    return tree, grounding, target


@given(st.integers(0, 5000), st.integers(1, 5), st.integers(0, 8))
@settings(max_examples=80, deadline=None)
def test_no_selection_has_a_kl_under_the_floor(seed, n_picks, max_steps):
    _, grounding, target = problem(seed)
    capacity = prior(target, n_picks)
    floor = kl_floor(target, grounding, n_picks, capacity, max_steps=max_steps)
    mass = grounding.toarray()
    reached = [
        kl(target.mass, sample_distribution(mass[list(rows)].sum(axis=0), capacity))
        for rows in combinations(range(10), n_picks)
    ]
    assert 0 <= floor <= min(reached)


def test_the_floor_is_tight_where_rows_hold_one_concept_each():
    tree = small_tree((8, 3))
    grounding = random_grounding(0, 400, 8, most=1)
    supply = np.asarray(grounding.sum(axis=0)).ravel()
    target = target_from_examples(random_grounding(1, 4, 8, most=1), tree, supply)
    capacity = prior(target, 100)
    counts = np.minimum(np.round(target.mass * 100), supply)
    near = kl(target.mass, sample_distribution(counts, capacity))
    assert kl_floor(target, grounding, 100, capacity) == pytest.approx(near, abs=0.02)


def test_the_floor_is_near_what_is_found_where_rows_are_mixtures():
    _, grounding, target = problem(3, n_rows=300)
    capacity = prior(target, 60)
    coverage = coverage_objective(target, grounding, capacity)
    rows = greedy(coverage, build_constraints(300, 60)).rows
    found = kl(target.mass, sample_distribution(grounding.toarray()[rows].sum(axis=0), capacity))
    floor = kl_floor(target, grounding, 60, capacity)
    assert found - 0.01 <= floor <= found


@given(st.integers(0, 5000))
@settings(max_examples=30, deadline=None)
def test_coverage_is_minus_kl_but_for_a_constant(seed):
    _, grounding, target = problem(seed)
    capacity = prior(target, 4)
    coverage = coverage_objective(target, grounding, capacity)
    mass = grounding.toarray()
    totals = [
        coverage.value(np.array(rows))
        + kl(target.mass, sample_distribution(mass[list(rows)].sum(axis=0), capacity))
        for rows in combinations(range(10), 4)
    ]
    assert np.ptp(totals) < 1e-6


@given(st.integers(0, 5000))
@settings(max_examples=30, deadline=None)
def test_mean_closeness_is_how_much_nearer_the_raw_sample_is_to_the_target_than_to_the_pool(seed):
    _, grounding, target = problem(seed)
    rows = np.array([0, 3, 4, 7])
    raw = grounding.toarray()[rows].sum(axis=0) / 4
    assert closeness(grounding, target)[rows].mean() == pytest.approx(
        kl(raw, target.pool) - kl(raw, target.mass)
    )


def test_a_leaf_without_a_pick_counts_as_the_pool_has_it():
    tree, grounding, _ = problem(0)
    target = target_from_pool(tree, np.asarray(grounding.sum(axis=0)).ravel())
    assert sample_distribution(np.zeros(8), prior(target, 10)) == pytest.approx(target.pool)


def test_shortages_name_the_concepts_that_the_pool_lacks_most_first():
    tree = small_tree((8, 3))
    grounding = random_grounding(0, 100, 4)  # leaves 4 to 7 have no row
    grounding.resize((100, 8))
    supply = np.asarray(grounding.sum(axis=0)).ravel()
    wanted = random_grounding(1, 6, 8, most=1)
    target = target_from_examples(wanted, tree, supply, back_off=np.array([0.98, 0.01, 0.01]))
    short = shortages(target, tree, 100, reached=supply)
    assert (short["missing"].to_numpy()[:-1] >= short["missing"].to_numpy()[1:]).all()
    assert short["missing"].to_numpy() == pytest.approx((short["wanted"] - short["supply"]).to_numpy())
    missed = set(np.flatnonzero(wanted.sum(axis=0) > 0)) & {4, 5, 6, 7}
    assert {f"n{leaf}" for leaf in missed} <= set(short["node_id"])
    assert shortages(target, tree, 0.001).is_empty()


def test_rows_depart_by_the_length_of_their_concepts_sum_and_never_by_nothing():
    tree, grounding, target = problem(2, n_rows=40)
    found = departure(grounding, target, tree)
    leaves = tree.vectors[:8] - target.pool @ tree.vectors[:8]
    leaves /= np.linalg.norm(leaves, axis=1, keepdims=True)
    length = np.linalg.norm(grounding.toarray() @ leaves, axis=1)
    assert found == pytest.approx(np.maximum(length, length.mean() / 4), rel=1e-5)
    assert departure(grounding[:0].tocsr(), target, tree).shape == (0,)
