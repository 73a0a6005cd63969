from __future__ import annotations

import pytest

from tags_assets.store.sql import is_sql_name, load_sql, sql_folder, sql_names


def test_every_sql_file_of_the_project_loads_by_its_name():
    files = sorted(sql_folder().rglob("*.sql"))
    assert files
    for file in files:
        name = file.relative_to(sql_folder()).with_suffix("").as_posix()
        assert load_sql(name) == file.read_text(encoding="utf-8")
    assert "warehouse/history" in sql_names("warehouse")


@pytest.mark.parametrize(
    "name", ["", "../secret", "/etc/passwd", "a//b", "a/../b", "select 1", "A", "a.sql", "a/"]
)
def test_what_is_no_name_is_refused(name):
    assert not is_sql_name(name)
    with pytest.raises(ValueError, match="not the name"):
        load_sql(name)


def test_a_missing_file_is_said_to_be_missing():
    with pytest.raises(FileNotFoundError, match=r"nothing\.sql"):
        load_sql("warehouse/nothing")
