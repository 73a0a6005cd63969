"""The page of `rejected_rows`: broken lines of one kind stand together."""

from __future__ import annotations

from tags_assets.assets import pages
from tags_assets.formats.pool import read_pool


def read_lines(tmp_path, lines):
    file = tmp_path / "pool.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_pool([file], cache=tmp_path / "cache")


GOOD = [
    '{"instruction": "Add 1 and 2.", "output": "3"}',
    '{"instruction": "Name a tree.", "output": "An oak."}',
]


def test_reasons_are_counted_without_their_place_in_the_line(tmp_path):
    broken = ['{"instruction": "a', '{"instruction": "a longer one', '{"instruction": "b", "out']
    page = pages.rejected_rows(read_lines(tmp_path, [*GOOD, *broken]))
    assert page["what_was_lost"].startswith("**3** of 5 rows could not be read, in 1 of 1 file.")
    assert [row[1] for row in page["why"]["rows"]] == ["3"]
    assert [row[0] for row in page["first_of_each"]["rows"]] == [f"pool.jsonl:{line}" for line in (3, 4, 5)]


def test_a_whole_pool_is_said_to_be_whole(tmp_path):
    assert pages.rejected_rows(read_lines(tmp_path, GOOD)) == {"what_was_lost": pages.ALL_READ}
