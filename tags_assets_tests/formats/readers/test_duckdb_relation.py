from __future__ import annotations

import subprocess
import sys

import duckdb
import pytest

from tags_assets.errors import UserError
from tags_assets.formats.pool import expand_pool, fingerprint_files
from tags_assets.formats.readers import read_records


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "my.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "create table rows as select range as id, 'q' || range as prompt, 'a' as completion from range(5)"
        )
        connection.execute(
            'create schema other; create view other.few as from rows limit 2; create table "a b" (x int)'
        )
    return path


def read(given):
    (path,) = expand_pool([given])
    return [record.row for record in read_records(path)]


def test_tables_views_and_queries_are_read(database):
    assert [row["id"] for row in read(f"{database}::rows")] == [0, 1, 2, 3, 4]
    assert [row["prompt"] for row in read(f"{database}::other.few")] == ["q0", "q1"]
    assert read(f"{database}::a b") == []
    query = "select id // 2 as half, '50%/2' as t, 1::double as one from rows where id > 2 order by id desc"
    assert read(f"{database}::{query}") == [{"half": n, "t": "50%/2", "one": 1.0} for n in (2, 1)]
    assert len(read(f"{database}::with few as (from rows limit 3) select * from few")) == 3


def test_rows_carry_the_name_of_their_table(database, tmp_path):
    from tags_assets.formats.pool import read_pool

    pool = read_pool(expand_pool([f"{database}::rows"]), cache=tmp_path / "cache")
    instances = pool.instances.collect()
    assert instances["source"].unique().to_list() == ["rows"]
    assert instances["file"].unique().to_list() == ["my.duckdb::rows"]
    assert instances["line"].to_list() == [1, 2, 3, 4, 5]


def test_nothing_is_written(database):
    before = database.read_bytes()
    with pytest.raises(UserError, match="INSERT and not a plain SELECT"):
        read(f"{database}::with x as (select 1) insert into rows values (9, 'q', 'a')")
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    ("relation", "message"),
    [
        ("row", "there is no table named 'row'. Did you mean 'rows'"),
        ("select nothing from rows", "DuckDB says: Binder Error"),
        ("selec", "there is no table named 'selec'"),
    ],
)
def test_a_relation_that_is_not_there_is_one_line(database, relation, message):
    with pytest.raises(UserError) as error:
        read(f"{database}::{relation}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_without_a_relation_lists_its_tables(database):
    with pytest.raises(
        UserError, match=r"none of its tables is named.*my\.duckdb::TABLE.*a b, rows, other\.few"
    ):
        read(database)


@pytest.mark.usefixtures("database")
def test_a_missing_database_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no file named 'mine\.duckdb'\. Did you mean 'my\.duckdb'"):
        expand_pool([f"{tmp_path}/mine.duckdb::rows"])


def test_a_database_that_is_open_elsewhere_is_one_line(database):
    code = f"import duckdb, time; c = duckdb.connect({str(database)!r}); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            with pytest.raises(UserError, match="another process has the DuckDB file open for writing"):
                read(f"{database}::rows")
        finally:
            holder.kill()


def test_the_fingerprint_is_of_the_relation_and_of_the_data(database, tmp_path):
    files = expand_pool([f"{database}::rows", f"{database}::other.few"])
    first = fingerprint_files(files, tmp_path / "cache")
    assert len(set(first.values())) == 2
    with duckdb.connect(str(database)) as connection:
        connection.execute("insert into rows values (9, 'q', 'a')")
    assert not set(first.values()) & set(fingerprint_files(files, tmp_path / "cache").values())
