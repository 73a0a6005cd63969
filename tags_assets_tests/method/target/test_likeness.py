from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from tags_assets.method.target.likeness import (
    ENOUGH_EXAMPLES,
    KERNEL,
    MOST_EXAMPLES,
    NARROWING,
    likeness,
    relevance,
)
from tags_assets.method.text.embedding import unit


def pool(seed=0, n=400, dims=12):
    rng = np.random.default_rng(seed)
    return unit(rng.normal(size=(n, dims)) * np.linspace(2, 0.5, dims) + 1.5)


def test_it_is_the_log_ratio_of_two_densities_with_one_kernel():
    rows = pool()
    examples = rows[:12]
    mean = rows.mean(axis=0)
    x, wanted = unit(rows - mean).astype(float), unit(examples - mean).astype(float)
    moments = x.T @ x / len(x)
    kappa = KERNEL / np.linalg.norm(x @ x.T / len(x)) * 12**NARROWING
    density = np.log(np.exp(kappa * x @ wanted.T).mean(axis=1))
    expected = density - kappa**2 / 2 * np.einsum("ij,jk,ik->i", x, moments, x)
    assert likeness(examples, rows) == pytest.approx(expected, abs=1e-5)


def test_the_pool_s_side_is_its_kernel_density_to_second_order():
    rows = pool(n=2000, dims=40)
    x = unit(rows - rows.mean(axis=0)).astype(float)
    kappa = 0.8 / np.linalg.norm(x.T @ x / len(x))
    exact = np.log(np.exp(kappa * x @ x.T).mean(axis=1))
    second_order = kappa**2 / 2 * np.einsum("ij,jk,ik->i", x, x.T @ x / len(x), x)
    assert np.corrcoef(exact, second_order)[0, 1] > 0.9


def test_a_few_examples_are_filled_up_by_the_rows_most_like_them():
    rows = pool(n=500)
    examples = rows[:3]
    mean = rows.mean(axis=0)
    x, wanted = unit(rows - mean).astype(float), unit(examples - mean).astype(float)
    spread = np.linalg.norm(x @ x.T / len(x))
    quadratic = np.einsum("ij,jk,ik->i", x, x.T @ x / len(x), x)

    def ratio(kernel, weight, n):
        kappa = KERNEL / spread * n**NARROWING
        return np.log(np.exp(kappa * x @ kernel.T) @ weight) - kappa**2 / 2 * quadratic

    first = ratio(wanted, np.full(3, 1 / 3), 3)
    nearest = x[np.argsort(-first)[:5]]  # one in a hundred
    weight = [0.1] * 3 + [(ENOUGH_EXAMPLES - 3) / 5 / ENOUGH_EXAMPLES] * 5
    expected = ratio(np.concatenate([wanted, nearest]), weight, ENOUGH_EXAMPLES)
    assert likeness(examples, rows) == pytest.approx(expected, abs=1e-4)


def test_one_example_of_a_kind_finds_more_of_it_with_the_rows_like_it():
    rng = np.random.default_rng(3)
    kind = rng.normal(size=40)
    rows = np.concatenate([pool(4, n=3000, dims=40), unit(rng.normal(size=(300, 40)) + 0.3 * kind)])
    example = unit(rng.normal(size=(1, 40)) * 1.2 + 0.3 * kind)
    mean = rows.mean(axis=0)
    nearest = np.argsort(-unit(rows - mean) @ unit(example - mean)[0])[:300]
    best = np.argsort(-likeness(example, rows))[:300]
    assert np.mean(best >= 3000) > np.mean(nearest >= 3000) + 0.05


def test_rows_of_the_examples_kind_come_first():
    rng = np.random.default_rng(1)
    kind = rng.normal(size=12)
    rows = np.concatenate([pool(2), unit(rng.normal(size=(40, 12)) * 0.4 + kind)])
    examples = unit(rng.normal(size=(5, 12)) * 0.4 + kind)
    best = np.argsort(-likeness(examples, rows))[:40]
    assert np.mean(best >= 400) > 0.8


def test_repeating_the_examples_only_narrows_the_kernel():
    rows = pool()
    once, twice = likeness(rows[:1], rows), likeness(rows[[0, 0]], rows)
    assert np.argmax(once) == np.argmax(twice) == 0


def test_of_more_examples_than_are_compared_the_evenly_spaced_are():
    rows = pool(n=2 * MOST_EXAMPLES)
    taken = rows[np.linspace(0, len(rows) - 1, MOST_EXAMPLES).astype(int)]
    assert np.array_equal(likeness(rows, rows[:50]), likeness(taken, rows[:50]))


def test_where_nothing_can_be_told_apart_all_rows_are_alike():
    rows = pool()
    assert likeness(rows[:0], rows).tolist() == [0.0] * 400
    assert likeness(rows[:3], rows[:0]).shape == (0,)
    same = np.repeat(rows[:1], 5, axis=0)
    assert np.allclose(likeness(rows[:3], same), likeness(rows[:3], same)[0])


def test_the_relevance_model_is_the_pool_s_grounding_weighed_by_the_tempered_density_ratio():
    rng = np.random.default_rng(0)
    dense = rng.dirichlet(np.ones(6), size=50)
    like = rng.normal(size=50)
    weight = np.exp(like * 5.0 * 64 ** (-1 / 6))
    expected = weight @ dense / weight.sum()
    assert relevance(like, sparse.csr_array(dense), 64) == pytest.approx(expected)


def test_rows_without_concepts_have_no_say_in_the_relevance_model():
    dense = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    like = np.array([0.0, 1.0, 800.0])  # would swallow the others
    found = relevance(like, sparse.csr_array(dense), 1)
    assert found == pytest.approx(np.array([1.0, np.exp(5.0)]) / (1 + np.exp(5.0)))
    assert relevance(like[2:], sparse.csr_array(dense[2:]), 1).tolist() == [0.0, 0.0]
