"""Every query of the documentation runs, and answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tags_assets_tests.sql.pool import lineage_tables
from tags_assets_tests.test_explanation import stored

PAGE = Path(__file__).resolve().parents[2] / "docs" / "queries.md"
QUERIES = re.findall(
    r"^## (.*?)$.*?```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """A home whose target ``maths`` has two versions: two of the first one's picks are gone in the second."""
    tables = lineage_tables()
    home = tmp_path_factory.mktemp("home")
    store = stored(home, tables)
    maths = store.read("selected_subset", partition="maths")
    store.write("selected_subset", "v2", {"data": maths.head(6)}, partition="maths")
    connection = store.warehouse.open()
    yield connection
    connection.close()


def test_there_are_ten_questions_and_one_more():
    assert [title.split(".")[0] for title, _ in QUERIES[:10]] == [str(n) for n in range(1, 11)]
    assert len(QUERIES) == 11


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_query_runs(warehouse, title, query):
    answer = warehouse.sql(query.strip().rstrip(";")).pl()
    if title.startswith(("2.", "3.", "9.")):
        return  # these ask for one row, which need not be in
    assert answer.height > 0, title


def test_versions_are_compared_as_the_page_says(warehouse):
    query = next(query for title, query in QUERIES if title.startswith("10."))
    answer = dict(warehouse.sql(query.strip().rstrip(";")).fetchall())
    assert answer == {"stayed": 6, "left": 2}
