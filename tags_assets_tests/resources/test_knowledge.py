"""The fields of knowledge that a run gets: ours, packaged for the local embedder, or the user's."""

from __future__ import annotations

import numpy as np

from tags_assets.method.text.embedding import unit
from tags_assets.models.minilm import MiniLM
from tags_assets.resources.embedder import TAG_TOKENS
from tags_assets.resources.knowledge import fields_of, lexicon_of, packaged_vectors, unread_languages
from tags_assets.settings.home import PoolSettings


def test_the_packaged_vectors_are_of_our_lexicon_and_the_local_embedder():
    lexicon = lexicon_of(PoolSettings())
    vectors = packaged_vectors(lexicon)
    assert vectors is not None, "the lexicon or the embedder changed: run `make lexicon`"
    embed = MiniLM(max_tokens=TAG_TOKENS).embed
    for field in (0, 100, 200, 300):
        own = [lexicon.concepts[c] for c in np.flatnonzero(lexicon.field_of_concept == field)]
        centre = unit(unit(embed(own) - vectors.mean).sum(axis=0, keepdims=True))[0]
        assert centre @ vectors.centres[field] > 0.9999


def test_our_lexicon_is_embedded_by_nobody_and_a_users_is(tmp_path):
    def never(texts):
        raise AssertionError(texts)

    assert len(fields_of(PoolSettings(), never).vectors.centres) == 363
    file = tmp_path / "own.tsv"
    file.write_text("wine\tgrapes\tRiesling\nwine\ttasting\ttannin\n")
    read = []

    def embed(texts):
        read.extend(texts)
        return np.eye(len(texts), dtype=np.float32)

    fields = fields_of(PoolSettings(lexicon=str(file)), embed)
    assert read == ["Riesling", "tannin"]
    assert fields.lexicon.fields == ("grapes", "tasting")
    assert fields.vectors.centres.shape == (2, 2)


def test_an_embedder_behind_an_api_reads_every_language():
    codes = ["es", None, "xx"]
    assert unread_languages(PoolSettings(), codes) == ["Spanish", None, "xx"]
    assert unread_languages(PoolSettings(embedder="api"), codes) == [None, None, None]
