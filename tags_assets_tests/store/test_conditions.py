from __future__ import annotations

import os
import time

import polars as pl
import pytest

from tags_assets.errors import UserError
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
        ("language", "not true or false but String"),
        ("1", "not true or false"),
        ("*", "not true or false"),
        ("true, false", "only a single expression"),
        ("1=1; drop table instances", "more than one statement"),
        ("1=1) from instances; drop table instances; --", "syntax error"),
        ("unnest([true, false])", "8 values for 4 rows"),
        ("response_tokens > avg(response_tokens)", "sums rows up. Write a sub-query"),
        ("language::int > 1", "Could not convert.*try_cast"),
        ("regexp_matches(language, '[')", "missing ]"),
        ("instance_id = ?", "Values were not provided"),
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
