from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.method.concepts import assignment
from tags_assets.method.concepts.assignment import (
    ASSIGNED_SCHEMA,
    INSTANCE_TAG_SCHEMA,
    assign_concepts,
    combine,
)
from tags_assets.method.concepts.vocabulary import NAMED_BY_MODEL_OR_USER
from tags_assets.method.text.embedding import unit


def random_units(n: int, n_dims: int = 16, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, n_dims)))


def test_weights_of_a_row_are_positive_and_sum_to_1():
    assigned = assign_concepts(random_units(50), random_units(80, seed=1), np.ones(80, dtype=int))
    assert assigned.schema == pl.Schema(ASSIGNED_SCHEMA)
    assert (assigned["weight"] > 0).all()
    sums = assigned.group_by("row").agg(pl.col("weight").sum(), pl.len())
    assert len(sums) == 50
    assert sums["weight"].to_numpy() == pytest.approx(np.ones(50), abs=1e-5)
    assert sums["len"].max() <= assignment.N_CONCEPTS


def test_a_row_made_of_two_concepts_is_assigned_both():
    tags = random_units(40, seed=2)
    mean = np.zeros(16)
    concepts = unit(tags - np.average(tags, axis=0, weights=np.ones(40)))
    row = unit((concepts[3] + 0.8 * concepts[17])[None])
    assigned = assign_concepts(row, tags, np.ones(40, dtype=int), n_concepts=2, mean=mean)
    assert set(assigned["tag"]) == {3, 17}


def test_the_second_concept_says_what_the_first_leaves_out():
    # Two near-twins and one other: nearest neighbours would take both twins.
    tags = unit(np.array([[1.0, 0.1, 0], [1.0, 0.12, 0], [0, 0, 1.0], [-1, -0.1, -1.0]]))
    row = unit(np.array([[1.0, 0.1, 0.6]]))
    assigned = assign_concepts(row, tags, np.ones(4, dtype=int), n_concepts=2, mean=np.zeros(3))
    assert 2 in assigned["tag"].to_list()


def test_blocks_do_not_change_the_answer(monkeypatch):
    rows, tags, counts = random_units(300), random_units(500, seed=1), np.arange(500, 0, -1)
    whole = assign_concepts(rows, tags, counts)
    monkeypatch.setattr(assignment, "BLOCK_BYTES", 4 * 500 * 7)
    assert assign_concepts(rows, tags, counts).equals(whole)


def test_rows_of_a_target_are_read_against_the_mean_of_the_pool():
    pool, tags = random_units(200), random_units(60, seed=1)
    counts, mean = np.ones(60, dtype=int), pool.mean(axis=0)
    alone = assign_concepts(pool[:3], tags, counts, mean=mean)
    assert alone.equals(assign_concepts(pool, tags, counts).filter(pl.col("row") < 3))


def test_no_rows_or_no_tags_give_an_empty_table():
    for n_rows, n_tags in ((0, 5), (5, 0)):
        assigned = assign_concepts(random_units(n_rows), random_units(n_tags), np.ones(n_tags, dtype=int))
        assert assigned.is_empty()
        assert assigned.schema == pl.Schema(ASSIGNED_SCHEMA)


def tables() -> tuple[pl.DataFrame, pl.DataFrame]:
    extracted = pl.DataFrame(
        {"instance_id": ["a", "a", "b"], "tag": ["x", "y", "x"], "weight": [0.5, 0.5, 2.0]}
    )
    assigned = pl.DataFrame(
        {"row": [0, 0, 2], "tag": [1, 2, 0], "weight": [0.5, 0.5, 1.0]}, schema=ASSIGNED_SCHEMA
    )
    return extracted, assigned


def test_what_a_row_names_and_is_assigned_is_extracted_and_its_weights_add():
    extracted, assigned = tables()
    tags = combine(
        extracted, assigned, instance_ids=["a", "b", "c"], tags=["x", "y", "z"], assigned_share=0.6
    )
    assert tags.schema == pl.Schema(INSTANCE_TAG_SCHEMA)
    row = {
        tag: (weight, origin) for _, tag, weight, origin in tags.filter(pl.col("instance_id") == "a").rows()
    }
    assert row["y"] == (pytest.approx(0.5), "extracted")
    assert row["x"] == (pytest.approx(0.2), "extracted")
    assert row["z"] == (pytest.approx(0.3), "assigned")


def test_a_row_with_one_kind_of_tags_has_them_whole():
    extracted, assigned = tables()
    tags = combine(extracted, assigned, instance_ids=["a", "b", "c"], tags=["x", "y", "z"])
    for instance_id, origin in (("b", "extracted"), ("c", "assigned")):
        assert tags.filter(pl.col("instance_id") == instance_id).rows() == [(instance_id, "x", 1.0, origin)]


def test_the_origin_that_came_with_a_tag_is_kept():
    extracted, assigned = tables()
    extracted = extracted.with_columns(origin=pl.lit("given"))
    tags = combine(
        extracted, assigned, instance_ids=["a", "b", "c"], tags=["x", "y", "z"], assigned_share=0.5
    )
    assert set(tags.filter(pl.col("instance_id") == "a")["origin"]) == {"given", "assigned"}


@pytest.mark.parametrize("origin", NAMED_BY_MODEL_OR_USER)
def test_tags_that_a_model_or_the_user_named_have_no_others_beside_them(origin):
    extracted, assigned = tables()
    own = pl.when(pl.col("instance_id") == "a").then(pl.lit(origin)).otherwise(pl.lit("extracted"))
    assigned = pl.concat([assigned, pl.DataFrame([(1, 2, 1.0)], schema=ASSIGNED_SCHEMA, orient="row")])
    tags = combine(
        extracted.with_columns(origin=own), assigned, instance_ids=["a", "b", "c"], tags=["x", "y", "z"]
    )
    of = {name: part.drop("instance_id").rows() for (name,), part in tags.group_by("instance_id")}
    assert of["a"] == [("x", 0.5, origin), ("y", 0.5, origin)]
    assert [tag for tag, _, _ in of["b"]] == ["z", "x"]  # a phrase of the text has others beside it
    assert of["c"] == [("x", 1.0, "assigned")]  # nothing was named


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.floats(0, 10)), max_size=12),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.floats(0, 10)), max_size=12),
    st.floats(0, 1),
)
def test_weights_of_every_row_sum_to_1_whatever_comes_in(named, assigned, share):
    tags = combine(
        pl.DataFrame(
            named, schema={"instance_id": pl.String, "tag": pl.String, "weight": pl.Float32}, orient="row"
        ),
        pl.DataFrame(assigned, schema=ASSIGNED_SCHEMA, orient="row"),
        instance_ids=["a", "b", "c"],
        tags=["x", "y", "z"],
        assigned_share=share,
    )
    sums = tags.group_by("instance_id").agg(pl.col("weight").sum())["weight"]
    assert sums.to_numpy() == pytest.approx(np.ones(len(sums)), abs=1e-5)
    assert tags.select("instance_id", "tag").is_duplicated().sum() == 0
