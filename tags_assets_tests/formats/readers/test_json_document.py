from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.formats.readers import json_document, read_records

VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
ROWS = st.lists(st.dictionaries(st.text(max_size=4), VALUE, max_size=3), max_size=4)


def records(tmp_path, content, name="rows.json"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_records(path))


def cut(document, size, *, wraps=True):
    chunks = [document[start : start + size] for start in range(0, len(document), size)]
    found = [(raw.strip(), reason) for raw, reason in json_document._Cutter(iter(chunks), wraps=wraps).rows()]
    return [(raw, reason) for raw, reason in found if raw or reason]


@given(ROWS, st.sampled_from([None, 1, 4]), st.integers(1, 40), st.booleans())
def test_rows_of_an_array_are_found_whatever_the_blocks(rows, indent, size, ascii_only):
    document = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode()
    found = cut(document, size)
    assert [reason for _, reason in found] == [None] * len(rows)
    assert [json.loads(raw) for raw, _ in found] == rows


@given(ROWS, st.integers(1, 40))
def test_rows_are_found_in_an_object_around_them(rows, size):
    document = json.dumps({"version": [1, {"data": []}], "data": rows, "more": [{"x": 1}]}).encode()
    assert [json.loads(raw) for raw, _ in cut(document, size)] == rows


@given(ROWS, st.integers(1, 40))
def test_rows_printed_over_several_lines_are_found(rows, size):
    document = "\n".join(json.dumps(row, indent=2) for row in rows).encode()
    assert [json.loads(raw) for raw, _ in cut(document, size, wraps=False)] == rows


@given(st.binary(max_size=60), st.integers(1, 20))
def test_any_bytes_are_cut_alike_whatever_the_blocks(document, size):
    assert cut(document, size) == cut(document, 1000)


def test_each_row_keeps_its_bytes_and_its_number(tmp_path):
    found = records(tmp_path, '\ufeff[\n  {"a": 1,  "b": "],[{"} ,\n  {"a": 2}\n]\n')
    assert [(record.line, record.raw) for record in found] == [
        (1, b'{"a": 1,  "b": "],[{"}'),
        (2, b'{"a": 2}'),
    ]


def test_a_broken_row_costs_no_other(tmp_path):
    found = records(tmp_path, '[{"a": 1}, {"a": oops}, 7, {"a": 2},]')
    assert [record.row for record in found] == [{"a": 1}, None, None, {"a": 2}]
    assert found[1].reason.startswith("not JSON")
    assert found[2].reason == "a row is a JSON object, and this is a number"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ('[{"a": 1}, {"a": "cut sho', "the file ends within this row"),
        ('[{"a": 1},', "the file ends before its array"),
        ('[{"a": 1}', "the file ends within this row"),
    ],
)
def test_an_array_that_is_cut_short_says_so(tmp_path, document, reason):
    first, *_, last = [*records(tmp_path, document), None]
    found = records(tmp_path, document)
    assert found[-1].reason == reason
    assert last is None
    assert first is not None


def test_rows_in_an_array_on_one_line_are_told_apart(tmp_path):
    found = records(tmp_path, '[{"a": 1}, {"a": 1}]', name="rows.jsonl")
    assert [record.line for record in found] == [1, 2]


def test_a_row_that_is_too_long_is_rejected_and_the_next_is_read(monkeypatch):
    monkeypatch.setattr(json_document, "MAX_ROW_BYTES", 40)
    document = b'[{"a": 1}, {"b": [' + b"1, " * 100 + b'1]}, {"c": 3}]'
    found = cut(document, 16)
    assert [reason for _, reason in found] == [None, json_document.TOO_LONG, None]
    assert found[2][0] == b'{"c": 3}'


def test_an_object_by_itself_is_a_row(tmp_path):
    (only,) = records(tmp_path, json.dumps({"instruction": "q", "output": "a"}, indent=2))
    assert only.row == {"instruction": "q", "output": "a"}


TABLE = [{"prompt": "p", "completion": "c"}, {"prompt": "q", "completion": "d"}]


@pytest.mark.parametrize(
    "document",
    [
        {"prompt": {"0": "p", "1": "q"}, "completion": {"0": "c", "1": "d"}},
        {"0": TABLE[0], "1": TABLE[1]},
        {"columns": ["prompt", "completion"], "index": [0, 1], "data": [["p", "c"], ["q", "d"]]},
        {"schema": {"fields": []}, "data": TABLE},
        TABLE,
    ],
)
def test_the_layouts_of_pandas_are_read(tmp_path, document):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(document))
    assert [record.row for record in read_records(path)] == TABLE


@pytest.mark.parametrize("array", ["examples", "data", "items", "rows"])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_object_that_is_a_row_is_a_row_whatever_it_holds(tmp_path, array, indent):
    row = {array: [{"prompt": "shot", "completion": "none"}], "prompt": "p", "completion": "c"}
    path = tmp_path / "rows.json"
    path.write_text("\n".join(json.dumps(row | {"id": str(n)}, indent=indent) for n in range(3)))
    assert [record.row["id"] for record in read_records(path)] == ["0", "1", "2"]
    path.write_text(json.dumps({array: [row], "about": "a wrapper"}, indent=indent))
    assert [record.row for record in read_records(path)] == [row]
