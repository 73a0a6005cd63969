from __future__ import annotations

import duckdb
import pytest

from tags_assets.errors import UserError
from tags_assets.store.layout import (
    Layout,
    check_data_version,
    check_identifier,
    check_partition,
    quote_file,
    quote_name,
    quote_text,
    resolve_home,
)

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "/etc",
    "-",
    ".hidden",
    "a\0b",
    "a b",
    "a'b",
    'a"b',
    "a;b",
    "x" * 300,
]


@pytest.mark.parametrize("name", [*HOSTILE, "Maths", "ma\u0308dchen", "ﬁ"])
def test_a_partition_that_is_no_slug_never_becomes_a_path(name, tmp_path):
    with pytest.raises(ValueError, match="slug"):
        Layout(tmp_path).file("selected_subset", name, "0a")


@pytest.mark.parametrize("name", ["grade_school_math", "v1.5", "0", "数学", "mädchen", "a-b"])
def test_slugs_of_any_script_are_partitions(name):
    assert check_partition(name) == name


@pytest.mark.parametrize("name", [*HOSTILE, "Abc", "1a", "é"])
def test_names_of_assets_and_tables_are_plain_identifiers(name):
    with pytest.raises(ValueError, match="lower-case"):
        check_identifier("asset", name)


@pytest.mark.parametrize("name", [*HOSTILE, "a.b"])
def test_a_data_version_that_names_no_file_is_refused(name):
    with pytest.raises(ValueError, match="data version"):
        check_data_version(name)


def test_quoted_names_and_texts_come_back_from_duckdb():
    for text in ["plain", "it's", 'say "x"', "a\0b", "$$", "--", "\n"]:
        row = duckdb.sql(f"select {quote_text(text)} as {quote_name(text or 'x')}")
        assert row.fetchall() == [(text,)]


def test_a_file_below_a_folder_with_wildcards_is_found_and_no_other(tmp_path):
    for folder in ("run[1]", "run1", "a*b", "ab", "what?"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.csv").write_text(f"name\n{folder}\n")
    for folder in ("run[1]", "a*b", "what?"):
        found = duckdb.sql(f"select name from read_csv({quote_file(tmp_path / folder / 'x.csv')})").fetchall()
        assert found == [(folder,)]


def test_a_home_that_duckdb_could_not_write_to_is_refused(tmp_path):
    with pytest.raises(UserError, match="question mark"):
        resolve_home(tmp_path / "what?")
