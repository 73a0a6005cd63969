from __future__ import annotations

import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.formats import near_duplicates as nd

PASSAGE = (
    "In this task you are given a sentence and a category word that defines the relation between the "
    "sentence and the output to be generated. Your job is to write another sentence that satisfies the "
    "relation. If the category is entailment then the output must clearly agree with the input, and if "
    "it is contradiction then the output must clearly disagree with the input sentence. "
)
ASK = PASSAGE + "Sentence: a brown dog is running through a snowy trail."
SAY = "A dog is running on a snowy path."


def row(prompt, response=SAY, system=None):
    turns = [("system", system)] if system else []
    turns += [("user", prompt), ("assistant", response)]
    return [{"role": role, "content": content} for role, content in turns]


def duplicates(rows):
    """Map each near-duplicate to what is kept, as the pool does."""
    sketches = nd.sketch(rows)
    _, first, which = np.unique(sketches.wording, return_index=True, return_inverse=True)
    kept = {n: int(first[w]) for n, w in enumerate(which) if first[w] != n}
    standing = np.sort(first)
    pairs = nd.proposed(sketches.bands[standing].T, sketches.n_words[standing])
    near, places = nd.confirmed([rows[n] for n in standing], pairs)
    pairs, places = pairs[near], places[near]
    near_rows = nd.representatives(pairs[nd.outside_slots(pairs, places)])
    return kept | {int(standing[later]): int(standing[earlier]) for later, earlier in near_rows.items()}


@pytest.mark.parametrize(
    "twin",
    [
        row(ASK.upper()),
        row(ASK + "!!"),
        row(f"“{ASK}”", SAY.rstrip(".")),
        row(ASK.replace("word that", "word indeed")),
        row(ASK.replace("category word", "categroy word")),
        row("Please help. " + ASK),
        row(ASK, SAY + " Hope this helps!"),
        row("Hello! " + ASK + " Thank you."),
    ],
    ids=["case", "punctuation", "quotes", "one word", "typo", "prefix", "suffix", "both ends"],
)
def test_a_twin_is_found(twin):
    assert duplicates([row(ASK), row("What is DNA?", "A molecule."), twin]) == {2: 0}


def test_a_response_may_be_reworded_a_little_where_the_prompts_are_equal():
    answer = (
        "The mitochondrion is the part of the cell that turns food into energy, and has a genome of its own, "
        "which is why it is thought to have been a free bacterium once."
    )
    assert duplicates([row("What is it?", answer), row("what is it", answer.replace("part", "organ"))]) == {
        1: 0
    }
    assert (
        duplicates([row("What is it?", answer), row("What is this?", answer.replace("part", "organ"))]) == {}
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (row("What is 3+4? " + PASSAGE, "x"), row("What is 3+5? " + PASSAGE, "x")),
        (row("What is 3+4? " + PASSAGE, "x"), row("What is 3*4? " + PASSAGE, "x")),
        (row("Tom has 3 apples. " + PASSAGE), row("Tom has 4 apples. " + PASSAGE)),
        (row(ASK, "Yes."), row(ASK, "No.")),
        (
            row(PASSAGE + "Sentence: a cat sleeps all day.", "x"),
            row(PASSAGE + "Sentence: the dogs eat food.", "x"),
        ),
        (row("What is rain?", "Water.", PASSAGE), row("What is snow?", "Water.", PASSAGE)),
        (row("Hi", "Hello there, how can I help?", PASSAGE * 4), row("Bye", "See you later!", PASSAGE * 4)),
        (row("Capital of France?", "Paris"), row("Capital of Spain?", "Madrid")),
        (row("Sort ascending: " + "b a c " * 30), row("Sort descending: " + "b a c " * 30)),
        (row(" ".join("QWERTYUIOP" * 9)), row(" ".join("POIUYTREWQ" * 9))),
        (row(ASK), [*row(ASK), {"role": "user", "content": "And"}, {"role": "assistant", "content": "so"}]),
    ],
    ids=[
        "number",
        "operator",
        "quantity",
        "answer",
        "template",
        "system",
        "short",
        "fact",
        "order",
        "cells",
        "turns",
    ],
)
def test_rows_that_differ_in_content_are_kept(one, other):
    assert duplicates([one, other]) == {}


def test_rows_that_fill_one_slot_of_a_template_are_kept():
    fillers = ["cat", "dog", "cow", "hen", "pig", "fox"]
    rows = [row(f"{PASSAGE} The word is {filler} and nothing else.", "animal") for filler in fillers]
    assert duplicates(rows) == {}
    assert duplicates([*rows, row(f"{PASSAGE} THE WORD IS DOG, AND NOTHING ELSE", "animal")]) == {6: 1}


def test_thousands_of_rows_under_one_template_are_proposed_few_pairs():
    sketches = nd.sketch(
        [row(f"{PASSAGE} {PASSAGE[: number % 300]} {chr(97 + number % 26)}") for number in range(2000)]
    )
    pairs = nd.proposed(sketches.bands.T, sketches.n_words)
    assert 0 < len(pairs) <= 2000 * nd.N_BANDS * (nd._NEIGHBOURS + 1)
    assert np.all(pairs[:, 0] < pairs[:, 1])
    assert np.array_equal(pairs, np.unique(pairs, axis=0))


def test_no_chain_leads_away_from_the_kept_row():
    # 1 is near 0 and 2 is near 1, but 2 is not near 0.
    assert nd.representatives(np.array([[0, 1], [1, 2]])) == {1: 0}
    assert nd.representatives(np.array([[0, 1], [1, 2], [0, 2], [2, 3], [1, 3]])) == {1: 0, 2: 0}


def test_no_rows_give_no_pairs():
    none = np.empty((0, 2), dtype=np.int64)
    assert nd.proposed(iter([np.empty(0, dtype=np.uint64)]), np.empty(0, dtype=np.int32)).shape == (0, 2)
    assert nd.outside_slots(none, np.empty(0, dtype=np.int64)).shape == (0,)
    assert nd.representatives(none) == {}


TEXT = st.text("ab 1.", max_size=12)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_a_rows_sketch_is_its_own(texts):
    rows = [row(prompt, response) for prompt, response in texts]
    together = nd.sketch(rows)
    for number, single in enumerate(rows):
        alone = nd.sketch([single])
        assert together.wording[number] == alone.wording[0]
        assert together.n_words[number] == alone.n_words[0]
        assert np.array_equal(together.bands[number], alone.bands[0])


@given(st.lists(st.tuples(TEXT, TEXT), min_size=2, max_size=4))
def test_nearness_is_symmetric(texts):
    rows = [row(prompt, response) for prompt, response in texts]
    there = np.array([(a, b) for a in range(len(rows)) for b in range(len(rows))])
    near, _ = nd.confirmed(rows, there)
    back, _ = nd.confirmed(rows, there[:, ::-1].copy())
    assert np.array_equal(near, back)
    assert near[there[:, 0] == there[:, 1]].all()


@given(st.lists(st.integers(0, 2), max_size=12), st.lists(st.integers(0, 2), max_size=5))
def test_a_text_inside_of_another_is_found(a, b):
    inside = any(a[i : i + len(b)] == b for i in range(len(a) - len(b) + 1))
    words_a, words_b = np.array(a, dtype=np.uint64), np.array(b, dtype=np.uint64)
    if len(a) >= len(b):
        assert nd._contains(words_a, words_b) == inside
        assert nd._contains(words_b, words_a) == inside


def test_texts_of_one_repeated_word_are_compared_in_linear_time():
    a = np.array([1] * 1_000_000 + [2], dtype=np.uint64)
    b = np.array([1] * 500_000 + [3], dtype=np.uint64)
    nd._contains(a[:3], b[:3])  # compiled
    start = time.perf_counter()
    assert not nd._contains(a, b)
    assert time.perf_counter() - start < 10  # 250 thousand million comparisons take minutes


LONG = "The keeper of the lock writes down every boat that passes and what it carries, " * 5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{LONG} and the gate was safe.", f"{LONG} and the gate not safe."),
        (f"{LONG} and it isn't closed.", f"{LONG} and it is closed."),
        (f"{LONG} \u5411\u4e1c", f"{LONG} \u5411\u897f"),
        (f"{LONG} Use \\W here.", f"{LONG} Use \\w here."),
        (f"{LONG}\nif a:\n  b()\n  c()", f"{LONG}\nif a:\n  b()\nc()"),
    ],
)
def test_a_small_difference_that_turns_what_is_said_is_one(tmp_path, read, one, other):
    rows = [{"prompt": f"Report {n}.", "completion": text} for n, text in ((1, one), (1, other))]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read(path).marks["near_duplicate"].to_list() == [False, False]


def test_another_word_for_no_is_no_difference(tmp_path, read):
    rows = [{"prompt": "Report.", "completion": f"{LONG} It is {word} sign."} for word in ("no", "not a")]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read(path).marks["near_duplicate"].to_list() == [False, True]
