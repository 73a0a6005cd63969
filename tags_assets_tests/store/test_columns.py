"""Every column that people can query says what it means, and nothing is described that is not there."""

from __future__ import annotations

import pytest

from tags_assets.assets.registry import declarations, tables
from tags_assets.formats.language import DEFAULT
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.columns import GENERAL, VIEWS
from tags_assets.store.warehouse import Warehouse

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


@pytest.fixture
def columns(tmp_path):
    """``{view: {column: comment}}`` of a warehouse that shows every declared table."""
    store = ArtifactStore(tmp_path)
    Warehouse(store).publish(tables())
    with Warehouse(store).open() as connection:
        rows = connection.execute(
            "select table_name, column_name, comment from duckdb_columns() where database_name = 'warehouse'"
        ).fetchall()
    found: dict[str, dict[str, str]] = {}
    for view, column, comment in rows:
        found.setdefault(view, {})[column] = comment
    return {view: own for view, own in found.items() if not view.endswith("_history")}


def test_every_column_of_every_table_and_view_is_described(columns):
    assert {"why_selected", "raw_instances", "asset_versions"} <= columns.keys()
    silent = {f"{view}.{column}" for view, own in columns.items() for column, said in own.items() if not said}
    assert silent == set()


def test_nothing_is_described_that_is_not_there(columns):
    described = {(view, column) for view, own in VIEWS.items() for column in own}
    for asset, one in tables().items():
        views = {table: asset if table == "data" else f"{asset}_{table}" for table in one.meanings}
        described |= {(views[table], column) for table, own in one.meanings.items() for column in own}
    there = {(view, column) for view, own in columns.items() for column in own}
    assert described - there == set()
    assert set(GENERAL) - {column for _, column in there} <= {"data_version"}


def test_the_language_of_a_row_that_shows_none_is_described_as_it_is_stored():
    meaning = declarations()["raw_instances"].meaning("language")
    assert f"`{DEFAULT}`" in meaning
    assert "`und`" not in meaning
