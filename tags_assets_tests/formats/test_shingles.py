from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.formats.shingles import SHINGLE, shingles, words


def cut(text):
    hashes, exact, _ = words([text])
    return hashes.tolist(), exact.tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("hello, world!", "hello world"),
        ('"quoted" — yes…', "quoted yes"),
        ("don't", "don\u2019t"),
        ("**bold** text", "bold text"),
        ("- item", "item"),
        ("well-known", "well known"),
        ("zero\u200bwidth", "zerowidth"),
        ("1,000.5 apples.", "1,000.5 apples"),
        ("你好、世界。", "你好世界"),
    ],
)
def test_these_are_the_same_words(one, other):
    assert cut(one) == cut(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3+4", "3*4"),
        ("3 - 4", "3 + 4"),
        ("-3", "3"),
        ("5!", "5"),
        ("3.5", "35"),
        ("10²", "102"),
        ("a*b", "a/b"),
        ("x < y", "x > y"),
        ("$5", "€5"),
        ('replace ";"', 'replace ","'),
        ("x = []", "x = {}"),
        ("I feel 😀", "I feel 😢"),
        ("猫", "狗"),
    ],
)
def test_these_are_not(one, other):
    assert cut(one)[0] != cut(other)[0]


def test_numbers_and_operators_are_exact():
    assert cut("buy 3 apples for $2.50 at a+b")[1] == [False, True, False, False, True, True] + [
        False
    ] * 2 + [True, False]


def test_characters_of_scripts_without_spaces_are_words():
    assert len(cut("量子纠缠 คำ")[0]) == 6


@given(st.lists(st.text(max_size=30), max_size=6))
def test_texts_are_cut_one_by_one(texts):
    hashes, exact, offsets = words(texts)
    for number, text in enumerate(texts):
        part = slice(offsets[number], offsets[number + 1])
        assert (hashes[part].tolist(), exact[part].tolist()) == cut(text)


@given(st.lists(st.integers(0, 7), max_size=5))
def test_a_row_has_a_shingle_for_every_run_of_words_and_at_least_one(lengths):
    offsets = np.cumsum([0, *lengths])
    flat, ends = shingles(np.arange(offsets[-1], dtype=np.uint64), offsets)
    assert np.diff(ends).tolist() == [max(n - SHINGLE + 1, 1) for n in lengths]
    assert len(flat) == ends[-1]
