"""The real daemon follows an edited target, whoever made the selection before and whenever the edit came."""

from __future__ import annotations

import shutil
import time

import pytest

from tags_assets.graph.instance import open_instance
from tags_assets.settings.home import Home
from tags_assets.store.opening import open_store
from tags_assets_tests.small_pool import write_target
from tags_assets_tests.ui.served import served

pytestmark = pytest.mark.slow


@pytest.fixture
def home(selected_home, tmp_path):
    """A home in which the command line selected for ``maths``, and its target file."""
    shutil.copytree(selected_home, tmp_path / "home")
    shutil.copytree(selected_home.parent / "targets", tmp_path / "targets")
    return Home(tmp_path / "home")


def rows_of(home):
    return open_store(home.path).require("selected_subset", partition="maths").rows


def await_rows(home, n, seconds=240):
    end = time.monotonic() + seconds
    while time.monotonic() < end and rows_of(home) != n:
        time.sleep(1)
    assert rows_of(home) == n
    while time.monotonic() < end and runs(home, "STARTED", "STARTING", "QUEUED", "NOT_STARTED"):
        time.sleep(1)


def runs(home, *statuses):
    with open_instance(home) as instance:
        return [run for run in instance.get_runs() if not statuses or run.status.value in statuses]


def test_an_edited_target_is_selected_for_again(home, tmp_path):
    variables = {"TAGS_TARGETS": str(tmp_path / "targets")}
    assert rows_of(home) == 12
    before = len(runs(home))
    with served(home.path, tmp_path, tmp_path / "first.log", variables):
        time.sleep(60)  # several ticks
        assert len(runs(home)) == before, "nothing changed"
        write_target(tmp_path / "targets", budget={"rows": 7})
        await_rows(home, 7)
    write_target(tmp_path / "targets", budget={"rows": 9})
    with served(home.path, tmp_path, tmp_path / "second.log", variables):
        await_rows(home, 9)
        # More than the pool holds: one line in the run, and no attempt at every tick.
        tried = len(runs(home))
        write_target(tmp_path / "targets", budget={"rows": 5000})
        time.sleep(120)
        failed = runs(home, "FAILURE")
        assert failed
        assert len(runs(home)) - tried <= 2
    assert rows_of(home) == 9
