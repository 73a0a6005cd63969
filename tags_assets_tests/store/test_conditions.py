from __future__ import annotations

import os
import resource
import time

import polars as pl
import pytest

from tags_assets.errors import UserError
from tags_assets.store import conditions
from tags_assets.store.conditions import evaluate_condition

WHERE = "targets/maths.yaml: constraints.exclude.where"


@pytest.fixture
def frame():
    return pl.DataFrame(
        {
            "instance_id": ["a", "b", "c", "d"],
            "response_tokens": [10, 5000, None, 7],
            "language": ["de", "en", "fr", None],
            "messages": [[{"role": "user", "content": "hi"}], [], None, [{"role": "tool", "content": "x"}]],
        }
    )


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("response_tokens > 4096", [False, True, False, False]),
        ("language in ('de', 'fr') or response_tokens is null", [True, False, True, False]),
        ("language = 'de' -- only German", [True, False, False, False]),
        ("not (response_tokens > 100)", [True, False, False, True]),
        ("messages[1].content = 'hi'", [True, False, False, False]),
        ("response_tokens > (select avg(response_tokens) from instances)", [False, True, False, False]),
        ("rank() over (order by response_tokens desc nulls last) = 1", [False, True, False, False]),
        ("null", [False] * 4),
        ("true", [True] * 4),
        ("\"LANGUAGE\" = 'en'", [False, True, False, False]),
    ],
)
def test_a_condition_holds_as_in_a_where_clause_row_by_row(frame, condition, expected):
    holds = evaluate_condition(frame, condition, where=WHERE)
    assert holds.dtype == pl.Boolean
    assert holds.to_list() == expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("", "the condition is empty"),
        ("respons_tokens > 1", "there is no column named 'respons_tokens'. Did you mean 'response_tokens'"),
        ("response_tokens >", "syntax error"),
        ("language", "not true or false but string"),
        ("1", "not true or false"),
        ("*", "not true or false"),
        ("true, false", "only a single expression"),
        ("1=1; drop table instances", "more than one statement"),
        ("1=1) from instances; drop table instances; --", "syntax error"),
        ("unnest([true, false])", "8 values for 4 rows"),
        ("response_tokens > avg(response_tokens)", "aggregates rows. Write a sub-query"),
        ("language::int > 1", "Could not convert.*try_cast"),
        ("regexp_matches(language, '[')", "missing ]"),
        ("instance_id = ?", "has a parameter: write its value"),
    ],
)
def test_a_bad_condition_is_one_line_that_says_where_and_why(frame, condition, message):
    with pytest.raises(UserError, match=message) as caught:
        evaluate_condition(frame, condition, where=WHERE)
    assert str(caught.value).startswith(f"{WHERE}: ")
    assert "\n" not in str(caught.value)


SECRET = pl.DataFrame({"z": [1]})


@pytest.mark.parametrize(
    "condition",
    [
        "exists(from read_csv('{file}'))",
        "exists(from read_text('{file}'))",
        "exists(from read_blob('{file}'))",
        "exists(from read_duckdb('{file}', table_name = 'x'))",
        "exists(from '{file}')",
        "exists(from glob('{folder}/*'))",
        "exists(from sniff_csv('{file}'))",
        "exists(from query('from read_text(''{file}'')'))",
        "exists(from SECRET)",
        "exists(from frame)",
        "(copy instances to '{folder}/out')",
        "(attach '{folder}/out' as o)",
        "exists(from duckdb_extensions())",
        "getenv('HOME') = 'x'",
        "(install httpfs)",
        "(set enable_external_access = true)",
        "exists(from duckdb_settings())",
        "exists(from duckdb_settings() where name = 'home_directory' and value <> '')",
        "exists(from duckdb_databases() where path is not null)",
        "exists(from duckdb_secrets())",
        "exists(from duckdb_columns())",
        "exists(from pg_settings)",
        "exists(from information_schema.tables)",
        "exists(from sqlite_master)",
        "exists(from pragma_version())",
        "exists(from which_secret('s3://x', 's3'))",
        "exists(from parquet_metadata('{file}'))",
        "exists(from arrow_scan(1::pointer, 2::pointer, 3::pointer))",
        "exists(from query_table('instances'))",
        "exists(from (describe instances))",
        "exists(from histogram(instances, language))",
        "exists(from range(3) where current_setting('threads') = '1')",
        "current_setting('home_directory') is null",
        "system.main.current_setting('temp_directory') = ''",
        "'threads'.current_setting() = '1'",
        "current_database() = 'memory'",
        "getvariable('x') is null",
        "version() = 'v2'",
        "pg_sleep(1) is null",
        "sleep_ms(1000) is null",
        "setseed(0.5) is null",
        "nextval('x') = 1",
        "current_query() = ''",
        "write_log('x') is null",
        "true) , (select true from read_text('{file}')",
        "(select true) union (select true from read_text('{file}'))",
        "true from instances where (true",
        "true /* ; */; copy instances to '{folder}/out' --",
        "true\u00a0;\u2003copy instances to '{folder}/out'",
        "(with instances as (from read_text('{file}')) select true from instances limit 1)",
        "list_transform([1], lambda x: (select count(*) from read_text('{file}')))[1] = 1",
        "case when true then (select true from glob('/*') limit 1) end",
    ],
)
def test_a_condition_reaches_nothing_but_its_rows(frame, tmp_path, condition):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    before = os.listdir(tmp_path)  # noqa: PTH208
    with pytest.raises(UserError, match="cannot be evaluated"):
        evaluate_condition(
            frame, condition.format(file=tmp_path / "secret.csv", folder=tmp_path), where=WHERE
        )
    assert os.listdir(tmp_path) == before  # noqa: PTH208


@pytest.mark.parametrize(
    "condition",
    [
        "(select count(*) from range(1000000000000) t(i) where i % 7 = 9) = 0",
        "(with recursive r as (select 1 as x union all select (x + 1) % 10 from r) select max(x) from r) = 1",
        "(select count(*) from instances a, range(1000000) b(i), range(1000000) c(j) where i + j < 0) = 0",
    ],
)
def test_a_condition_that_does_not_end_is_ended(frame, monkeypatch, condition):
    monkeypatch.setattr(conditions, "SECONDS", 1.0)
    started = time.perf_counter()
    with pytest.raises(UserError, match=r"takes more than 1 seconds\. Write a simpler condition"):
        evaluate_condition(frame, condition, where=WHERE)
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(
    "condition",
    [
        "len((select list(i) from range(1000000000) t(i))) > 1",
        "len(range(1000000000)) > 1",
        "len((select list(repeat('x', 1000000) || i) from range(100000) t(i))) > 1",
        "len(list_transform(range(100000), lambda i: repeat('x', 1000000) || i)) > 1",
        "len(list_reduce(range(60), lambda s, i: s || s, 'xxxxxxxx')) > 1",
    ],
)
def test_a_condition_has_a_limit_on_its_memory(frame, condition):
    with pytest.raises(UserError, match="cannot be evaluated") as caught:
        evaluate_condition(frame, condition, where=WHERE)
    assert "\n" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 4.5 * 2**20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * 2**20


@pytest.mark.parametrize(
    "condition",
    [
        "lower(language) like 'd%' or language ilike 'EN' or language ~ 'f.'",
        "len(messages) > 0 and messages[1].role in ('user', 'tool')",
        "len([m for m in messages if m.role = 'user']) = 1",
        "list_contains(list_transform(messages, lambda m: m.role), 'tool')",
        "try_cast(instance_id as int) is null and coalesce(response_tokens, 0) between 0 and 10000",
        "language in (select language from instances group by language having count(*) > 0)",
        "response_tokens > (select quantile_cont(response_tokens, 0.5) from instances)",
        "sum(response_tokens) over (partition by language order by instance_id) > 5",
        "case language when 'de' then true else response_tokens::double / 2 > 3 end",
        "json_extract_string(to_json(messages), '$[0].role') = 'user'",
        "strptime('2020-01-01', '%Y-%m-%d') < now() and date '2020-01-01' < current_date",
        "exists(select 1 from instances other where other.language = instances.language)",
        "regexp_extract(language, '(d)', 1) = 'd' or language similar to 'e.*'",
        "struct_pack(a := 1).a = 1 and {'b': 2}.b = 2 and map {'k': 1}['k'] = 1",
        "random() < 2 and hash(instance_id) % 2 in (0, 1) and not isnan(sqrt(2))",
    ],
)
def test_ordinary_functions_may_be_called(frame, condition):
    assert evaluate_condition(frame, condition, where=WHERE).any()


def test_chance_falls_alike_each_time():
    frame = pl.DataFrame({"x": range(300_000)})
    first, second = (evaluate_condition(frame, "random() > 0.5", where=WHERE) for _ in range(2))
    assert first.equals(second)
    assert 0.45 < first.mean() < 0.55


def test_rows_stay_in_order_where_the_condition_sorts_them():
    frame = pl.DataFrame({"x": list(range(200_000, 0, -1))})
    holds = evaluate_condition(frame, "row_number() over (order by x) <= 1000", where=WHERE)
    assert holds.equals(pl.Series("keep", frame["x"] <= 1000))


def test_a_condition_on_many_rows_reads_only_the_columns_that_it_names():
    frame = pl.DataFrame({"tokens": range(200_000), "raw": ["x" * 500] * 200_000})
    started = time.perf_counter()
    assert evaluate_condition(frame, "tokens < 10", where=WHERE).sum() == 10
    assert time.perf_counter() - started < 2.0


def test_no_rows_give_no_values(frame):
    assert evaluate_condition(frame.clear(), "response_tokens > 1", where=WHERE).to_list() == []
