from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tags_assets.errors import UserError
from tags_assets.method.tagging.carry_over import CARRIED_SCHEMA, carry_over, sample_by_content

N, N_TOPICS, N_DIMS = 600, 12, 24
WEIGHTS = (0.6, 0.3, 0.1)


@pytest.fixture(scope="module")
def world():
    """Rows that lie about topics, each topic with tags of its own and one shared with its neighbour."""
    rng = np.random.default_rng(0)
    topics = rng.normal(size=(N_TOPICS, N_DIMS))
    topic = rng.integers(N_TOPICS, size=N)
    vectors = topics[topic] + 0.25 * rng.normal(size=(N, N_DIMS))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    tagged = rng.random(N) < 0.5
    rows = [
        (i, tag, weight)
        for i in np.flatnonzero(tagged)
        for tag, weight in zip(
            (f"topic {topic[i]:02} a", f"topic {topic[i]:02} b", f"odd {i}"), WEIGHTS, strict=True
        )
    ]
    schema = {"row": pl.UInt32, "tag": pl.String, "weight": pl.Float32}
    return pl.DataFrame(rows, schema=schema, orient="row"), tagged, vectors, topic


@pytest.mark.parametrize("method", ["auto", "neighbours", "linear"])
def test_untagged_rows_get_the_tags_of_their_like(world, method):
    tags, tagged, vectors, topic = world
    result = carry_over(tags, tagged, vectors, method=method)
    assert result.tags.schema == pl.Schema(CARRIED_SCHEMA)
    assert set(result.tags["row"]) == set(np.flatnonzero(~tagged))
    best = result.tags.group_by("row", maintain_order=True).first()
    right = [t.startswith(f"topic {topic[r]:02}") for r, t in zip(best["row"], best["tag"], strict=True)]
    assert np.mean(right) > 0.97
    sums = result.tags.group_by("row").agg(pl.col("weight").sum())["weight"]
    assert sums.to_list() == pytest.approx([1] * len(sums))


def test_agreement_is_measured_on_rows_held_back_and_beats_the_usual_tags(world):
    tags, tagged, vectors, _ = world
    result = carry_over(tags, tagged, vectors)
    agreement = result.agreement
    assert agreement.rows == round(0.1 * tagged.sum())
    assert agreement.recall == pytest.approx(2 / 3, abs=0.05)  # the odd tag of each row can't be known
    assert agreement.f1 > 0.6
    assert agreement.baseline_f1 < 0.3
    assert agreement.soft_f1 is None
    assert result.figures["carried_share"] == pytest.approx((~tagged).mean(), abs=1e-4)


def test_tags_that_mean_the_same_count_in_the_soft_agreement(world):
    tags, tagged, vectors, _ = world

    def embed(texts):
        """Take a topic's tags for the same, and odd ones for nothing."""
        out = np.zeros((len(texts), N_TOPICS + len(texts)), dtype=np.float32)
        for i, text in enumerate(texts):
            out[i, int(text[6:8]) if text.startswith("topic") else N_TOPICS + i] = 1
        return out

    agreement = carry_over(tags, tagged, vectors, embed=embed).agreement
    assert agreement.soft_f1 >= agreement.f1


def test_the_same_input_gives_the_same_tags(world):
    tags, tagged, vectors, _ = world
    first = carry_over(tags, tagged, vectors, seed=3)
    second = carry_over(tags.sample(fraction=1, shuffle=True, seed=1), tagged, vectors, seed=3)
    assert first.tags.equals(second.tags)
    assert first.agreement == second.agreement


def test_too_small_a_sample_is_a_clear_line(world):
    tags, tagged, vectors, _ = world
    few = np.flatnonzero(tagged)[:10]
    with pytest.raises(UserError, match="only 10 rows"):
        carry_over(tags.filter(pl.col("row").is_in(few.tolist())), tagged, vectors)


def test_where_all_are_tagged_nothing_is_carried(world):
    tags, tagged, vectors, _ = world
    rows = np.flatnonzero(tagged)
    numbers = np.searchsorted(rows, tags["row"].to_numpy()).astype(np.uint32)
    renumbered = tags.with_columns(row=pl.Series(numbers))
    result = carry_over(renumbered, np.ones(len(rows), dtype=bool), vectors[rows])
    assert result.tags.is_empty()
    assert result.carried_share == 0


def test_a_sample_stays_as_the_pool_grows():
    hashes = [f"hash-{i}" for i in range(5000)]
    small, large = sample_by_content(hashes[:3000], 0.2), sample_by_content(hashes, 0.2)
    assert (small == large[:3000]).all()
    assert large.mean() == pytest.approx(0.2, abs=0.02)
    assert (sample_by_content(hashes, 0.2, seed=1) != large).any()
    assert sample_by_content(hashes, 1.0).all()
    with pytest.raises(UserError, match="above 0"):
        sample_by_content(hashes, 0)
