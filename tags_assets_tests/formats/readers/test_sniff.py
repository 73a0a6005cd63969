from __future__ import annotations

import gzip
import json

import pytest
import zstandard

from tags_assets.errors import UserError
from tags_assets.formats.readers.sniff import Sniffed, sniff, suffix_of

ROW = '{"instruction": "q", "output": "a"}'


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("rows.jsonl", f"{ROW}\n{ROW}", "json_lines"),
        ("rows.json", f"{ROW}\n{ROW}", "json_lines"),
        ("rows", f"{ROW}\n{ROW}", "json_lines"),
        ("rows.csv", f"{ROW}\n{ROW}", "json_lines"),
        ("rows.jsonl", ROW, "json_lines"),
        ("rows.json", ROW, "json_document"),
        ("rows.jsonl", f"[{ROW}]", "json_document"),
        ("rows.jsonl", f"[\n{ROW},\n{ROW}\n]", "json_document"),
        ("rows.jsonl", f"[1, 2]\n{ROW}\n{ROW}", "json_lines"),
        ("rows.jsonl", f"[broken\n{ROW}\n{ROW}", "json_lines"),
        ("rows", f'{{"broken": \n{ROW}\n{ROW}', "json_lines"),
        ("rows.jsonl", json.dumps(json.loads(ROW), indent=2), "json_document"),
        ("rows.json", '{"data": [' + ROW + "]}", "json_document"),
        ("rows.jsonl", f"broken\n{ROW}", "json_lines"),
        ("rows", f"broken\n{ROW}", "json_lines"),
        ("rows.jsonl", "\x00\x00\x00\n", "json_lines"),
        ("rows.csv", "a,b\n1,2", "csv"),
        ("rows", "instruction,output\n1,2", "csv"),
        ("rows.jsonl", "", "json_lines"),
        ("rows.jsonl", " \n\n", "json_lines"),
    ],
)
def test_format_is_told_by_content(tmp_path, name, content, kind):
    path = tmp_path / name
    for pack, compression in ((bytes, None), (gzip.compress, "gzip"), (zstandard.compress, "zstd")):
        path.write_bytes(pack(content.encode()))
        assert sniff(path) == Sniffed(kind, compression)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%PDF-1.7\n", "is a PDF"),
        (b"PK\x03\x04xxxx", "the zip stream is damaged"),
        (b"SQLite format 3\x00" + b"\x00" * 90, "is a SQLite database. Export the table"),
        (b"\xff\xfe{\x00}\x00", "is UTF-16 text. Convert it"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "Run `git lfs pull`"),
        (gzip.compress(b"PAR1xxxxPAR1"), "is a parquet file inside of gzip. Unpack it"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "holds none of the formats that are read"),
        (b"Dear reader,\nthis is a letter.\n", "holds none of the formats that are read"),
    ],
)
def test_a_foreign_file_is_an_error_of_one_line(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        sniff(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.jsonl.gz", ".jsonl"), ("a.JSON", ".json"), ("a.gz", ""), ("a", ""), ("a.b.csv.zst", ".csv")],
)
def test_suffixes_leave_compression_out(tmp_path, name, suffix):
    assert suffix_of(tmp_path / name) == suffix
