from __future__ import annotations

import sqlite3
from contextlib import closing

import dagster as dg
import pytest
import sqlalchemy as sa

from tags_assets.errors import UserError
from tags_assets.graph.instance import open_instance, storage_errors
from tags_assets.settings.home import Home


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home").prepare()


def test_events_are_written_to_the_disk_at_the_end_of_a_run_and_seen_at_once(home):
    key = dg.AssetKey("raw_instances")
    index = home.dagster / "history" / "runs" / "index.db"
    with open_instance(home) as instance:
        for _ in range(3):
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
        # What was committed still waits beside the file, where any other connection finds it.
        assert index.with_name("index.db-wal").stat().st_size > 0
        with closing(sqlite3.connect(index)) as other:
            assert other.execute("select count(*) from event_logs").fetchone() == (3,)
    assert not index.with_name("index.db-wal").exists()
    with open_instance(home) as instance:
        assert len(instance.fetch_materializations(key, limit=9).records) == 3


def test_a_storage_that_is_damaged_in_a_run_is_told_as_that(home):
    with open_instance(home):
        (home.dagster / "other.db").write_bytes(b"this is no database" * 100)
        engine = sa.create_engine(f"sqlite:///{home.dagster / 'other.db'}")
        with (
            pytest.raises(UserError, match="file is not a database"),
            storage_errors(home),
            engine.begin() as connection,
        ):
            connection.execute(sa.text("select * from runs"))
        engine.dispose()
