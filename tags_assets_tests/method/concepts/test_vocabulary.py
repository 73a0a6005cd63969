from __future__ import annotations

import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.method.concepts import vocabulary as vocabulary_module
from tags_assets.method.concepts.vocabulary import (
    ALIAS_SCHEMA,
    NAMED_BY_MODEL_OR_USER,
    VOCABULARY_SCHEMA,
    Vocabulary,
    build_vocabulary,
    merge_key,
    normalise_tag,
)
from tags_assets.models.minilm import MiniLM
from tags_assets_tests.method.scoring.words import embed_words


def written(*tags: str) -> pl.DataFrame:
    """One instance per tag."""
    return pl.DataFrame(
        {"instance_id": [f"i{n}" for n in range(len(tags))], "tag": list(tags), "weight": 1.0}
    )


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    counted = {
        "neural network": 3, "Neural Networks": 1,
        "neural-network": 1, "Bayes\u2019 theorem": 1, "bayes theorem": 2,
        "e-mail": 1, "email": 2, "optimisation": 1, "optimization": 2, "python 2": 2, "python 3": 3,
        "misdemeanor": 2, "felony": 3, "hypertension": 6, "hypotension": 1, "sulfate": 6, "sulfite": 1,
        "vitamin b": 1, "vitamin d": 1, "c": 1, "c++": 2, "c#": 1, "north korea": 6, "south korea": 1,
        "typescript": 6, "typescripts": 1,
    }  # fmt: skip
    return build_vocabulary(written(*[t for t, n in counted.items() for _ in range(n)]), MiniLM().embed)


@pytest.mark.parametrize(
    ("tag", "form"),
    [
        ("  Gradient\tDescent. ", "gradient descent"),
        ("\uff21\uff22\uff23", "abc"),
        ("“Straße”", "strasse"),
        ("list_comprehension", "list comprehension"),
        ("C++", "c++"),
        (".NET", ".net"),
        ("...", ""),
        ("\ud800", ""),
        ("word " * 60, ""),
        ("温室效应", "温室效应"),
    ],
)
def test_tags_are_normalised(tag, form):
    assert normalise_tag(tag) == form


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing_and_the_key_of_a_key_is_itself(tag):
    form = normalise_tag(tag)
    assert normalise_tag(form) == form
    assert merge_key(merge_key(form)) == merge_key(form) or any(c in form for c in "-'s")


@pytest.mark.parametrize(
    ("alias", "tag"),
    [
        ("Neural Networks", "neural network"),
        ("neural-network", "neural network"),
        ("Bayes\u2019 theorem", "bayes theorem"),
        ("e-mail", "email"),
        ("optimisation", "optimization"),
        ("typescripts", "typescript"),
    ],
)
def test_spellings_merge_onto_the_most_frequent(vocabulary, alias, tag):
    assert dict(vocabulary.aliases.rows())[alias] == tag


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("python 2", "python 3"),
        ("misdemeanor", "felony"),
        ("hypertension", "hypotension"),
        ("sulfate", "sulfite"),
        ("vitamin b", "vitamin d"),
        ("c", "c++"),
        ("c++", "c#"),
        ("north korea", "south korea"),
    ],
)
def test_what_means_another_thing_stays_apart(vocabulary, one, other):
    tags = dict(vocabulary.aliases.rows())
    assert tags[one] != tags[other]


def test_counts_are_of_rows_and_aliases_are_the_other_forms(vocabulary):
    assert vocabulary.tags.schema == pl.Schema(VOCABULARY_SCHEMA)
    assert vocabulary.aliases.schema == pl.Schema(ALIAS_SCHEMA)
    row = vocabulary.tags.row(by_predicate=pl.col("tag") == "neural network", named=True)
    assert row["count"] == 5
    assert row["aliases"] == ["Neural Networks", "neural-network"]
    assert vocabulary.tags["count"].is_sorted(descending=True)


def test_nothing_chains(vocabulary):
    """An alias leads to a canonical tag, which leads to itself."""
    tags = set(vocabulary.tags["tag"])
    leads = dict(vocabulary.aliases.rows())
    assert set(leads.values()) == tags
    assert all(leads[tag] == tag for tag in tags)
    assert not vocabulary.aliases["alias"].is_duplicated().any()


def test_tags_seen_once_go_where_the_pool_is_large_and_stay_where_it_is_small():
    many = [f"concept {'abcdefghij'[n % 10]}" for n in range(600)]
    assert "lonely" not in build_vocabulary(written(*many, "lonely"), embed_words).tags["tag"]
    assert "lonely" in build_vocabulary(written(*many[:50], "lonely"), embed_words).tags["tag"]
    assert "lonely" in build_vocabulary(written(*many, "lonely"), embed_words, min_count=1).tags["tag"]


@pytest.mark.parametrize("origin", ["extracted", "assigned", *NAMED_BY_MODEL_OR_USER])
def test_what_a_model_or_the_user_names_of_one_row_alone_is_a_concept(origin, monkeypatch):
    many = written(*(f"concept {'abcdefghij'[n % 10]}" for n in range(600)), "Lonely")
    own = pl.when(pl.col("tag") == "Lonely").then(pl.lit(origin)).otherwise(pl.lit("extracted"))
    tags = many.with_columns(origin=own)
    kept = origin in NAMED_BY_MODEL_OR_USER
    assert ("lonely" in build_vocabulary(tags, embed_words).tags["tag"]) == kept
    assert "lonely" not in build_vocabulary(tags, embed_words, min_count=2).tags["tag"]
    monkeypatch.setattr(vocabulary_module, "MOST_SINGLE_TAGS", 10)
    assert "lonely" not in build_vocabulary(tags, embed_words).tags["tag"]


def test_a_row_is_counted_once_however_it_spells_a_tag():
    tags = pl.DataFrame({"instance_id": ["a", "a"], "tag": ["loop", "Loops"], "weight": [1.0, 1.0]})
    assert build_vocabulary(tags, embed_words).tags["count"].to_list() == [1]


def test_tags_become_canonical_and_their_weights_add(vocabulary):
    tags = pl.DataFrame(
        {
            "instance_id": ["a", "a", "a", "b"],
            "tag": ["Neural Networks", "neural network", "unheard of", "NEURAL  NETWORKS"],
            "weight": [0.25, 0.25, 0.5, 1.0],
            "origin": ["extracted"] * 4,
        }
    )
    assert vocabulary.canonical(tags).rows() == [
        ("a", "neural network", 0.5, "extracted"),
        ("b", "neural network", 1.0, "extracted"),
    ]


def test_no_tags_make_an_empty_vocabulary():
    empty = pl.DataFrame(schema={"instance_id": pl.String, "tag": pl.String, "weight": pl.Float32})
    vocabulary = build_vocabulary(empty, embed_words)
    assert vocabulary.tags.is_empty()
    assert vocabulary.tags.schema == pl.Schema(VOCABULARY_SCHEMA)


def test_the_order_of_the_rows_does_not_matter():
    tags = written(*["map", "maps", "set", "Sets", "sets", "photosynthesis", "photo-synthesis"])
    one = build_vocabulary(tags, embed_words)
    other = build_vocabulary(tags.sort("tag", descending=True), embed_words)
    assert one.tags.equals(other.tags)
    assert one.aliases.equals(other.aliases)


@pytest.mark.slow
def test_a_hundred_thousand_tags_take_under_a_minute():
    rng = np.random.default_rng(0)
    syllables = ["ca", "to", "mi", "re", "lo", "pan", "der", "tin", "gra", "phy", "sis", "ber", "nu", "co"]
    words = np.array(["".join(rng.choice(syllables, rng.integers(2, 5))) for _ in range(20_000)])
    tags = [" ".join(rng.choice(words, rng.integers(1, 4))) for _ in range(100_000)]
    started = time.process_time()
    build_vocabulary(written(*tags), lambda texts: np.ones((len(texts), 4), np.float32) / 2)
    assert time.process_time() - started < 60


def test_a_tag_has_the_language_of_the_rows_whose_text_holds_it():
    rows = [
        ("a", "gato", "es", "extracted"), ("b", "gato", "es", "extracted"), ("c", "gato", "en", "extracted"),
        ("a", "python", "zh", "extracted"), ("b", "python", "zh", "extracted"),
        ("a", "猫", "zh", "extracted"), ("b", "cat", "en", "extracted"), ("c", "recursion", "es", "llm"),
    ]  # fmt: skip
    columns = ["instance_id", "tag", "language", "origin"]
    tags = pl.DataFrame(rows, schema=columns, orient="row").with_columns(weight=1.0)
    vocabulary = build_vocabulary(tags, embed_words).tags
    language = dict(zip(vocabulary["tag"], vocabulary["language"], strict=True))
    assert language == {"gato": "es", "python": None, "猫": "zh", "cat": None, "recursion": None}
