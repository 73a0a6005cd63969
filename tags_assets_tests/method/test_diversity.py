from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tags_assets.method.diversity import diversity
from tags_assets_tests.method.trees import small_tree

TREE = small_tree(60)

masses = hnp.arrays(np.float64, TREE.n_leaves, elements=st.one_of(st.just(0.0), st.floats(1e-3, 1e3)))


def leaf_distances():
    """Length of the way between each two leaves, the slow and sure way."""
    above = TREE.ancestors.toarray()
    apart = np.abs(above[:, None, :] - above[None, :, :])
    return apart @ TREE.branch_length


@settings(max_examples=60, deadline=None)
@given(masses)
def test_raos_entropy_is_the_mean_distance_of_two_draws(mass):
    found = diversity(mass, TREE).rao
    if mass.sum() == 0:
        assert found == 0
        return
    share = mass / mass.sum()
    assert found == pytest.approx(share @ leaf_distances() @ share, abs=1e-9)
    assert 0 <= found <= leaf_distances().max() * (1 - 1 / np.count_nonzero(share)) + 1e-9


@settings(max_examples=60, deadline=None)
@given(masses, masses)
def test_faiths_diversity_grows_with_the_set(one, more):
    smaller, larger = diversity(one, TREE), diversity(one + more, TREE)
    assert smaller.faith_pd <= larger.faith_pd + 1e-12
    assert 0 <= larger.faith_pd_share <= 1 + 1e-12
    assert np.all(smaller.levels["covered"].to_numpy() <= larger.levels["covered"].to_numpy())


@settings(max_examples=60, deadline=None)
@given(masses)
def test_hill_numbers_fall_with_their_order_and_grow_towards_the_leaves(mass):
    levels = diversity(mass, TREE).levels
    orders = levels.select("hill_0", "hill_1", "hill_2").to_numpy()
    assert np.all(np.diff(orders, axis=1) <= 1e-9)
    assert np.all(np.diff(orders, axis=0) <= 1e-9)


def test_even_mass_counts_every_leaf():
    levels = diversity(np.ones(TREE.n_leaves), TREE).levels
    assert levels["hill_2"][0] == pytest.approx(TREE.n_leaves)
    assert diversity(np.ones(TREE.n_leaves), TREE).faith_pd_share == pytest.approx(1.0)


def test_scale_does_not_matter():
    mass = np.random.default_rng(0).random(TREE.n_leaves)
    assert diversity(mass, TREE).rao == pytest.approx(diversity(7 * mass, TREE).rao)
