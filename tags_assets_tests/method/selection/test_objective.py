from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tags_assets.method.selection.objective import fair_shares, node_weights, tree_objective
from tags_assets_tests.method.selection.problems import random_grounding, random_objective, small_tree


@given(st.integers(0, 5000))
@settings(max_examples=40, deadline=None)
def test_features_are_quality_times_mass_at_every_node_and_mass_at_every_leaf(seed):
    tree = small_tree((8, 4, 2), seed=seed)
    grounding = random_grounding(seed, 20, 8)
    quality = np.random.default_rng(seed).random(20)
    nodes = node_weights(tree, np.full(8, 1 / 8), 2.5)
    objective = tree_objective(grounding, tree, quality, nodes, coverage_capacity=np.ones(8))
    dense = sparse.csr_array(
        (objective.values, objective.indices, objective.indptr), shape=(20, tree.n_nodes + 8)
    ).toarray()
    above = (grounding @ tree.ancestors).toarray() * quality[:, None]
    above[:, nodes.weight == 0] = 0
    assert dense[:, : tree.n_nodes] == pytest.approx(above, abs=1e-6)
    assert dense[:, tree.n_nodes :] == pytest.approx(grounding.toarray(), abs=1e-6)


def test_without_a_target_there_are_features_of_nodes_alone():
    tree = small_tree((8, 3))
    nodes = node_weights(tree, np.full(8, 1 / 8), 2.5)
    objective = tree_objective(random_grounding(0, 20, 8), tree, np.ones(20), nodes)
    assert objective.n_features == tree.n_nodes
    assert tree.root not in objective.indices  # its branch has no length


def test_every_level_has_the_same_capacity_and_a_node_that_of_its_leaves():
    tree = small_tree((8, 4, 2))
    pool = np.arange(1.0, 9.0) / 36
    nodes = node_weights(tree, pool, 80, capacity_share=2.0)
    for level in range(3):
        assert nodes.capacity[tree.level == level].sum() == pytest.approx(160)
    assert nodes.capacity == pytest.approx(tree.ancestors.T @ nodes.capacity[:8])
    assert nodes.capacity[:8] == pytest.approx(160 * pool)


def test_fair_shares_go_from_the_tempered_pool_to_the_target():
    pool, target = np.array([0.64, 0.32, 0.04]), np.array([0.1, 0.2, 0.7])
    assert fair_shares(pool, target, 0.0) == pytest.approx(np.sqrt(pool) / np.sqrt(pool).sum())
    assert fair_shares(pool, target, 1.0) == pytest.approx(target)
    assert fair_shares(pool, target, 0.5).sum() == pytest.approx(1)


@given(st.integers(0, 5000), st.booleans())
@settings(max_examples=40, deadline=None)
def test_gains_are_differences_of_values_and_lie_under_the_gradient(seed, signed):
    objective = random_objective(seed, 15, 6, signed=signed)
    held = np.array([1, 4, 9])
    mass = objective.masses(held)
    gains = objective.gains(mass)
    for row in (0, 2, 14):
        assert gains[row] == pytest.approx(objective.value(np.append(held, row)) - objective.value(held))
    assert np.all(gains <= objective.gradient(mass) + 1e-12)


def test_shares_of_rows_add_up_to_shares_of_masses():
    objective = random_objective(0, 15, 6)
    rows = np.array([2, 7])
    halves = objective.masses(rows, np.array([0.5, 0.5]))
    assert halves == pytest.approx(objective.masses(rows) / 2)
