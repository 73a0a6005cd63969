from __future__ import annotations

import numpy as np
import pytest

from tags_assets.method.student import embed_rows
from tags_assets_tests.method.words import embed_words


def some_texts(n: int) -> list[str]:
    rng = np.random.default_rng(0)
    topics = [
        [topic + letter for letter in "abcdefghijkl"] for topic in ("algebra", "biology", "court", "python")
    ]
    return [" ".join(rng.choice(topics[rng.integers(4)], 8, replace=False)) for _ in range(n)]


def test_few_rows_are_all_embedded_by_the_teacher():
    texts = some_texts(40)
    rows = embed_rows(texts, embed_words, n_teacher=40)
    np.testing.assert_array_equal(rows.vectors, embed_words(texts))
    assert rows.is_teacher.all()
    assert rows.figures == {"n_teacher": 40, "n_student": 0}


def test_the_student_is_near_its_teacher_on_rows_that_it_did_not_see():
    texts = some_texts(600)
    rows = embed_rows(texts, embed_words, n_teacher=200)
    taught = embed_words(texts)
    unseen = ~rows.is_teacher
    assert unseen.sum() == 400
    assert np.einsum("ij,ij->i", rows.vectors[unseen], taught[unseen]).mean() > 0.9
    assert rows.figures["cosine_to_teacher"] > 0.9
    np.testing.assert_array_equal(rows.vectors[rows.is_teacher], taught[rows.is_teacher])


def test_vectors_are_unit_float32_even_of_rows_without_a_known_word():
    rows = embed_rows([*some_texts(150), "", "zzz 123"], embed_words, n_teacher=60)
    assert rows.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows.vectors, axis=1), 1, atol=1e-5)


def test_equal_seeds_give_equal_vectors_and_other_seeds_another_sample():
    texts = some_texts(200)
    first, again, other = (embed_rows(texts, embed_words, n_teacher=50, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert (first.is_teacher != other.is_teacher).any()


def test_vectors_do_not_depend_on_the_number_of_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    texts = some_texts(300)
    many = embed_rows(texts, embed_words, n_teacher=120)
    with threadpoolctl.threadpool_limits(1):
        one = embed_rows(texts, embed_words, n_teacher=120)
    np.testing.assert_array_equal(many.vectors, one.vectors)


def test_progress_ends_at_the_total():
    seen: list[tuple[int, int]] = []
    embed_rows(
        some_texts(120), embed_words, n_teacher=40, progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (120, 120)
    assert all(done <= total for done, total in seen)
