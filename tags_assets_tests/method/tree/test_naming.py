from __future__ import annotations

import numpy as np
import pytest

from tags_assets.method.tree.clustering import unit
from tags_assets.method.tree.naming import TagNames, readability
from tags_assets.method.tree.refinement import describe


def names_of(tags, groups, counts=None, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(groups) + 1, 24))
    x = unit(centres[groups] + 0.1 * rng.normal(size=(len(tags), 24)))
    names = TagNames.of(tags, np.ones(len(tags)) if counts is None else counts, x)
    return names.concepts(np.array(groups), unit(centres))


def test_a_group_is_named_by_what_its_tags_end_in():
    tags = ["quadratic equation", "linear equation", "differential equation", "oak", "birch", "pine"]
    equations, trees = names_of(tags, [0, 0, 0, 1, 1, 1])
    assert equations.name == "equation"
    assert trees.name in {"oak", "birch", "pine"}
    assert equations.n_tags == 3


def test_a_vague_end_does_not_name_a_group():
    tags = ["word problem", "geometry problem", "age problem", "oak"]
    problems = names_of(tags, [0, 0, 0, 1])[0]
    assert problems.name != "problem"


def test_frequent_tags_name_their_group():
    tags = ["python", "cpython interpreter", "python interpreter version"]
    assert names_of(tags, [0, 0, 0], counts=np.array([500, 1, 1]))[0].name == "python"


@pytest.mark.parametrize("fragment", ["##ing", "x=1", "42", "-", "<div>", "a" * 70])
def test_a_fragment_reads_worse_than_a_word(fragment):
    scores = readability([fragment, "gradient descent"])
    assert scores[0] < scores[1] == 1.0


def test_a_fragment_names_a_group_only_where_there_is_nothing_else():
    assert names_of(["##ing", "tokenisation"], [0, 0], counts=np.array([50, 1]))[0].name == "tokenisation"
    assert names_of(["##ing"], [0])[0].name


def test_plus_and_sharp_belong_to_a_name():
    assert readability(["c++", "c#", "50%"]).tolist() == [1.0, 1.0, 0.7]


def test_a_group_of_groups_is_named_by_what_most_of_its_rows_are_about():
    """The tag at the middle of a broad group may be one that next to no row bears."""
    tags = ["prior written consent", "python", "python list", "sql", "sql query", "database row"]
    counts = np.array([1, 900, 30, 400, 20, 5])
    rng = np.random.default_rng(0)
    centres = unit(rng.normal(size=(2, 24)) + 2.0)
    x = unit(centres[[0, 0, 0, 1, 1, 1]] + 0.05 * rng.normal(size=(6, 24)))
    x[0] = unit(centres.sum(axis=0, keepdims=True))[0]
    middle = unit(centres.sum(axis=0, keepdims=True))
    whole = TagNames.of(tags, counts, x).concepts(np.zeros(6, dtype=np.int64), middle, [("python", "sql")])
    assert whole[0].name == "python and sql" or whole[0].name.startswith("python, sql and ")


def test_a_frequent_tag_that_lies_apart_does_not_name_a_broad_group():
    """Else a handful of rows on one oddity would stand for a third of the pool."""
    tags = ["bash", "fruit", "apple", "pear", "plum", "bird", "robin", "wren", "owl"]
    counts = np.array([300, 90, 80, 70, 60, 90, 80, 70, 60])
    rng = np.random.default_rng(1)
    fruit, bird, other = unit(rng.normal(size=(3, 24)))
    x = unit(np.array([other, *[fruit] * 4, *[bird] * 4]) + 0.05 * rng.normal(size=(9, 24)))
    middle = unit(x.sum(axis=0, keepdims=True))
    names = TagNames.of([*tags, *map(str, range(300))], [*counts, *[1] * 300], np.vstack([x, *[x[:1]] * 300]))
    group = np.array([0] * 9 + [-1] * 300)
    (whole,) = names.concepts(group, middle, [("fruit", "bird", "bash")])
    assert set(whole.name.split(" and ")) <= {
        "fruit",
        "apple",
        "pear",
        "plum",
        "bird",
        "robin",
        "wren",
        "owl",
    }


def test_a_list_of_names_with_commas_is_told_apart():
    assert (
        describe(("game, movie and sport", "income and risk"), 99)
        == "game, movie and sport; income and risk; ..."
    )
    assert describe(("game", "movie"), 2) == "game, movie"
