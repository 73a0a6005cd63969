"""What Dagster's own storage refuses is one line that says what to do, with real databases that refuse."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tags_assets.errors import UserError
from tags_assets.graph.instance import storage_errors
from tags_assets.settings.home import Home


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path).prepare()


def fill(home, statements):
    engine = sa.create_engine(f"sqlite:///{home.dagster / 'runs.db'}")
    try:
        with storage_errors(home), engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))
    finally:
        engine.dispose()


def test_a_full_disk_is_told_as_one(home):
    grow = "insert into runs values (zeroblob(1000000))"
    with pytest.raises(UserError, match=r"the disk is full .* Free some space") as error:
        fill(home, ["pragma max_page_count = 8", "create table runs (body blob)", grow])
    assert "\n" not in str(error.value)


def test_a_damaged_storage_may_be_moved_away(home):
    (home.dagster / "runs.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(
        UserError, match=r"file is not a database.*it holds the history of runs, but no artifacts"
    ):
        fill(home, ["select * from runs"])


def test_too_little_memory_is_told_as_that(home):
    with pytest.raises(UserError, match="needs more memory than is available"), storage_errors(home):
        raise MemoryError


def test_other_errors_pass_through(home):
    with pytest.raises(ZeroDivisionError), storage_errors(home):
        raise ZeroDivisionError
