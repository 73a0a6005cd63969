from __future__ import annotations

import pytest

from tags_assets.formats.readers import read_records

ROW = b'{"instruction": "q", "output": "a"}'


def records(tmp_path, content, name="rows.jsonl"):
    path = tmp_path / name
    path.write_bytes(content)
    return list(read_records(path))


def test_lines_are_numbered_and_blank_ones_are_no_rows(tmp_path):
    found = records(tmp_path, b"\xef\xbb\xbf" + ROW + b"\r\n\n  \t\r\n" + ROW + b"\n\xef\xbb\xbf\n" + ROW)
    assert [record.line for record in found] == [1, 4, 6]
    assert {record.raw for record in found} == {ROW}


def test_lines_end_at_0x0a_only(tmp_path):
    row = '{"instruction": "a\u2028b\u2029c\x85d", "output": "x"}'.encode()
    assert records(tmp_path, row + b"\n" + ROW)[0].row["instruction"] == "a\u2028b\u2029c\x85d"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": 1', "not JSON: unexpected end of data, at character 8"),
        (b"{'a': 1}", "not JSON: unexpected character"),
        (ROW + ROW, f"not JSON: something follows the end of the row, at character {len(ROW) + 1}"),
        (ROW + b" // comment", "something follows the end of the row"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer stands where the data should be"),
        (b"\x00\x00", "NUL byte at byte 1"),
        (b'{"a": "\xe9"}', "not UTF-8: byte 0xe9 at byte 8"),
        (b'{"a": NaN}', "not JSON: NaN at character 7; JSON knows null only"),
        (b'{"a": -Infinity}', "not JSON: -Infinity at character 7"),
        (b'{"a": "\\udc00"}', "a lone surrogate, which no UTF-8 text can hold"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number beyond the range of a double"),
        (b"[" * 5000, "depth limit"),
        (b"null", "a row is a JSON object, and this is null"),
        (b"true", "a row is a JSON object, and this is true"),
        (b"[1, 2]", "a row is a JSON object, and this is a list"),
        (b'"x"', "a row is a JSON object, and this is text"),
        (b"7", "a row is a JSON object, and this is a number"),
    ],
)
def test_a_bad_line_is_rejected_alone_and_as_it_came(tmp_path, line, reason):
    first, bad, last = records(tmp_path, b"\n".join([ROW, line, ROW]))
    assert first.row == last.row
    assert bad.row is None
    assert reason in bad.reason
    assert (bad.line, bad.raw) == (2, line)


def test_the_last_of_two_equal_keys_counts(tmp_path):
    assert records(tmp_path, b'{"id": "a", "id": "b"}')[0].row == {"id": "b"}


def test_an_identifier_beyond_64_bits_keeps_its_digits(tmp_path):
    row = b'{"meta": {"id": 1}, "id": 12345678901234567890123, "messages": []}'
    assert records(tmp_path, row)[0].row["id"] == "12345678901234567890123"


def test_a_first_line_longer_than_the_head_of_the_file_is_still_a_line(tmp_path):
    long = b'{"instruction": "' + b"x" * 200_000 + b'", "output": "a"}'
    found = records(tmp_path, long + b"\n\n" + ROW, name="rows")
    assert [record.line for record in found] == [1, 3]


def test_byte_order_marks_without_number_are_passed_over_in_one_go(tmp_path):
    marks = b"\xef\xbb\xbf" * 5_000_000  # one by one, each would copy all that follow
    (found,) = records(tmp_path, marks + b' {"a": 1}')
    assert found.row == {"a": 1}


def test_a_comma_behind_a_row_and_an_array_of_rows_are_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1},\n[{"a": 2}, {"a": 3}]\n{"a": 4}\n[1, 2]\n{"a": 5},,\n')
    found = list(read_records(path))
    assert [(record.line, record.row) for record in found] == [
        (1, {"a": 1}),
        (2, {"a": 2}),
        (2, {"a": 3}),
        (3, {"a": 4}),
        (4, None),
        (5, None),
    ]
    assert found[4].reason == "a row is a JSON object, and this is a list"
