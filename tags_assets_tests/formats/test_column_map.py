from __future__ import annotations

import json

import pytest

from tags_assets.errors import UserError
from tags_assets.formats.column_map import ColumnMap, Given
from tags_assets.formats.instance import RowError

OWN = ColumnMap({"tags": "my_tags", "quality": "reward", "embedding": "vec"})


@pytest.mark.parametrize(
    ("row", "given"),
    [
        ({"my_tags": ["a", "b"], "reward": 1, "vec": [1, 0.5]}, Given(["a", "b"], 1.0, [1.0, 0.5])),
        ({"my_tags": '["a"]', "reward": "0.5", "vec": "[1]"}, Given(["a"], 0.5, [1.0])),
        ({"my_tags": None}, Given()),
        ({}, Given()),
    ],
)
def test_given_columns_are_taken(row, given):
    assert OWN.given(row) == given


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"my_tags": "a"}, "my_tags (tags) is text, not a list of texts"),
        ({"my_tags": ["a", 1]}, "my_tags (tags) is a list, not a list of texts"),
        ({"reward": "good"}, "reward (score) is text, not a number"),
        ({"reward": True}, "reward (score) is a boolean, not a number"),
        ({"vec": [1, None]}, "vec (embedding) is a list, not a list of numbers"),
        ({"vec": []}, "vec (embedding) is a list, not a list of numbers"),
    ],
)
def test_what_is_not_what_it_is_said_to_be_is_a_row_error(row, reason):
    with pytest.raises(RowError) as error:
        OWN.given(row)
    assert error.value.reason == reason


def test_a_name_of_ours_that_does_not_exist_is_one_line():
    with pytest.raises(UserError, match=r"columns\.tag: .*Did you mean 'tags'"):
        ColumnMap({"tag": "x"})


def test_mapped_columns_reach_the_instances(tmp_path, read):
    rows = [
        {"uid": 7, "origin": "forum", "frage": "q", "antwort": "a", "my_tags": ["x"], "r": 0.5, "v": [1, 2]},
        {"uid": 8, "frage": "q2", "antwort": "a2"},
        {"uid": 9, "frage": "q3", "antwort": "a3", "r": "high"},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    columns = {"id": "uid", "source": "origin", "prompt": "frage", "completion": "antwort"}
    columns |= {"tags": "my_tags", "score": "r", "embedding": "v"}
    pool = read(tmp_path / "rows.jsonl", columns=columns)
    names = ("id", "source", "given_tags", "given_score", "given_embedding")
    assert pool.instances.select(names).collect().rows() == [
        ("7", "forum", ["x"], 0.5, [1.0, 2.0]),
        ("8", "rows", None, None, None),
    ]
    assert pool.rejected["reason"].to_list() == ["r (score) is text, not a number"]


def test_a_mapped_column_that_no_row_has_is_one_line(tmp_path, read):
    (tmp_path / "rows.jsonl").write_text('{"prompt": "q", "completion": "a"}')
    with pytest.raises(UserError, match=r"columns\.tags: no row has a column named 'my_tags'"):
        read(tmp_path / "rows.jsonl", columns={"tags": "my_tags"})


@pytest.mark.parametrize(
    ("ours", "value"),
    [("score", "nan"), ("score", "inf"), ("score", 1e999), ("embedding", [1e39]), ("embedding", "[-1e300]")],
)
def test_a_number_out_of_range_costs_its_row(ours, value):
    with pytest.raises(RowError, match="which is out of range"):
        ColumnMap({ours: "x"}).given({"x": value})
