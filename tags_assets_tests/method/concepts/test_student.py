from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tags_assets.method.concepts.student import Student, embed_more, embed_rows
from tags_assets_tests.method.scoring.words import embed_words


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


def grow(base, texts, new, **kwargs):
    known = np.arange(len(texts) + len(new)) < len(texts)
    return embed_more(
        [*texts, *new],
        embed_words,
        base.student,
        known=base.vectors,
        is_known=known,
        is_teacher=np.append(base.is_teacher, np.zeros(len(new), dtype=bool)),
        **kwargs,
    )


def test_new_rows_move_no_known_vector_and_come_out_as_the_student_would_have_made_them():
    texts = some_texts(900)
    every = embed_rows(texts, embed_words, n_teacher=200)
    base = embed_rows(texts[:600], embed_words, n_teacher=200)
    grown = grow(base, texts[:600], texts[600:])
    np.testing.assert_array_equal(grown.vectors[:600], base.vectors)
    np.testing.assert_array_equal(grown.is_teacher[:600], base.is_teacher)
    assert grown.is_teacher[600:].sum() == 100
    taught = embed_words(texts)
    np.testing.assert_array_equal(grown.vectors[grown.is_teacher], taught[grown.is_teacher])
    likeness = np.einsum("ij,ij->i", grown.vectors[600:], taught[600:]).mean()
    assert likeness > np.einsum("ij,ij->i", every.vectors[600:], taught[600:]).mean() - 0.02
    assert grown.figures["n_teacher"] == 300


def test_a_student_that_does_badly_on_new_rows_is_to_be_fitted_anew():
    texts = some_texts(600)
    base = embed_rows(texts, embed_words, n_teacher=200)
    other = [f"quark{i} boson{i % 7} lepton{i % 5} hadron{i % 3}" for i in range(120)]
    assert grow(base, texts, other) is None
    assert grow(base, texts, other[:20]) is not None, "a few rows prove nothing"


def test_a_student_read_back_gives_the_same_vectors():
    texts = some_texts(300)
    base = embed_rows(texts, embed_words, n_teacher=120)
    again = Student.from_frames(*base.student.to_frames())
    assert again.words == base.student.words
    assert again.n_rows == 300
    new = some_texts(320)[300:]
    one, other = grow(base, texts, new), grow(replace(base, student=again), texts, new)
    np.testing.assert_array_equal(one.vectors, other.vectors)
