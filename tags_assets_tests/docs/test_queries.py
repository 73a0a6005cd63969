"""Every query of the documentation runs after `make demo`, and answers."""

from __future__ import annotations

import re

import pytest

from tags_assets.store.opening import open_store
from tags_assets.store.warehouse import Warehouse, open_warehouse
from tags_assets_tests.docs.blocks import EVERY
from tags_assets_tests.requirements_of_tests import CHECKOUT

PAGE = CHECKOUT / "docs" / "queries.md"
TITLES = re.findall(r"^## (.*?)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
QUERIES = [block for block in EVERY if block.language == "sql"]


@pytest.fixture(scope="module")
def warehouse(project):
    connection = open_warehouse(project / ".tags")
    yield connection
    connection.close()


def test_there_are_ten_questions_and_one_more():
    assert [title.split(".")[0] for title in TITLES[:10]] == [str(n) for n in range(1, 11)]
    assert len([block for block in QUERIES if block.page == PAGE]) == len(TITLES) == 11


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES, ids=[block.place for block in QUERIES])
def test_query_answers_after_the_demo(warehouse, query):
    assert warehouse.sql(query.text.strip().rstrip(";")).pl().height > 0


@pytest.mark.slow
def test_versions_are_compared_as_the_page_says(fresh_project):
    """A second version of the demo's selection, without ten of the rows of the first."""
    store = open_store(fresh_project / ".tags")
    now = store.read("selected_subset", partition="grade_school_math")
    store.write("selected_subset", "v2", {"data": now.head(38)}, partition="grade_school_math")
    (query,) = (block.text for block in QUERIES if "fates" in block.text)
    with Warehouse(store).open() as connection:
        answer = dict(connection.sql(query.strip().rstrip(";")).fetchall())
    assert answer == {"stayed": 38, "left": 10}
