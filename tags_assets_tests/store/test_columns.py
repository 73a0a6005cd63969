"""Every column that people can query says what it means, and nothing is described that is not there."""

from __future__ import annotations

import pytest

from tags_assets.formats.language import DEFAULT
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.columns import FURTHER_TABLES, GENERAL, OWN, meaning
from tags_assets.store.warehouse import Warehouse

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


@pytest.fixture
def columns(tmp_path):
    """``{view: {column: comment}}`` of a warehouse that shows every declared table."""
    from tags_assets.assets.catalogue import TABLES
    from tags_assets.graph.definitions import defs

    defs().resolve_asset_graph()
    store = ArtifactStore(tmp_path)
    Warehouse(store).publish(TABLES)
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
    described = {(view, column) for view, own in OWN.items() for column in own}
    there = {(view, column) for view, own in columns.items() for column in own}
    assert described - there == set()
    assert set(GENERAL) - {column for _, column in there} <= {"data_version"}
    assert set(FURTHER_TABLES) <= columns.keys()


def test_the_language_of_a_row_that_shows_none_is_described_as_it_is_stored():
    assert f"`{DEFAULT}`" in meaning("raw_instances", "language")
    assert "`und`" not in meaning("raw_instances", "language")
