from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from tags_assets.method.tree import clustering
from tags_assets.method.tree.clustering import (
    blocks,
    group_sums,
    neighbours,
    number_by_first,
    sharpen,
    unit,
    ward,
    ward_in_blocks,
)


def points(n, n_dims=12, seed=0):
    return unit(np.random.default_rng(seed).normal(size=(n, n_dims)))


@pytest.mark.parametrize("n", [2, 3, 50, 700])
def test_ward_is_equal_to_scipys(n):
    x = points(n)
    merges = ward(x, np.ones(n))
    theirs = linkage(x.astype(np.float64), "ward")
    assert np.allclose(np.sqrt(2 * merges.height), theirs[:, 2], atol=2e-3)
    for k in {1, 2, n // 10, n // 3} - {0}:
        assert adjusted_rand_score(merges.cut(k), fcluster(theirs, k, "maxclust")) > 0.999


def test_a_weight_counts_like_as_many_points():
    x = points(40)
    weights = np.random.default_rng(1).integers(1, 4, 40)
    weighted = ward(x, weights).cut(7)
    repeated = ward(np.repeat(x, weights, axis=0), np.ones(weights.sum())).cut(7)
    assert adjusted_rand_score(np.repeat(weighted, weights), repeated) == 1.0


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 60), n_dims=st.integers(1, 4), seed=st.integers(0, 9), k=st.integers(1, 70))
def test_a_cut_has_the_clusters_asked_for_and_cuts_are_nested(n, n_dims, seed, k):
    merges = ward(np.round(points(n, n_dims, seed), 1), np.ones(n))
    fine, coarse = merges.cut(k), merges.cut(max(1, k // 2))
    assert len(np.unique(fine)) == min(k, n)
    assert len(np.unique(np.stack([fine, coarse], axis=1), axis=0)) == len(np.unique(fine))
    assert np.array_equal(fine, number_by_first(fine))


@pytest.mark.parametrize("x", [np.eye(300, dtype=np.float32), np.tile(points(1), (500, 1))])
def test_equal_distances_cost_no_more_than_others(x):
    # With ties broken by position every point's nearest is the first one, and each round merges one pair.
    rounds = 0
    look = clustering._nearest_in_block

    def counted(*args):
        nonlocal rounds
        rounds += 1
        look(*args)

    clustering._nearest_in_block = counted
    try:
        ward(x, np.ones(len(x)))
    finally:
        clustering._nearest_in_block = look
    assert rounds < 60


def test_the_number_of_threads_changes_nothing(monkeypatch):
    x = points(900, 32)
    many = ward(x, np.ones(900))
    monkeypatch.setattr(clustering.os, "sched_getaffinity", lambda _: {0})
    with threadpool_limits(1):
        one = ward(x, np.ones(900))
        assert np.array_equal(sharpen(x, 2.0), sharpen(x, 2.0))
    assert np.array_equal(one.left, many.left)
    assert np.array_equal(one.height, many.height)


def test_blocks_are_small_and_hold_everything():
    labels = blocks(points(1000), 90)
    assert np.bincount(labels).max() <= 90
    assert np.bincount(blocks(np.tile(points(1), (100, 1)), 9)).max() <= 9


def test_ward_in_blocks_never_joins_across_blocks():
    x = points(500)
    labels = blocks(x, 60)
    merged = ward_in_blocks(x, np.ones(500), block=60).cut(125)
    assert len(np.unique(merged)) == 125
    assert len(np.unique(np.stack([merged, labels], axis=1), axis=0)) == 125


def test_neighbours_are_the_nearest():
    x = points(400)
    at, product = neighbours(x, 5)
    products = x @ x.T
    np.fill_diagonal(products, -np.inf)
    assert np.allclose(product, -np.sort(-products, axis=1)[:, :5], atol=1e-5)
    assert np.allclose(np.take_along_axis(products, at, axis=1), product, atol=1e-5)


def test_sharpening_brings_the_points_of_a_direction_together():
    rng = np.random.default_rng(0)
    group = np.arange(200) % 2
    x = unit(rng.normal(size=(200, 50)) + 4.0 * np.where(group, 1, -1)[:, None] * np.eye(50)[0])

    def within(y):
        products = y @ y.T
        return products[group[:, None] == group].mean() - products[group[:, None] != group].mean()

    assert within(sharpen(x, 3.0)) > within(sharpen(x, 1.0))
    assert sharpen(x, 3.0).shape[1] < 50


def test_unit_makes_something_of_rows_without_direction():
    x = unit(np.array([[3.0, 4.0], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]]))
    assert np.allclose(x, [[0.6, 0.8], [1, 0], [1, 0], [1, 0]])


def test_group_sums_add_up():
    x = points(30, 3)
    sums = group_sums(np.arange(30) % 4, x, 5)
    assert np.allclose(sums[1], x[1::4].sum(axis=0), atol=1e-5)
    assert not sums[4].any()
