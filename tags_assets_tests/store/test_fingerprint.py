from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tags_assets.store.fingerprint import canonical, fingerprint, fingerprint_texts

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_a_fingerprint_stays_what_it_was_when_the_store_was_first_released():
    # Should this change, every artifact that anybody has is made anew.
    config = {"budget": {"fraction": 0.05}, "seed": 0, "tags": ["é", "\ud800"], "on": True, "none": None}
    assert (
        fingerprint("selected_subset", "maths", "3", config, {"knowledge_tree": "0a"})
        == "8ff537ac0deca38c75f84dfdc99492e0"
    )


@pytest.mark.parametrize(
    "other",
    [
        ("b", None, "1", {"x": 1}, {"u": "0"}),
        ("a", "p", "1", {"x": 1}, {"u": "0"}),
        ("a", None, "2", {"x": 1}, {"u": "0"}),
        ("a", None, "1", {"x": 2}, {"u": "0"}),
        ("a", None, "1", {"x": "1"}, {"u": "0"}),
        ("a", None, "1", {"x": True}, {"u": "0"}),
        ("a", None, "1", {"x": 1}, {"u": "1"}),
        ("a", None, "1", {"x": 1}, {"v": "0"}),
    ],
)
def test_every_part_counts(other):
    assert fingerprint("a", None, "1", {"x": 1}, {"u": "0"}) != fingerprint(*other)


@given(JSON)
def test_the_order_of_keys_does_not_count(value):
    def reversed_keys(value):
        if isinstance(value, dict):
            return {key: reversed_keys(value[key]) for key in reversed(value)}
        return [reversed_keys(item) for item in value] if isinstance(value, list) else value

    assert canonical(value) == canonical(reversed_keys(value))


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_told_apart_exactly(one, other):
    assert (canonical(one) == canonical(other)) == (one == other)


def test_a_whole_float_is_the_integer_that_it_equals():
    assert canonical(1.0) == canonical(1) == "1"
    assert canonical(-0.0) == canonical(0)


def test_values_of_the_edges_have_a_form():
    class Tagger(Enum):
        LLM = "llm"

    @dataclass
    class Config:
        tagger: Tagger
        weights: tuple[float, ...]

    class Model(BaseModel):
        seed: int = 0

    assert canonical(Config(Tagger.LLM, (0.5,))) == '{"tagger":"llm","weights":[0.5]}'
    assert canonical([Model(), {"b", "a"}, np.float64(0.25), date(2026, 1, 2), b"\x00"]) == (
        '[{"seed":0},["a","b"],0.25,{"$date":"2026-01-02"},{"$bytes":"00"}]'
    )


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"a": [1, math.nan]}, r"value\.a\[1\]"),
        ({"a": math.inf}, r"value\.a"),
        ({"pool": Path("x")}, r"value\.pool: PosixPath"),
        ({1: 2}, "keys must be text"),
        (object(), "object has no canonical form"),
        (np.zeros(3), "ndarray has no canonical form"),
    ],
)
def test_a_value_without_a_canonical_form_is_an_error_that_says_where(value, where):
    with pytest.raises((TypeError, ValueError), match=where):
        canonical(value)


def test_a_value_within_itself_is_an_error():
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match="nests too deeply"):
        canonical(value)


def test_texts_are_told_apart_by_their_boundaries():
    assert fingerprint_texts(["ab", "c"]) != fingerprint_texts(["a", "bc"]) != fingerprint_texts(["abc"])
    assert fingerprint_texts([]) != fingerprint_texts([""])
