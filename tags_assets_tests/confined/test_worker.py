"""Attacks on whoever reads a DuckDB file or a query that somebody else has written."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from tags_assets.confined import process
from tags_assets.errors import UserError
from tags_assets.formats.pool import expand_pool
from tags_assets.formats.readers import duckdb_relation, read_records

SECRET = "a line that nobody but its owner may read"


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.csv"
    path.write_text(f"prompt\n{SECRET}\n")
    with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
        other.execute(f"create table t as select '{SECRET}' as prompt")
    return path


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "given.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table rows as select range as id, 'q' || range as prompt from range(5)")
        connection.execute("create sequence counter")
    return path


def make(database, *statements):
    no_network = {"autoinstall_known_extensions": "false"}
    with duckdb.connect(str(database), config=no_network) as connection:
        for statement in statements:
            connection.execute(statement)


def read(database, relation):
    (path,) = expand_pool([f"{database}::{relation}"])
    return [record.row for record in read_records(path)]


def refused(database, relation):
    with pytest.raises(UserError) as caught:
        read(database, relation)
    line = str(caught.value)
    assert "\n" not in line
    assert SECRET not in line
    return line


def files_below(folder):
    return {path: path.stat().st_size for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "query",
    [
        "select 1; copy (select 1) to '{folder}/out.csv'; select 2",
        "select 1;copy(select 1)to'{folder}/out.csv'",
        "select 1 /* ; */ ; -- only a comment ;\n copy rows to '{folder}/out.csv'",
        "select 1\u00a0;\u2003copy\u00a0rows to '{folder}/out.csv'",
        "select ';' ; export database '{folder}/out'",
        "from rows; install httpfs",
        "from rows; load httpfs",
        "from rows; attach '{folder}/out.duckdb' as o; create table o.t as from rows",
        "from rows; set enable_external_access = true",
        "from rows; pragma enable_profiling",
        "from rows; call pragma_version()",
        "with x as (from rows) insert into rows select * from x",
        "with x as (from rows) delete from rows",
        "with x as (from rows) update rows set id = 1",
        "(copy rows to '{folder}/out.csv')",
        "select * from (copy rows to '{folder}/out.csv')",
        "with x as (copy rows to '{folder}/out.csv') select 1",
    ],
)
def test_only_one_select_is_run_and_nothing_is_written(database, tmp_path, query):
    before = files_below(tmp_path)
    refused(database, query.format(folder=tmp_path))
    assert files_below(tmp_path) == before


def test_pivot_needs_its_values(database):
    assert "as PIVOT without IN (...) does" in refused(database, "from (pivot rows on id using count(*))")
    assert len(read(database, "select * from rows pivot (count(*) for id in (1, 2))")) > 0


REACHING = [
    "from read_text('{secret}')",
    "from read_csv('{secret}')",
    "from read_csv_auto('{secret}')",
    "from read_blob('{secret}')",
    "from read_json('{secret}')",
    "from read_parquet('{secret}')",
    "from parquet_scan('{secret}')",
    "from parquet_metadata('{secret}')",
    "from parquet_schema('{secret}')",
    "from parquet_kv_metadata('{secret}')",
    "from read_single_csv_file('{secret}')",
    "from sniff_csv('{secret}')",
    "from glob('{folder}/*')",
    "from \"glob\"('/*')",
    "from '{secret}'",
    'from "{secret}"',
    "from read_duckdb('{folder}/other.duckdb', table_name = 't')",
    "from seq_scan('{folder}/other.duckdb')",
    "from 'http://127.0.0.1:1/x.parquet'",
    "from read_csv('https://127.0.0.1:1/x.csv')",
    "from 's3://bucket/x.parquet'",
    "from query('from read_text(''{secret}'')')",
    "from query_table('duckdb_settings')",
    "from query_table(['rows', '{secret}'])",
    "select * from rows where id in (select length(content) from read_text('{secret}'))",
    "select (select content from read_text('{secret}')) as prompt from rows",
    "with a as (with b as (from read_text('{secret}')) from b) from a",
    "select * from rows, lateral (from read_text('{secret}'))",
    "from rows union all by name (select content as prompt from read_text('{secret}'))",
    "select list_transform([1], lambda x: (select max(content) from read_text('{secret}')))",
    "from (describe rows)",
    "from (show all tables)",
    "from (summarize rows)",
    "from duckdb_settings()",
    "from duckdb_databases()",
    "from duckdb_secrets()",
    "from duckdb_extensions()",
    "from duckdb_functions()",
    "from duckdb_logs()",
    "from duckdb_temporary_files()",
    "from duckdb_tables",
    "from pg_catalog.pg_settings",
    "from information_schema.tables",
    "from sqlite_master",
    "from pragma_table_info('rows')",
    "from pragma_storage_info('rows')",
    "from pragma_database_size()",
    "from pragma_version()",
    "from which_secret('s3://x', 's3')",
    "from histogram(rows, id)",
    "from histogram_values('duckdb_settings', name)",
    "from json_execute_serialized_sql(json_serialize_sql('select 1'))",
    "from arrow_scan(1::pointer, 2::pointer, 3::pointer)",
    "from checkpoint()",
    "from enable_logging('QueryLog', storage = 'file')",
    "from register_external_resource('x')",
    "select current_setting('home_directory')",
    "select system.main.current_setting('temp_directory')",
    "select getvariable('x')",
    "select getenv('HOME')",
    "select nextval('counter')",
    "select currval('counter')",
    "select setseed(0.1)",
    "select version()",
    "select current_query()",
    "select json_serialize_plan('from rows')",
    "select write_log('x')",
    "select sleep_ms(1)",
    "select pg_sleep(1)",
    "select 'duckdb'.pg_get_viewdef()",
    "with pg_settings as (select 1) select * from (from pg_settings), pg_catalog.pg_settings",
    "with a as (from duckdb_tables), duckdb_tables as (select 1) from a",
]


@pytest.mark.parametrize("query", REACHING)
def test_a_query_reaches_nothing_but_the_tables_of_its_file(database, secret, query):
    query = query.format(secret=secret, folder=secret.parent)
    if not query.startswith(("from ", "select ", "with ")):
        query = f"from ({query})"
    assert "may not be read" in refused(database, query) or "Parser Error" in refused(database, query)


@pytest.mark.parametrize("query", REACHING)
def test_nor_does_a_view_or_a_macro_inside_the_file(database, secret, query):
    """DuckDB itself does not store some of these; what it stores is not read."""
    query = query.format(secret=secret, folder=secret.parent)
    forms = {"v": ("v", "from v"), "m": ("from m()", "from m()"), "s": ("select s() as x", "select s() as x")}
    stored = []
    for name, statement in {
        "v": f"create view v as {query}",
        "m": f"create macro m() as table {query}",
        "s": f"create macro s() as (select count(*) from ({query}))",
    }.items():
        try:
            make(database, statement)
        except duckdb.Error:
            continue
        stored.append(name)
    for name in stored:
        relation, as_query = forms[name]
        refused(database, relation)
        make(database, f"create or replace view w as {as_query}")
        refused(database, "w")


@pytest.mark.parametrize(
    ("statements", "relation"),
    [
        # The text of a view is looked at behind its names, however these are made.
        ("create view v(\" AS select 1 --\") as select content from read_text('{secret}')", "v"),
        ("create view \" AS select 1 --\" as from read_text('{secret}')", " AS select 1 --"),
        # A macro with the name of a harmless function, or of a forbidden one.
        (
            (
                "create macro lower(x) as (select content from read_text(x)); "
                "create view v as select lower('{secret}')"
            ),
            "v",
        ),
        ("create macro version() as 1; create view v as select system.main.version()", "v"),
        (
            (
                "create macro outer_() as table from inner_(); "
                "create macro inner_() as table from read_text('{secret}')"
            ),
            "from outer_()",
        ),
        # Computed when they are read.
        (
            (
                "create table g(a int, b varchar as (current_setting('home_directory'))); "
                "insert into g(a) values (1)"
            ),
            "g",
        ),
        # A table with the name of a view of the catalogue does not open the catalogue's.
        ("create table duckdb_settings as select 1", "from system.main.duckdb_tables"),
        ("create schema s; create table s.pg_settings as select 1", "from pg_settings"),
        ("create schema s; create view s.v as from read_csv('{secret}')", "s.v"),
    ],
)
def test_names_and_definitions_in_the_file_hide_nothing(database, secret, statements, relation):
    for statement in statements.format(secret=secret).split("; "):
        try:
            make(database, statement)
        except duckdb.Error as error:
            if "not exist" not in str(error):
                raise
            # A view or macro that DuckDB will not store is no attack, unless nothing of the case is left.
            assert statement != statements
    refused(database, relation)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select id from rows where prompt like 'q%' order by id desc limit 1", [{"id": 4}]),
        ("with recursive n as (select 1 as i union all select i + 1 from n where i < 3) from n",
         [{"i": 1}, {"i": 2}, {"i": 3}]),
        ("select count(*)::int as n from given.main.rows r join rows using (id)", [{"n": 5}]),
        ("from doubled where id > 3", [{"id": 4, "twice": 8}]),
        ("select two(id) as t from rows limit 1", [{"t": 0}]),
        ("from first_few(1)", [{"id": 0}]),
        ("from s.beside", [{"x": 1}]),
        ("from range(2) t(i)", [{"i": 0}, {"i": 1}]),
        ("select unnest([1, 2]) as u", [{"u": 1}, {"u": 2}]),
        ("values (1)", [{"col0": 1}]),
        ("select b from computed", [{"b": 2}]),
        ("select id from rows using sample 5 rows order by id limit 1", [{"id": 0}]),
    ],
)  # fmt: skip
def test_ordinary_queries_views_and_macros_are_read(database, query, expected):
    make(
        database,
        "create macro two(x) as x * 2",
        "create macro first_few(n) as table select id from rows limit n",
        "create view doubled as select id, two(id) as twice from rows",
        "create schema s",
        "create table s.inner_ as select 1 as x",
        "create view s.beside as from s.inner_",
        "create table computed(a int, b int as (a + 1), c int default (nextval('counter')))",
        "insert into computed(a) values (1)",
    )
    assert read(database, query) == expected


def peak_of_children():
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


@pytest.mark.parametrize(
    "query",
    [
        "select len(list(i)) as n from range(1000000000) t(i)",
        "select len(range(1000000000)) as n",
        "with a as (select repeat('x', 999999) s from range(4000)) select list(s || s || s) as p from a",
        "select a.id from range(100000) a(id), range(100000) b(x) order by a.id * b.x % 7",
        "select string_agg(repeat('x', 1000000), '') as prompt from range(100000)",
    ],
)
def test_memory_is_bounded(database, query):
    assert "Write the rows to a table" in refused(database, query)
    assert peak_of_children() < 4.5 * 2**20


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) as n from range(1000000000000) t(i) where i % 7 = 9",
        "with recursive r as (select 1 as x union all select (x + 1) % 10 from r) select max(x) as m from r",
        "select count(*) as n from rows a, range(1000000) b(i), range(1000000) c(j) where i + j < a.id",
    ],
)
def test_a_query_that_does_not_end_is_ended(database, monkeypatch, query):
    monkeypatch.setattr(duckdb_relation, "SECONDS", 1.0)
    started = time.monotonic()
    assert "takes more than 1 seconds" in refused(database, query)
    assert time.monotonic() - started < 20


def test_ctrl_c_stops_a_slow_view(database):
    make(database, "create view slow as select count(*) as n from range(1000000000000) t(i) where i % 7 = 9")
    code = (
        "from tags_assets.formats.readers import read_records\n"
        "from tags_assets.formats.pool import expand_pool\n"
        f"(path,) = expand_pool(['{database}::slow'])\n"
        "print('reading', flush=True)\n"
        "try:\n    list(read_records(path))\n"
        "except KeyboardInterrupt:\n    print('interrupted', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "reading\n"
        time.sleep(2)
        (worker,) = children_of(run.pid)
        run.send_signal(2)
        assert run.communicate(timeout=20)[0] == "interrupted\n"
    assert not Path(f"/proc/{worker}").exists()


def children_of(pid):
    tasks = Path(f"/proc/{pid}/task")
    return [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]


def test_the_process_knows_no_secret_and_runs_no_code_of_the_current_folder(database, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    for name in ("json", "duckdb", "pyarrow"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    process.close()
    assert len(read(database, "rows")) == 5
    assert not (tmp_path / "ran").exists()
    (worker,) = [kept.popen.pid for kept in process._idle]
    assert SECRET.encode() not in Path(f"/proc/{worker}/environ").read_bytes()


def test_a_process_is_kept_and_one_that_was_left_is_killed(database):
    process.close()
    read(database, "rows")
    (kept,) = process._idle
    read(database, "select 1 as x")
    assert process._idle == [kept]
    (path,) = expand_pool([f"{database}::from range(100000)"])
    rows = read_records(path)
    next(rows)
    rows.close()
    assert process._idle == []
    assert kept.popen.returncode is not None


def test_the_memory_of_the_parent_does_not_count(database):
    process.close()
    large = bytearray(1_200_000_000)
    large[::4096] = b"x" * len(large[::4096])
    read(database, "rows")
    del large
    assert len(process._idle) == 1


def test_a_process_that_used_much_memory_is_not_kept(database):
    process.close()
    read(
        database,
        "select length(repeat('x', 600000000) || i) as n from range(1) t(i)",
    )
    assert process._idle == []


@pytest.mark.parametrize("place", [0, 4096, 8192, 12288, 20000, 300000])
def test_a_damaged_file_is_one_line_or_its_rows(database, place):
    content = bytearray(database.read_bytes())
    place = min(place, len(content) - 64)
    content[place : place + 64] = os.urandom(64)
    database.write_bytes(content)
    try:
        read(database, "rows")
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_a_row_that_is_too_large_is_one_line(database):
    assert "has a row of more than 256 MiB" in refused(database, "select repeat('x', 300000000) as prompt")


def test_long_rows_come_in_pieces(database):
    rows = read(database, "select repeat('x', 1000000) as prompt, i from range(100) t(i)")
    assert [row["i"] for row in rows] == list(range(100))
