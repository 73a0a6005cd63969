"""Diversity of a set: Faith, Rao, Hill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tags_assets.method.selection.diversity import LEVEL_SCHEMA, diversity
from tags_assets_tests.method.tree.trees import small_tree

TREE = small_tree()

MASSES = arrays(np.float64, TREE.n_leaves, elements=st.one_of(st.just(0.0), st.floats(1e-3, 1e3)))


def tree_distances(tree):
    """Branch length on the way between each two leaves, one by one."""
    way = [
        {v: tree.branch_length[v] for v in tree.ancestors[[leaf]].indices} for leaf in range(tree.n_leaves)
    ]
    return np.array([[sum({**a, **b}[v] for v in a.keys() ^ b.keys()) for b in way] for a in way])


DISTANCES = tree_distances(TREE)


@settings(max_examples=60, deadline=None)
@given(MASSES, MASSES)
def test_faith_never_falls_when_rows_are_added(mass, more):
    one, both = diversity(mass, TREE), diversity(mass + more, TREE)
    assert both.faith_pd >= one.faith_pd - 1e-9
    assert 0 <= one.faith_pd_share <= both.faith_pd_share + 1e-12 <= 1 + 1e-9


@settings(max_examples=60, deadline=None)
@given(MASSES)
def test_rao_is_the_mean_distance_of_two_draws(mass):
    total = mass.sum()
    share = mass / total if total > 0 else mass
    rao = diversity(mass, TREE).rao
    assert rao == pytest.approx(share @ DISTANCES @ share, abs=1e-9)
    assert -1e-12 <= rao <= DISTANCES.max()


@settings(max_examples=60, deadline=None)
@given(MASSES, st.floats(1e-3, 1e3))
def test_measures_do_not_depend_on_the_scale_of_the_mass(mass, factor):
    one, other = diversity(mass, TREE), diversity(mass * factor, TREE)
    assert one.faith_pd == pytest.approx(other.faith_pd)
    assert one.rao == pytest.approx(other.rao, abs=1e-9)
    assert np.allclose(one.levels["hill_1"].to_numpy(), other.levels["hill_1"].to_numpy())


@settings(max_examples=60, deadline=None)
@given(MASSES)
def test_hill_numbers_fall_with_their_order_and_stay_within_the_nodes(mass):
    levels = diversity(mass, TREE).levels
    assert dict(levels.schema) == LEVEL_SCHEMA
    hill = levels.select("hill_0", "hill_1", "hill_2").to_numpy()
    assert (np.diff(hill, axis=1) <= 1e-9).all()
    assert (levels["covered"] == levels["hill_0"]).all()
    assert (levels["covered"] <= levels["nodes"]).all()


def test_even_mass_over_the_leaves_counts_each():
    leaves = diversity(np.ones(TREE.n_leaves), TREE).levels.row(0, named=True)
    assert leaves["hill_1"] == pytest.approx(TREE.n_leaves)
    assert leaves["hill_2"] == pytest.approx(TREE.n_leaves)


def test_the_whole_tree_is_covered_by_all_leaves():
    found = diversity(np.ones(TREE.n_leaves), TREE)
    assert found.faith_pd_share == pytest.approx(1)
    assert found.faith_pd == pytest.approx(TREE.branch_length.sum())


def test_one_leaf_has_no_entropy_and_no_mass_has_nothing():
    mass = np.zeros(TREE.n_leaves)
    assert diversity(mass, TREE).faith_pd == 0
    mass[3] = 2.5
    assert diversity(mass, TREE).rao == pytest.approx(0, abs=1e-12)
