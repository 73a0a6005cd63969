from __future__ import annotations

import csv
import json

import pytest

from tags_assets.errors import UserError
from tags_assets.formats.readers import csv_table, read_records
from tags_assets.formats.readers.record import TOO_LONG


def records(tmp_path, content, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(content)
    return list(read_records(path))


def test_cells_may_hold_line_breaks_and_rows_know_their_first_line(tmp_path):
    found = records(
        tmp_path, b'\xef\xbb\xbfinstruction,input,output\r\n"a\r\nb",,"say ""c"""\r\n\r\nd,e,f\r\n'
    )
    assert [(record.line, record.row) for record in found] == [
        (2, {"instruction": "a\r\nb", "input": None, "output": 'say "c"'}),
        (5, {"instruction": "d", "input": "e", "output": "f"}),
    ]
    assert json.loads(found[0].raw) == found[0].row


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_delimiters_are_told_by_the_header(tmp_path, delimiter):
    content = delimiter.join(["id", "prompt", "completion"]) + "\n" + delimiter.join(["1", "a, b; c", "d"])
    content = content if delimiter != ";" else content.replace("; c", " c")
    (only,) = records(tmp_path, content.encode())
    assert set(only.row) == {"id", "prompt", "completion"}
    assert only.row["completion"] == "d"


def test_a_bad_row_is_rejected_alone_and_as_it_came(tmp_path):
    found = records(tmp_path, b"prompt,completion\na,b\na\na,b,c\n\xe9,b\nc,d\n")
    assert [record.reason for record in found] == [
        None,
        "1 cells where the header names 2 columns",
        "3 cells where the header names 2 columns",
        "not UTF-8: byte 0xe9 at byte 1",
        None,
    ]
    assert [record.raw for record in found[1:4]] == [b"a", b"a,b,c", b"\xe9,b"]
    assert [record.line for record in found] == [2, 3, 4, 5, 6]


def test_lists_of_turns_may_stand_in_a_cell_as_json(tmp_path):
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    cell = json.dumps(turns).replace('"', '""')
    (only,) = records(tmp_path, f'id,messages\n1,"{cell}"\n'.encode())
    assert only.row["messages"] == turns


def test_a_quotation_mark_that_does_not_end_costs_the_rest_and_no_more(tmp_path):
    found = records(tmp_path, b'prompt,completion\na,b\n"c,d\ne,f\n')
    assert [record.reason is None for record in found] == [True, False]


def test_content_decides_and_not_the_name(tmp_path):
    (only,) = records(tmp_path, b"instruction,output\na,b\n", name="rows.jsonl")
    assert only.row == {"instruction": "a", "output": "b"}
    (only,) = records(tmp_path, b'{"instruction": "a", "output": "b"}\n', name="rows.csv")
    assert only.row == {"instruction": "a", "output": "b"}


def test_a_header_alone_is_no_row(tmp_path):
    assert records(tmp_path, b"instruction,output\n") == []
    assert records(tmp_path, b"") == []


def test_a_header_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("tags_assets.formats.readers.csv_table.MAX_ROW_BYTES", 10)
    limit = csv.field_size_limit()
    try:
        with pytest.raises(UserError, match="the header cannot be read"):
            records(tmp_path, b"instruction_that_is_long,output\na,b\n")
    finally:
        csv.field_size_limit(limit)


def test_a_row_of_many_cells_over_many_lines_is_cut_and_the_reading_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_table, "MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(csv_table, "KEPT_OF_A_LONG_ROW", 100)
    long = ",".join(['"x\n"'] * 4000)  # no cell is too long, and the row has no end
    found = records(tmp_path, f"instruction,output\n{long}\nq,a\n".encode())
    assert found[0].reason == TOO_LONG
    assert max(len(record.raw) for record in found) <= 1100
    assert len(found) > 4  # each part that is read anew is cut in its turn


def test_quotes_may_be_escaped_by_backslashes(tmp_path):
    text = (
        'prompt,completion\n"Say \\"hi\\", please","\\"Hi\\", I say"\n'
        '"A path","C:\\\\new\\\\"\n"Plain","a\\b"\n'
    )
    found = records(tmp_path, text.encode())
    assert [tuple(record.row.values()) for record in found] == [
        ('Say "hi", please', '"Hi", I say'),
        ("A path", "C:\\new\\"),
        ("Plain", "a\\b"),
    ]


def test_a_backslash_at_the_end_of_a_cell_is_no_escape(tmp_path):
    found = records(tmp_path, b'prompt,completion\n"Root?","C:\\"\n"Home?","D:\\"\n')
    assert [record.row["completion"] for record in found] == ["C:\\", "D:\\"]


def test_a_late_escape_rejects_its_row_alone(tmp_path):
    usual = '"a ""b""",c\n' * 6000
    found = records(tmp_path, f'prompt,completion\n{usual}"Say \\"hi\\"",d\n'.encode())
    assert [record.reason for record in found if record.reason] == [
        "not CSV: a quotation mark is escaped by a backslash here, and not in the rows before"
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"sep=;\nprompt;completion\nq;a\n",
        b"Prompt,Completion\nq,a\n",
        b"prompt,completion\rq,a\r",
        b"prompt,completion\nq,a,,\n",
        b'\xef\xbb\xbf"sep=|"\r\nPROMPT|COMPLETION\r\nq|a\r\n',
    ],
)
def test_dialects_of_sheets_are_read(tmp_path, content):
    (record,) = records(tmp_path, content)
    assert [*record.row.values()] == ["q", "a"]
    assert [name.casefold() for name in record.row] == ["prompt", "completion"]


@pytest.mark.parametrize("header", ["prompt,completion" + ",a" * 20_000, "a," * 2**24])
def test_a_header_of_too_many_columns_is_one_line(tmp_path, header):
    with pytest.raises(UserError, match="more than 10,000 columns") as error:
        records(tmp_path, header.encode() + b"\n1,2\n")
    assert "rows.csv:1" in str(error.value)


def test_after_a_quote_that_is_never_closed_reading_begins_anew_behind_the_longest_row(tmp_path):
    line = b"text of many lines and more\n"
    content = b'prompt,completion\na,b\n"' + line * (2**24 // len(line) + 10_000) + b"c,d\n"
    first, long, *rest, last = records(tmp_path, content)
    assert first.row == {"prompt": "a", "completion": "b"}
    assert long.reason == TOO_LONG
    assert len(long.raw) <= 2**16
    assert len(rest) < 10_000
    assert last.row == {"prompt": "c", "completion": "d"}
