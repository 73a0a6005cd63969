from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tags_assets.errors import UserError
from tags_assets.method.target.distribution import (
    RELEVANCE_EXAMPLES,
    PoolText,
    TargetDistribution,
    back_off_weights,
    target_from_description,
    target_from_examples,
    target_from_pool,
    target_from_weights,
)
from tags_assets_tests.method.selection.problems import random_grounding, small_tree

#      0      1        2       3        4        5       6             7          8         9
NAMES = ("sums", "areas", "loops", "lists", "tides", "rain", "mathematics", "python", "weather", "everything")


def named_tree():
    return small_tree((6, 3), names=NAMES)


@given(st.integers(0, 5000), st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_every_target_is_positive_on_every_leaf_and_sums_to_one(seed, n_examples):
    tree = small_tree((8, 4, 2), seed=seed)
    supply = np.asarray(random_grounding(seed, 30, 8).sum(axis=0)).ravel()
    supply[0] = 0.0
    vector = np.random.default_rng(seed).normal(size=(2, 6))
    targets = [
        target_from_pool(tree, supply),
        target_from_examples(random_grounding(seed, n_examples, 8), tree, supply),
        target_from_weights({"n9": 2.0, "concept 3": 1.0}, tree, supply),
        target_from_description(
            (vector / np.linalg.norm(vector, axis=1)[:, None]).astype(np.float32), tree, supply
        ),
    ]
    for target in targets:
        assert np.all(target.mass > 0)
        assert target.mass.sum() == pytest.approx(1)
        assert target.pool.sum() == pytest.approx(1)
        assert len(target.origin) == 8
    assert targets[0].is_pool
    assert not targets[2].is_pool


def test_a_target_survives_its_table():
    tree = small_tree((8, 3))
    supply = np.arange(8.0)
    target = target_from_examples(random_grounding(0, 5, 8), tree, supply)
    frame = target.to_frame(tree)
    back = TargetDistribution.from_frame(frame.sample(fraction=1, shuffle=True, seed=1), tree, "examples")
    assert back.mass == pytest.approx(target.mass)
    assert back.supply == pytest.approx(supply)
    assert back.origin == target.origin
    assert frame.columns == ["node_id", "mass", "pool_mass", "supply", "origin"]


def leaves_of(tree, node):
    return np.flatnonzero(tree.ancestors.toarray()[:, node])


def test_each_step_of_the_back_off_weighs_less_than_the_one_below_and_the_last_is_the_pool():
    weights = back_off_weights(small_tree((40, 8, 3)))
    assert weights.sum() == pytest.approx(1)
    assert weights[-1] == pytest.approx(0.03)
    assert weights[1:-1] == pytest.approx(weights[:-2] * 0.7)
    assert back_off_weights(small_tree((3,))).sum() == pytest.approx(1)


def test_a_share_above_the_leaf_is_spread_as_the_pool_spreads_it():
    tree = small_tree((8, 3), seed=1)
    supply = np.arange(1.0, 9.0) * 1000
    example = sparse.csr_array(([1.0], ([0], [0])), shape=(1, 8))
    target = target_from_examples(example, tree, supply, back_off=np.array([0.0, 1.0, 0.0]))
    under = leaves_of(tree, int(tree.parent[0]))
    assert target.mass[under] == pytest.approx(target.pool[under] / target.pool[under].sum())
    assert target.mass.sum() == pytest.approx(1)


def test_examples_without_a_concept_are_counted_and_none_with_one_is_an_error():
    tree = small_tree((8, 3))
    some = sparse.csr_array(([1.0], ([1], [2])), shape=(3, 8))
    assert target_from_examples(some, tree, np.ones(8)).notes == (
        "2 of 3 examples have no concept of the tree",
    )
    with pytest.raises(UserError, match="none of the 3 examples"):
        target_from_examples(sparse.csr_array((3, 8)), tree, np.ones(8))


def test_weights_count_relative_to_each_other_and_fall_as_the_pool_falls():
    tree, supply = named_tree(), np.arange(1.0, 7.0) * 1000
    target = target_from_weights({"Mathematics": 3, "n7": 1}, tree, supply)
    under = {name: leaves_of(tree, NAMES.index(name)) for name in ("mathematics", "python", "weather")}
    share = {name: target.mass[leaves].sum() for name, leaves in under.items()}
    assert share["mathematics"] / share["python"] == pytest.approx(3, rel=0.1)
    assert share["weather"] < 0.02
    maths = under["mathematics"]
    assert target.mass[maths] / target.mass[maths].sum() == pytest.approx(
        supply[maths] / supply[maths].sum(), rel=0.01
    )
    assert target.origin[maths[0]] == "weight on mathematics"


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"mathmatics": 1.0}, "Did you mean 'mathematics'"),
        ({"python": -1.0}, "weights are 0 or more"),
        ({"python": float("nan")}, "weights are 0 or more"),
        ({"python": 0.0}, "all weights are 0"),
    ],
)
def test_wrong_weights_are_one_line_that_names_them(weights, said):
    with pytest.raises(UserError, match=said) as caught:
        target_from_weights(weights, named_tree(), np.ones(6), where="maths.yaml: target.weights")
    assert str(caught.value).startswith("maths.yaml: target.weights")


def test_weights_are_like_the_text_of_the_rows_under_their_nodes():
    tree = named_tree()
    leaf = np.repeat(np.arange(6), 200)
    rng = np.random.default_rng(0)
    grounding = sparse.csr_array((np.ones(1200), (np.arange(1200), leaf)), shape=(1200, 6))
    vectors = np.eye(6, dtype=np.float32)[leaf] + 0.3 * rng.normal(size=(1200, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    supply = np.full(6, 200.0)
    target = target_from_weights(
        {"sums": 3, "rain": 1}, tree, supply, row_vectors=vectors, grounding=grounding
    )
    like = np.array([target.likeness[leaf == v].mean() for v in range(6)])
    assert like.argsort()[-2:].tolist() == [5, 0]  # rain, and above it sums, which weighs more
    assert target_from_weights({"sums": 3}, tree, supply).likeness is None


def test_weights_on_a_node_without_rows_have_no_likeness():
    grounding = sparse.csr_array((np.ones(2), ([0, 1], [0, 0])), shape=(2, 6))
    vectors = np.eye(2, dtype=np.float32)
    supply = np.array([2.0, 0, 0, 0, 0, 0])
    target = target_from_weights({"rain": 1}, named_tree(), supply, row_vectors=vectors, grounding=grounding)
    assert target.likeness is None


def test_a_description_asks_for_the_concepts_of_the_rows_that_lie_nearest():
    tree = small_tree((30, 8, 3), seed=4)
    rng = np.random.default_rng(0)
    grounding = random_grounding(0, 300, 30, most=2)
    rows = (grounding @ tree.vectors[:30]) + rng.normal(size=(300, 6)) * 0.01 + 0.5
    rows = (rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float32)
    nearest = np.flatnonzero(grounding[:, [5]].toarray()[:, 0] == 1)
    supply = np.asarray(grounding.sum(axis=0)).ravel()
    described = rows[nearest].mean(axis=0, keepdims=True)
    target = target_from_description(described, tree, supply, row_vectors=rows, grounding=grounding)
    assert int(np.argmax(target.mass / target.pool)) == 5
    assert target.kind == "description"
    assert not any("examples" in where for where in target.origin)


def of_two_subjects():
    """Rows of two subjects, half of leaves 0 to 4 and half of 5 to 9; vectors tell the subjects apart."""
    rng = np.random.default_rng(0)
    leaves = np.concatenate([rng.integers(0, 5, size=(150, 2)), rng.integers(5, 10, size=(150, 2))])
    grounding = sparse.csr_array((np.full(600, 0.5), leaves.ravel(), np.arange(0, 601, 2)), shape=(300, 10))
    grounding.sum_duplicates()
    subject = np.repeat([[1.0, 0.0, 0.3], [0.0, 1.0, 0.3]], 150, axis=0)
    vectors = subject + rng.normal(size=(300, 3)) * 0.1
    return grounding, (vectors / np.linalg.norm(vectors, axis=1)[:, None]).astype(np.float32)


def test_rows_like_the_examples_say_what_the_examples_leave_out():
    tree = small_tree((10, 3), seed=2)
    grounding, vectors = of_two_subjects()
    supply = np.asarray(grounding.sum(axis=0)).ravel()
    told = np.array([0, 1])  # two rows, so at most four of the five concepts of their subject
    text = PoolText(vectors[told], vectors, grounding)
    alone = target_from_examples(grounding[told], tree, supply)
    both = target_from_examples(grounding[told], tree, supply, text=text)
    unseen = np.setdiff1d(np.arange(5), grounding[told].indices)
    assert len(unseen) > 0
    assert np.all(both.mass[unseen] > 1.5 * alone.mass[unseen])
    assert both.mass[:5].sum() > 0.85
    assert both.relevance == pytest.approx(RELEVANCE_EXAMPLES / (2 + RELEVANCE_EXAMPLES))
    assert both.mass.sum() == pytest.approx(1)
    assert {both.origin[leaf] for leaf in unseen} == {"rows like the examples"}
    assert both.notes == ("2 examples are few: the pool's rows most like them stand in for 8 more",)
    assert alone.notes == ()


def test_many_examples_speak_for_themselves():
    tree = small_tree((10, 3), seed=2)
    grounding, vectors = of_two_subjects()
    supply = np.asarray(grounding.sum(axis=0)).ravel()
    many = np.tile(np.arange(20), 500)
    text = PoolText(vectors[many], vectors, grounding)
    alone = target_from_examples(grounding[many], tree, supply)
    both = target_from_examples(grounding[many], tree, supply, text=text)
    assert both.relevance < 0.01
    assert both.notes == ()
    assert both.mass == pytest.approx(alone.mass, abs=0.01)


def test_without_rows_a_description_asks_for_the_leaves_that_lie_nearest():
    tree = small_tree((30, 8, 3), seed=4)
    target = target_from_description(tree.vectors[5:6], tree, np.full(30, 10.0))
    assert int(np.argmax(target.mass / target.pool)) == 5
    assert target.kind == "description"
