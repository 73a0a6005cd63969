from __future__ import annotations

import numpy as np
import pytest

from tags_assets.errors import UserError
from tags_assets.models.minilm import MiniLM

TEXTS = ["quadratic formula", "quadratic equation", "", "a", "\ud800 broken \x00 text", "法律", "long " * 400]


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


def test_vectors_are_unit_float32_in_the_order_of_the_texts(model):
    vectors = model.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(model.embed(TEXTS[::-1]), vectors[::-1])


def test_a_text_has_one_vector_bit_for_bit_whatever_stands_beside_it_and_however_many_threads(model):
    texts = [f"{'word ' * (i % 9)}number {i}" for i in range(120)]
    together = model.embed(texts)
    single = MiniLM(n_threads=1)
    alone = np.concatenate([single.embed([text]) for text in texts[:12]])
    np.testing.assert_array_equal(together[:12], alone)
    np.testing.assert_array_equal(together, single.embed(texts))


def test_equal_texts_are_computed_once_and_progress_ends_at_the_total(model):
    seen: list[tuple[int, int]] = []
    vectors = model.embed(["tree"] * 50 + ["leaf"], progress=lambda done, total: seen.append((done, total)))
    assert (vectors[:50] == vectors[0]).all()
    assert seen[-1] == (51, 51)


def test_meaning_is_near_and_the_unrelated_is_far(model):
    vectors = model.embed(["felony", "serious crime", "photosynthesis"])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_nothing_embeds_to_nothing(model):
    assert model.embed([]).shape == (0, 384)


def test_a_megabyte_costs_no_more_than_its_start(model):
    start = "gradient descent with momentum " * 40
    np.testing.assert_array_equal(model.embed([start + "x" * 1_000_000]), model.embed([start]))


def test_the_fingerprint_tells_caps_apart(model):
    assert model.fingerprint == MiniLM().fingerprint != MiniLM(max_tokens=32).fingerprint


def test_an_impossible_cap_is_refused():
    with pytest.raises(UserError, match="512"):
        MiniLM(max_tokens=4096)
