from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.method.tree.refinement import (
    MAX_NAME_LENGTH,
    Concept,
    Doubt,
    Neighbours,
    OfflineRefiner,
    Siblings,
    Summary,
    alike,
    checked_merges,
    checked_moves,
    checked_names,
    checked_summaries,
    clean_name,
    distinct_names,
    name_key,
)


def concept(name, n_rows=1, candidates=None, members=("a", "b")):
    return Concept(name, "", len(members), n_rows, members, candidates or (name,))


def near(*names, similarity=0.8):
    n = len(names)
    return Neighbours(tuple(map(concept, names)), np.where(np.eye(n, dtype=bool), 1.0, similarity))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("  Linear\nalgebra. ", "Linear algebra"),
        ('"quoted"', "quoted"),
        ("maths > algebra", "maths to algebra"),
        ("c++", "c++"),
        ("c#", "c#"),
        ("x -> y", "x -> y"),
        ("\u200b\x00", ""),
        ("...", ""),
        (None, ""),
        (7, ""),
        ("微积分", "微积分"),
    ],
)
def test_a_name_is_one_readable_line(said, kept):
    assert clean_name(said) == kept


@given(st.text())
def test_a_name_never_breaks_a_path(said):
    name = clean_name(said)
    assert " > " not in f" {name} "
    assert len(name) <= MAX_NAME_LENGTH
    assert name == "" or any(c.isalnum() for c in name)


def test_a_long_name_is_cut_between_words():
    assert clean_name("word " * 40).endswith("word")


def test_answers_that_cannot_be_used_leave_things_as_they_are():
    clusters = [concept("one", candidates=("best",)), concept("two", candidates=("next",))]
    for answer in (None, [], [None], "text", [Summary("", "")], [{"name": "no"}], 5):
        assert [s.name for s in checked_summaries(answer, clusters)] == ["best", "next"]
    assert checked_summaries([Summary("mine", "line")], clusters)[0] == Summary("mine", "line")


def test_merges_keep_valid_positions_once():
    group = near("a", "b", "c", "d")
    answer = [[[0, 1, 1], [1, 2], [3], [9, -1, True, "x"], None, [2, 3]]]
    assert checked_merges(answer, [group]) == [[[0, 1], [2, 3]]]
    assert checked_merges(None, [group]) == [[]]


def test_moves_stay_among_the_parents_on_offer():
    doubt = Doubt(
        (concept("x"), concept("y"), concept("z")), (concept("p"), concept("q")), 1, np.zeros((3, 2))
    )
    assert checked_moves([[0, 5, None]], [doubt]) == [[0, 1, 1]]
    assert checked_moves([], [doubt]) == [[1, 1, 1]]


def test_siblings_get_distinct_names_that_are_not_their_parents():
    parent = concept("maths")
    children = (
        concept("Maths", 5, ("maths", "algebra")),
        concept("algebra", 9),
        concept("Algebra", 3, ("algebra",), members=("rings", "fields")),
        concept("", 1, ("algebra",), members=("algebra",)),
    )
    assert alike(parent, children)
    names = distinct_names(parent, children)
    assert names[1] == "algebra"
    assert names[2] == "Algebra (rings)"
    assert len({name_key(n) for n in (*names, "maths")}) == 5
    answered = checked_names([["same", "same", "maths", "fields"]], [Siblings(parent, children)])[0]
    assert len({name_key(n) for n in (*answered, "maths")}) == 5
    assert answered[1] == "same"


def test_an_only_child_may_bear_its_parents_name():
    assert distinct_names(concept("maths"), [concept("maths")]) == ("maths",)
    assert not alike(concept("maths"), [concept("maths")])


def test_the_offline_refiner_merges_what_means_the_same():
    refiner = OfflineRefiner()
    assert refiner.deduplicate([near("a", "b", similarity=0.95)]) == [[[0, 1]]]
    assert refiner.deduplicate([near("a", "b", similarity=0.85)]) == [[]]
    assert refiner.deduplicate([near("web site", "Web Site!", similarity=0.85)]) == [[[0, 1]]]


def test_the_offline_refiner_moves_to_the_best_fit():
    doubt = Doubt((concept("x"),), (concept("p"), concept("q")), 0, np.array([[0.1, 0.4]]))
    assert OfflineRefiner().reassign([doubt]) == [[1]]
