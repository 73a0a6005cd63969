"""Scores: quality and each of its terms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tags_assets.method.scoring import scores as scoring
from tags_assets.method.scoring.scores import (
    LEAST_QUALITY,
    SCORE_SCHEMA,
    ScoringConfig,
    distinct_concepts,
    information_content,
    peer_standing,
    score,
    soundness,
    spread,
)
from tags_assets.method.scoring.text_signals import SIGNALS
from tags_assets_tests.method.tree.trees import small_tree

TREE = small_tree()


def grounding_of(rows):
    """Rows given as {leaf: mass}."""
    masses = np.zeros((len(rows), TREE.n_leaves))
    for i, row in enumerate(rows):
        for leaf, mass in row.items():
            masses[i, leaf] = mass / sum(row.values())
    return sparse.csr_array(masses)


def signals_of(n_rows, **given_signals):
    signals = {name: given_signals.get(name, [0.0] * n_rows) for name in SIGNALS}
    return pl.DataFrame({"instance_id": [f"row {i}" for i in range(n_rows)], **signals})


ROWS = st.lists(
    st.dictionaries(st.integers(0, TREE.n_leaves - 1), st.floats(0.01, 1), max_size=5),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.data())
def test_quality_is_above_0_and_at_most_1_whatever_the_terms(rows, data):
    n = len(rows)
    share = st.floats(0, 1)
    signals = signals_of(n, **{name: data.draw(st.lists(share, min_size=n, max_size=n)) for name in SIGNALS})
    ratings = data.draw(st.lists(st.none() | share, min_size=n, max_size=n))
    given_scores = data.draw(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=n, max_size=n))
    found = score(
        grounding_of(rows),
        TREE,
        signals,
        judgements=pl.DataFrame(
            {"instance_id": signals["instance_id"], "rating": ratings},
            schema={"instance_id": pl.String, "rating": pl.Float32},
        ),
        given_score=pl.Series(given_scores, dtype=pl.Float64),
    )
    assert dict(found.schema) == SCORE_SCHEMA
    assert found["quality"].is_between(LEAST_QUALITY, 1).all()
    assert found["eligible"].to_list() == [bool(row) for row in rows]
    terms = found.select("soundness", "richness", "peer_standing")
    assert terms.select(pl.all_horizontal(pl.all().is_between(0, 1)).all()).item()


@pytest.mark.parametrize("signal", SIGNALS)
def test_each_defect_lowers_the_quality(signal):
    signals = signals_of(2, **{signal: [0.0, 1.0]})
    sound, defect = score(grounding_of([{0: 1}, {0: 1}]), TREE, signals)["quality"]
    assert defect < sound


def test_soundness_is_the_product_of_what_each_signal_leaves():
    signals = signals_of(1, truncated=[1.0], refused=[0.5])
    assert soundness(signals, {"truncated": 0.5, "refused": 0.4}) == pytest.approx(0.5 * 0.8)


def test_rarer_leaves_have_more_information():
    content = information_content(grounding_of([{0: 1}, {0: 1}, {0: 1}, {1: 1}]))
    assert content == pytest.approx([-np.log(0.75)] * 3 + [-np.log(0.25)])


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_concepts_lie_between_1_and_the_number_of_leaves_held(rows):
    masses = grounding_of(rows)
    found = distinct_concepts(masses)
    held = np.diff(masses.indptr)
    assert (found[held == 0] == 0).all()
    assert (found <= held + 1e-9).all()
    assert (found[held > 0] >= 1 - 1e-9).all()


def test_even_concepts_count_whole():
    assert distinct_concepts(grounding_of([{0: 1, 1: 1, 2: 1}])) == pytest.approx([3])


def test_concepts_far_apart_spread_farther_than_siblings():
    parent = TREE.parent[: TREE.n_leaves]
    siblings = next(np.flatnonzero(parent == p)[:2] for p in parent if (parent == p).sum() > 1)
    top = TREE.n_nodes - 2
    far = [TREE.ancestors[:, [v]].nonzero()[0][0] for v in range(TREE.n_nodes) if TREE.parent[v] == TREE.root]
    assert top > 0
    rows = [dict.fromkeys(siblings.tolist(), 1.0), {int(far[0]): 1.0, int(far[1]): 1.0}, {0: 1.0}, {}]
    near, wide, one, none = spread(grounding_of(rows), TREE)
    assert one == pytest.approx(0)
    assert none == 0
    assert 0 < near < wide


def test_spread_is_the_same_whatever_the_size_of_a_block(monkeypatch):
    random = np.random.default_rng(0)
    masses = sparse.random_array((23, TREE.n_leaves), density=0.4, rng=random, format="csr")
    whole = spread(masses, TREE)
    monkeypatch.setattr(scoring, "_BLOCK", 7)
    assert np.array_equal(spread(masses, TREE), whole)


def test_equals_stand_in_the_middle():
    masses = grounding_of([{0: 1}, {1: 1}, {0: 1, 2: 1}])
    assert peer_standing(masses, TREE, np.full(3, 0.7), shrinkage=20) == pytest.approx([0.5] * 3)


def test_without_tags_nobody_stands_anywhere():
    assert peer_standing(grounding_of([{}, {}]), TREE, np.array([0.1, 0.9]), shrinkage=20) == pytest.approx(
        [0.5] * 2
    )


def test_an_easy_domain_does_not_win_by_being_easy():
    base = np.concatenate([np.linspace(0.8, 0.9, 200), np.linspace(0.2, 0.3, 200)])
    standing = peer_standing(
        grounding_of([{0: 1}] * 200 + [{TREE.n_leaves - 1: 1}] * 200), TREE, base, shrinkage=20
    )
    assert abs(standing[:200].mean() - standing[200:].mean()) < 0.1
    assert standing[199] > standing[100] > standing[0]
    assert standing[399] > standing[0]


def test_few_peers_say_little_of_a_node():
    base = np.array([0.9, *[0.5] * 100])
    alone = grounding_of([{0: 1}] + [{TREE.n_leaves - 1: 1}] * 100)
    assert peer_standing(alone, TREE, base, shrinkage=20)[0] > 0.9


def test_a_judge_outweighs_the_text_and_stays_within_soundness():
    masses, signals = grounding_of([{0: 1}, {0: 1}]), signals_of(2)
    judged = pl.DataFrame({"instance_id": ["row 1"], "rating": [0.0]})
    unjudged, low = score(masses, TREE, signals, judgements=judged)["quality"]
    assert low < unjudged
    found = score(masses, TREE, signals, judgements=judged)
    assert found["judge_rating"].to_list() == [None, 0.0]


def test_given_scores_of_any_scale_count_by_their_rank():
    masses, signals = grounding_of([{0: 1}] * 3), signals_of(3)
    found = score(masses, TREE, signals, given_score=pl.Series([-5.0, 3000.0, 7.0]))
    assert found["quality"].arg_sort().to_list() == [0, 2, 1]
    same = score(masses, TREE, signals, given_score=pl.Series([1.0, 3.0, 2.0]))
    assert found.equals(same)


def test_terms_without_weight_make_no_difference():
    rows = [{0: 1}, {0: 1, 1: 1}, {TREE.n_leaves - 1: 1, 5: 2}]
    off = replace(ScoringConfig(), terms={}, standing=0.0)
    found = score(grounding_of(rows), TREE, signals_of(3), config=off)
    assert found["quality"].n_unique() == 1


def test_no_rows_give_an_empty_table():
    empty = sparse.csr_array((0, TREE.n_leaves))
    assert score(empty, TREE, signals_of(0)).is_empty()
