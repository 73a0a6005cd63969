"""Pruning at a time of day, and the age from which the UI calls data stale: both only where asked for."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg
import polars as pl
import pytest

from tags_assets.settings.home import Home
from tags_assets.store.opening import open_store

# Dagster says of much that it is in beta; the release is pinned. The graph is imported where this holds.
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TAGS_HOME", str(tmp_path / "home"))
    return Home.resolve().prepare()


def test_the_job_frees_what_the_rule_lets_go_and_says_how_much(home):
    from tags_assets.graph.pruning import prune
    from tags_assets.resources.run import run_resource

    store, rows = open_store(home.path), pl.DataFrame({"tag": ["heap", "tree"]})
    for number in range(4):
        store.write("tree", f"t{number}", rows)
    config = {"keep_last": 2, "grace_minutes": 0.0}
    result = prune.execute_in_process(
        run_config={"ops": {"free_old_versions": {"config": config}}},
        resources={"run": run_resource(home)},
    )
    assert result.success
    assert [version.data_version for version in store.versions("tree")] == ["t2", "t3"]
    [output] = [event for event in result.all_events if event.is_successful_output]
    told = output.step_output_data.metadata
    assert (told["versions_removed"].value, told["versions_kept"].value) == (2, 2)


@pytest.mark.usefixtures("home")
def test_the_schedule_is_there_and_off():
    from tags_assets.graph.definitions import defs

    schedule = defs().resolve_schedule_def("weekly_pruning")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.job_name == "prune"


def test_data_is_called_stale_from_the_age_that_the_pool_says(home):
    from tags_assets.graph.definitions import defs, fresh

    landing, tree = dg.AssetSpec("landing"), dg.AssetSpec("knowledge_tree")
    assert fresh(landing, home).freshness_policy is None
    home.save_pool("default", home.pool("default").model_copy(update={"freshness_hours": 26.0}))
    window = fresh(landing, home).freshness_policy.fail_window
    assert window.to_timedelta() == timedelta(hours=26)
    assert fresh(tree, home).freshness_policy is None
    graph = defs().resolve_asset_graph()
    assert graph.get(dg.AssetKey("selected_subset")).freshness_policy.fail_window == window
