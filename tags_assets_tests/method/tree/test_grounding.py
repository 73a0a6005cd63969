"""Grounding: mass of rows over leaves, and its table."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.method.tree.grounding import GROUNDING_SCHEMA, from_frame, ground, to_frame
from tags_assets_tests.method.tree.trees import small_tree

TREE = small_tree()
IDS = [f"row {i}" for i in range(6)]

TAGGED = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from([*TREE.tags, "unknown"]), st.floats(0, 10)), max_size=40
)


def tags_of(tagged):
    schema = {"instance_id": pl.String, "tag": pl.String, "weight": pl.Float64}
    return pl.DataFrame(tagged, schema=schema, orient="row")


@settings(max_examples=40, deadline=None)
@given(TAGGED)
def test_each_row_has_mass_1_or_none(tagged):
    masses = ground(tags_of(tagged), TREE, IDS)
    assert masses.shape == (len(IDS), TREE.n_leaves)
    totals = np.asarray(masses.sum(axis=1)).ravel()
    known = {row for row, tag, weight in tagged if tag != "unknown" and weight > 0}
    assert np.allclose(totals, [float(row in known) for row in IDS])
    assert (masses.data > 0).all()


@settings(max_examples=40, deadline=None)
@given(TAGGED)
def test_the_table_gives_the_same_grounding_back(tagged):
    masses = ground(tags_of(tagged), TREE, IDS)
    frame = to_frame(masses, TREE, IDS)
    assert dict(frame.schema) == GROUNDING_SCHEMA
    again = from_frame(frame.sample(fraction=1, shuffle=True, seed=0), TREE, IDS)
    assert np.allclose(again.toarray(), masses.toarray(), atol=1e-15)


@settings(max_examples=20, deadline=None)
@given(TAGGED, st.randoms())
def test_the_order_of_the_tags_makes_no_difference(tagged, random):
    shuffled = list(tagged)
    random.shuffle(shuffled)
    one, other = ground(tags_of(tagged), TREE, IDS), ground(tags_of(shuffled), TREE, IDS)
    assert np.array_equal(one.toarray(), other.toarray())


def test_mass_follows_the_weights():
    one, other = (
        TREE.tags[0],
        next(t for t, leaf in zip(TREE.tags, TREE.tag_leaf, strict=True) if leaf != TREE.tag_leaf[0]),
    )
    masses = ground(tags_of([("row 2", one, 3.0), ("row 2", other, 1.0)]), TREE, IDS)
    assert masses[2, TREE.tag_leaf[0]] == 0.75
    assert masses.nnz == 2


def test_mass_above_the_leaves_is_the_sum_below():
    masses = ground(tags_of([("row 0", tag, 1.0) for tag in TREE.tags]), TREE, IDS)
    above = (masses @ TREE.ancestors).toarray()
    assert np.isclose(above[0, TREE.root], 1)
    assert above[1].sum() == 0


def test_no_rows_and_no_tags_are_fine():
    assert ground(tags_of([]), TREE, []).shape == (0, TREE.n_leaves)
    assert to_frame(ground(tags_of([]), TREE, IDS), TREE, IDS).is_empty()
