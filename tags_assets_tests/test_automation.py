"""What runs by itself, by Dagster's own evaluation of the condition and of the sensors."""

from __future__ import annotations

import json
import os
import time

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from tags_assets.assets.versioned import TARGET_ASSETS
from tags_assets.automation import cascade, landing_sensor, targets_sensor
from tags_assets.home import Home
from tags_assets_tests.small_pool import write_target

# Dagster says of much that it is in beta; the release is pinned.
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


class Graph:
    """Landing, then `first`, then `second`, in an instance of their own."""

    def __init__(self, instance):
        self.instance, self.cursor = instance, None
        self.version, self.fails = "0", False
        self.within = self.between = lambda: None
        graph = self

        @dg.asset(deps=["landing"], automation_condition=cascade())
        def first():
            graph.within()
            if graph.fails:
                raise ValueError("as asked")
            return dg.MaterializeResult(data_version=dg.DataVersion(graph.version))

        @dg.asset(deps=[first], automation_condition=cascade())
        def second():
            graph.between()
            return dg.MaterializeResult(data_version=dg.DataVersion(graph.version))

        self.assets = [dg.AssetSpec("landing"), first, second]

    def land(self, version):
        event = dg.AssetMaterialization("landing", tags={"dagster/data_version": version})
        self.instance.report_runless_asset_event(event)

    def tick(self):
        result = dg.evaluate_automation_conditions(
            dg.Definitions(assets=self.assets), self.instance, cursor=self.cursor
        )
        self.cursor = result.cursor
        return {
            asset.key.to_user_string()
            for asset in self.assets
            if isinstance(asset, dg.AssetsDefinition) and result.get_num_requested(asset.key)
        }

    def run(self):
        self.version = str(int(self.version) + 1)
        dg.materialize(
            self.assets, selection=["first", "second"], instance=self.instance, raise_on_error=False
        )


@pytest.fixture
def graph():
    with dg.DagsterInstance.ephemeral() as instance:
        made = Graph(instance)
        made.land("a")
        made.tick()
        made.run()
        made.tick()
        yield made


def test_new_data_is_followed_all_the_way_down_in_one_tick(graph):
    assert graph.tick() == set()
    graph.land("b")
    assert graph.tick() == {"first", "second"}
    graph.run()
    assert graph.tick() == set()
    graph.land("b")
    assert graph.tick() == set(), "the same version again is nothing new"


def test_what_a_run_made_of_one_another_is_not_asked_for_again(graph):
    seen = []
    graph.between = lambda: seen.append(graph.tick())
    graph.land("b")
    assert graph.tick() == {"first", "second"}
    graph.run()
    assert seen == [set()]
    assert graph.tick() == set()


def test_a_change_that_arrives_during_a_run_is_not_lost(graph):
    seen = []

    def change():
        seen.append(graph.tick())
        graph.land("c")
        seen.append(graph.tick())

    graph.land("b")
    assert graph.tick() == {"first", "second"}
    graph.within = change
    graph.run()
    assert seen == [set(), set()], "nothing is asked for while it runs"
    assert graph.tick() == {"first", "second"}


@pytest.mark.parametrize("seen_while_it_runs", [True, False])
def test_a_failure_is_retried_once_and_then_waits_for_new_data(graph, seen_while_it_runs):
    graph.fails = True
    if seen_while_it_runs:
        graph.within = graph.tick
    for version in ("b", "c"):
        graph.land(version)
        assert "first" in graph.tick()
        requests = 0
        for _ in range(5):
            graph.run()
            requests += "first" in graph.tick()
        assert requests <= 1
        if version == "b":
            assert requests == 1


@pytest.mark.parametrize("name", ["selection_attribution", "selection_report", "exported_subset"])
def test_what_is_made_from_a_selection_reads_nothing_that_the_selection_is_not_made_from(name):
    # This is why it may follow the selection alone.
    from tags_assets.definitions import defs

    graph = defs().resolve_asset_graph()
    key = dg.AssetKey(name)
    selection = dg.AssetKey("selected_subset")
    above = graph.get_ancestor_asset_keys(selection) | {selection}
    of_pool = {dep for dep in graph.get(key).parent_keys if dep.to_user_string() not in TARGET_ASSETS}
    assert of_pool <= above


# The sensors --------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TAGS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TAGS_TARGETS", str(tmp_path / "targets"))
    return Home.resolve().prepare()


def write_row(file, n):
    with file.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps({"instruction": f"Question {n}?", "output": f"Answer {n}."}) + "\n")


class Sensor:
    """A sensor that is ticked by hand, keeping its cursor."""

    def __init__(self, sensor, instance):
        self.sensor, self.instance, self.cursor = sensor, instance, None

    def tick(self):
        from tags_assets.definitions import defs

        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, definitions=defs())
        data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor
        if data.dynamic_partitions_requests:
            for request in data.dynamic_partitions_requests:
                if isinstance(request, dg.AddDynamicPartitionsRequest):
                    self.instance.add_dynamic_partitions("targets", list(request.partition_keys))
                else:
                    for name in request.partition_keys:
                        self.instance.delete_dynamic_partition("targets", name)
        return data


def test_a_file_is_left_until_it_no_longer_changes(home):
    with dg.DagsterInstance.ephemeral() as instance:
        sensor = Sensor(landing_sensor, instance)
        file = home.landing / "rows.jsonl"
        write_row(file, 1)
        assert "rows.jsonl" in sensor.tick().skip_message
        write_row(file, 2)
        assert "rows.jsonl" in sensor.tick().skip_message
        (event,) = sensor.tick().asset_events
        first = event.tags["dagster/data_version"]
        assert "none of them new" in sensor.tick().skip_message
        write_row(file, 3)
        assert not sensor.tick().asset_events
        (event,) = sensor.tick().asset_events
        assert event.tags["dagster/data_version"] != first

        # What was written long ago is whole at first sight.
        old = home.landing / "old.jsonl"
        write_row(old, 4)
        an_hour_ago = time.time() - 3600
        os.utime(old, (an_hour_ago, an_hour_ago))
        assert sensor.tick().asset_events
        # A file that disappears is a new version too.
        old.unlink()
        assert sensor.tick().asset_events


def requested(data):
    return [
        (request.tags[ASSET_PARTITION_RANGE_START_TAG], request.tags[ASSET_PARTITION_RANGE_END_TAG])
        for request in data.run_requests
    ]


def test_many_targets_are_one_run_and_edited_ones_are_asked_for_alone(home, monkeypatch):
    monkeypatch.setattr("tags_assets.automation._has_scores", lambda _home: True)
    for n in range(100):
        write_target(home.targets_folder, f"target_{n:03}")
    with dg.DagsterInstance.ephemeral() as instance:
        sensor = Sensor(targets_sensor, instance)
        data = sensor.tick()
        assert requested(data) == [("target_000", "target_099")]
        (request,) = data.run_requests
        assert {key.to_user_string() for key in request.asset_selection} == TARGET_ASSETS
        assert len(instance.get_dynamic_partitions("targets")) == 100
        assert "none of them new" in sensor.tick().skip_message

        write_target(home.targets_folder, "target_042", budget={"rows": 3})
        assert requested(sensor.tick()) == [("target_042", "target_042")]
        write_target(home.targets_folder, "target_042")
        assert requested(sensor.tick()) == [("target_042", "target_042")], "edited back is edited"

        # Renamed, removed, invalid.
        file = home.targets_folder / "target_007.yaml"
        file.rename(home.targets_folder / "seven.yaml")
        (home.targets_folder / "target_050.yaml").unlink()
        (home.targets_folder / "target_060.yaml").write_text("budget: {rows: -1}", encoding="utf-8")
        assert requested(sensor.tick()) == [("target_060", "target_060"), ("seven", "seven")]
        left = set(instance.get_dynamic_partitions("targets"))
        assert "seven" in left
        assert not {"target_007", "target_050"} & left
        assert len(left) == 99


def test_targets_wait_for_the_first_scores(home):
    write_target(home.targets_folder, "maths")
    with dg.DagsterInstance.ephemeral() as instance:
        sensor = Sensor(targets_sensor, instance)
        assert sensor.tick().run_requests == []
        assert instance.get_dynamic_partitions("targets") == ["maths"]
