"""What tags are about: by vector, by name, by language."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.method.concepts.fields import NAMED, FieldVectors
from tags_assets_tests.method.concepts.lexicons import fields, lexicon, tags_of


@given(st.integers(0, 11), st.integers(0, 2**16))
def test_a_tag_is_mostly_about_the_field_that_it_lies_near(field, seed):
    tags, vectors = tags_of(field, 5, np.random.default_rng(seed))
    profile = fields().subjects(tags, vectors).profile.toarray()
    assert np.allclose(profile.sum(axis=1), 1.0, atol=1e-5)
    assert (profile.argmax(axis=1) == field).all()


def test_the_field_of_the_concept_that_a_tag_names_outweighs_its_vector():
    _, vectors = tags_of(3, 1, np.random.default_rng(0))
    profile = fields().subjects([lexicon().concepts[0]], vectors).profile.toarray()[0]
    assert profile[0] == pytest.approx(NAMED, abs=1e-3)
    assert profile[3] == pytest.approx(1 - NAMED, abs=0.01)


def test_a_word_of_an_unread_language_belongs_to_its_language_alone():
    tags, vectors = tags_of(0, 3, np.random.default_rng(0))
    subjects = fields().subjects([*tags[:2], lexicon().concepts[7]], vectors, ["Thai", None, "Thai"])
    own = subjects.lexicon
    assert (own.areas[-1], own.domains[-1], own.fields[-1]) == ("other languages", "Thai", "Thai")
    # A concept by name is what it is, in a row of whatever language.
    assert subjects.profile.toarray()[:, -1].tolist() == [1.0, 0.0, 0.0]


def test_vectors_of_another_space_are_an_error():
    with pytest.raises(ValueError, match="3 dimensions, but the fields have 12"):
        fields().subjects(["a"], np.ones((1, 3), dtype=np.float32))


def test_field_vectors_are_means_of_their_concepts_without_what_all_share():
    own = lexicon()
    axes = np.eye(12, dtype=np.float32)

    def embed(texts):
        assert list(texts) == list(own.concepts)
        vectors = axes[own.field_of_concept] + 5.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    vectors = FieldVectors.of(own, embed)
    nearest = (vectors.centres @ axes.T).argmax(axis=1)
    assert nearest.tolist() == list(range(12))


def test_saved_vectors_come_back_for_the_same_lexicon_only():
    file, vectors = io.BytesIO(), fields().vectors
    vectors.save(file, "lexicon 1")
    file.seek(0)
    loaded = FieldVectors.load(file, "lexicon 1")
    assert np.allclose(loaded.centres, vectors.centres, atol=1e-3)
    file.seek(0)
    assert FieldVectors.load(file, "lexicon 2") is None
