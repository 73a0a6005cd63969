from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.method.grounding import GROUNDING_SCHEMA, from_frame, ground, to_frame
from tags_assets_tests.method.trees import small_tree

TREE = small_tree(40)
IDS = [f"row {i}" for i in range(12)]


def frame(rows):
    return pl.DataFrame(
        rows, schema={"instance_id": pl.String, "tag": pl.String, "weight": pl.Float32}, orient="row"
    )


tagged = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from([*TREE.tags, "unknown tag"]), st.floats(0, 5, width=32)),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(tagged)
def test_the_masses_of_a_row_sum_to_one_or_to_nothing(rows):
    p = ground(frame(rows), TREE, IDS)
    assert p.shape == (len(IDS), TREE.n_leaves)
    held = {row for row, tag, weight in rows if tag != "unknown tag" and weight > 0}
    expected = [1.0 if row in held else 0.0 for row in IDS]
    assert np.allclose(p.sum(axis=1), expected, atol=1e-12)
    assert np.all(p.data > 0)
    assert p.has_sorted_indices
    assert np.allclose((p @ TREE.ancestors)[:, [TREE.root]].toarray().ravel(), expected)


@settings(max_examples=30, deadline=None)
@given(tagged)
def test_a_grounding_is_the_same_when_it_is_read_back(rows):
    p = ground(frame(rows), TREE, IDS)
    table = to_frame(p, TREE, IDS)
    assert table.schema == pl.Schema(GROUNDING_SCHEMA)
    again = from_frame(table.sample(fraction=1.0, shuffle=True, seed=1), TREE, IDS)
    assert np.allclose(again.toarray(), p.toarray(), atol=1e-12)


def test_tags_of_one_leaf_add_up():
    leaf = int(np.bincount(TREE.tag_leaf).argmax())
    tags = [tag for tag, at in zip(TREE.tags, TREE.tag_leaf, strict=True) if at == leaf][:2]
    other = next(tag for tag, at in zip(TREE.tags, TREE.tag_leaf, strict=True) if at != leaf)
    p = ground(frame([("row 3", tags[0], 1.0), ("row 3", tags[-1], 2.0), ("row 3", other, 1.0)]), TREE, IDS)
    assert p[[3]].toarray().max() == 0.75
    assert p[[3]].nnz == 2


def test_the_order_of_the_rows_is_the_one_asked_for():
    rows = frame([("b", TREE.tags[0], 1.0), ("a", TREE.tags[1], 1.0)])
    p = ground(rows, TREE, pl.Series(["a", "none", "b"]))
    assert np.diff(p.indptr).tolist() == [1, 0, 1]
    assert p.indices.tolist() == [int(TREE.tag_leaf[1]), int(TREE.tag_leaf[0])]
