"""What runs by itself, by Dagster's own evaluation of the condition and of the sensors."""

from __future__ import annotations

import hashlib
import json
import os
import time

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run_iterator
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    AUTOMATION_CONDITION_TAG,
)

from tags_assets.assets.registry import target_assets
from tags_assets.graph.automation import cascade, landing_sensor, targets_sensor
from tags_assets.settings.home import Home
from tags_assets_tests.small_pool import write_target

# Dagster says of much that it is in beta; the release is pinned.
pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


class Graph:
    """Landing, the first of the pool's assets, and their last, in an instance of their own."""

    def __init__(self, instance):
        self.instance, self.cursor = instance, None
        self.version, self.fails = "0", False
        self.within = self.between = lambda: None
        graph = self

        @dg.asset(name="raw_instances", deps=["landing"], automation_condition=cascade())
        def first():
            graph.within()
            if graph.fails:
                raise ValueError("as asked")
            return dg.MaterializeResult(data_version=dg.DataVersion(graph.version))

        @dg.asset(name="instance_scores", deps=[first], automation_condition=cascade())
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
        defs = dg.Definitions(assets=self.assets, executor=dg.in_process_executor)
        defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey("raw_instances"), dg.AssetKey("instance_scores")],
            raise_on_error=False,
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
    assert graph.tick() == {"raw_instances", "instance_scores"}
    graph.run()
    assert graph.tick() == set()
    graph.land("b")
    assert graph.tick() == set(), "the same version again is nothing new"


def test_what_a_run_made_of_one_another_is_not_asked_for_again(graph):
    seen = []
    graph.between = lambda: seen.append(graph.tick())
    graph.land("b")
    assert graph.tick() == {"raw_instances", "instance_scores"}
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
    assert graph.tick() == {"raw_instances", "instance_scores"}
    graph.within = change
    graph.run()
    assert seen == [set(), set()], "nothing is asked for while it runs"
    assert graph.tick() == {"raw_instances", "instance_scores"}


def test_a_change_at_the_very_next_tick_is_not_lost(graph):
    graph.land("b")
    assert graph.tick() == {"raw_instances", "instance_scores"}
    graph.within = lambda: graph.land("c")
    graph.run()
    assert graph.tick() == {"raw_instances", "instance_scores"}


@pytest.mark.parametrize("seen_while_it_runs", [True, False])
def test_a_failure_is_retried_once_and_then_waits_for_new_data(graph, seen_while_it_runs):
    graph.fails = True
    if seen_while_it_runs:
        graph.within = graph.tick
    for version in ("b", "c"):
        graph.land(version)
        assert "raw_instances" in graph.tick()
        requests = 0
        for _ in range(5):
            graph.run()
            requests += "raw_instances" in graph.tick()
        assert requests <= 1
        if version == "b":
            assert requests == 1


@pytest.mark.parametrize("name", ["selection_attribution", "selection_report", "exported_subset"])
def test_what_is_made_from_a_selection_reads_nothing_that_the_selection_is_not_made_from(name):
    # This is why it may follow the selection alone.
    from tags_assets.graph.definitions import defs

    graph = defs().resolve_asset_graph()
    key = dg.AssetKey(name)
    selection = dg.AssetKey("selected_subset")
    above = graph.get_ancestor_asset_keys(selection) | {selection}
    of_pool = {dep for dep in graph.get(key).parent_keys if dep.to_user_string() not in target_assets()}
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
        from tags_assets.graph.definitions import defs

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


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_what_comes_while_a_run_is_at_work_is_followed_by_one_run_of_the_pool_and_one_of_the_targets():
    daemon = Daemon(["maths", "law"])
    with daemon.instance:
        daemon.land("1")
        daemon.tick()
        daemon.work()  # the first time: all that was missing
        daemon.settle()
        del daemon.runs[:]

        daemon.land("2")
        daemon.tick()
        daemon.work(while_making={"atomic_tags": lambda: daemon.land("3")})
        daemon.settle()
        assert daemon.runs == [daemon.pool, daemon.pool, daemon.targets]

        # And while the targets' own run is at work.
        del daemon.runs[:]
        daemon.land("4")
        daemon.tick()
        daemon.work()
        daemon.tick()
        daemon.work(while_making={"selected_subset": lambda: daemon.land("5")})
        daemon.settle()
        assert daemon.runs == [daemon.pool, daemon.targets, daemon.pool, daemon.targets]


FEW = {"raw_instances", "atomic_tags", "instance_scores"} | target_assets()


class Daemon:
    """A part of the graph with its conditions, assets that compute nothing, runs one after the other."""

    def __init__(self, names):
        from tags_assets.graph.definitions import defs

        self.instance, self.cursor, self.runs, self.queue = dg.DagsterInstance.ephemeral(), None, [], []
        self.landed, self.versions, self.between = "", {}, {}
        partitions = dg.DynamicPartitionsDefinition(name="targets")
        self.instance.add_dynamic_partitions("targets", names)
        graph = defs().resolve_asset_graph()
        keys = [key for key in graph.toposorted_asset_keys if key.to_user_string() in FEW]
        self.defs = dg.Definitions(
            assets=[dg.AssetSpec("landing"), *(self._copy(graph.get(key), partitions) for key in keys)],
            executor=dg.in_process_executor,
        )
        self.names, self.keys = names, keys
        self.targets = frozenset(target_assets()), tuple(names)
        self.pool = frozenset(key.to_user_string() for key in keys) - target_assets(), ()

    def _copy(self, node, partitions):
        name, of_target = node.key.to_user_string(), node.key.to_user_string() in target_assets()
        above = sorted({key.to_user_string() for key in node.parent_keys} & {*FEW, "landing"})
        above = {"instance_scores": ["atomic_tags"], "target_distribution": ["instance_scores"]}.get(
            name, above
        )

        @dg.asset(
            name=name,
            deps=above,
            automation_condition=node.automation_condition,
            partitions_def=partitions if of_target else None,
            backfill_policy=dg.BackfillPolicy.single_run() if of_target else None,
        )
        def made():
            made_of = [self.versions.get(dependency, self.landed) for dependency in above]
            self.versions[name] = hashlib.sha256(repr((name, made_of)).encode()).hexdigest()[:8]
            if name in self.between:
                self.between.pop(name)()
                assert not {names for names in self.tick() if bool(names) == of_target}, "not in its own run"
            return dg.MaterializeResult(data_version=dg.DataVersion(self.versions[name]))

        return made

    def land(self, version):
        self.landed = version
        event = dg.AssetMaterialization("landing", tags={"dagster/data_version": version})
        self.instance.report_runless_asset_event(event)

    def tick(self):
        result = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        wanted = {}
        for key in self.keys:
            if result.get_num_requested(key):
                names = sorted(filter(None, result.get_requested_partitions(key)), key=self.names.index)
                wanted.setdefault(tuple(names), set()).add(key)
        for names, keys in wanted.items():
            tags = {AUTOMATION_CONDITION_TAG: "true"}
            if names:
                tags |= {ASSET_PARTITION_RANGE_START_TAG: names[0], ASSET_PARTITION_RANGE_END_TAG: names[-1]}
            job = self.defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=keys)
            run = self.instance.create_run_for_job(job, asset_selection=keys, tags=tags)
            self.queue.append((job, run, (frozenset(key.to_user_string() for key in keys), names)))
        return set(wanted)

    def work(self, while_making=None):
        self.between = dict(while_making or {})
        while self.queue:
            job, run, what = self.queue.pop(0)
            assert not any(e.is_failure for e in execute_run_iterator(InMemoryJob(job), run, self.instance))
            self.runs.append(what)
        assert not self.between

    def settle(self):
        while self.tick() or self.tick():
            self.work()


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
        assert "none new or changed" in sensor.tick().skip_message
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
    monkeypatch.setattr("tags_assets.graph.automation._has_scores", lambda _home: True)
    for n in range(100):
        write_target(home.targets_folder, f"target_{n:03}")
    with dg.DagsterInstance.ephemeral() as instance:
        sensor = Sensor(targets_sensor, instance)
        data = sensor.tick()
        assert requested(data) == [("target_000", "target_099")]
        (request,) = data.run_requests
        assert {key.to_user_string() for key in request.asset_selection} == target_assets()
        assert len(instance.get_dynamic_partitions("targets")) == 100
        assert "none new or changed" in sensor.tick().skip_message

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


@pytest.fixture
def selected(tmp_path, monkeypatch):
    """A home in which the command line selected for ``maths``."""
    from tags_assets_tests.small_pool import select_small_pool

    path = select_small_pool(tmp_path)
    monkeypatch.setenv("TAGS_HOME", str(path))
    monkeypatch.setenv("TAGS_TARGETS", str(tmp_path / "targets"))
    return Home(path)


def started_anew(sensor, instance, monkeypatch):
    """The same sensor with the cursor that was stored, in another session."""
    again = Sensor(sensor.sensor, instance)
    again.cursor = sensor.cursor
    monkeypatch.setenv("TAGS_UI_SESSION", str(id(again)))
    return again


@pytest.mark.slow
def test_what_counts_as_seen_is_what_a_selection_was_made_from(selected, monkeypatch):
    monkeypatch.setattr(
        "tags_assets.graph.automation._select_for", lambda names: dg.RunRequest(tags={"names": str(names)})
    )
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("targets", ["maths"])
        sensor = Sensor(targets_sensor, instance)
        assert not sensor.tick().run_requests, "the command line made it"
        assert sensor.cursor, "edits are told from what was seen now"
        write_target(selected.targets_folder, budget={"rows": 7})
        assert len(sensor.tick().run_requests) == 1
        # That run fails: the next ticks leave the target alone, the next start tries once more.
        assert [sensor.tick().run_requests for _ in range(3)] == [[], [], []]
        sensor = started_anew(sensor, instance, monkeypatch)
        assert len(sensor.tick().run_requests) == 1
        assert not sensor.tick().run_requests

        # Edited while nothing ran: the budget, what is wanted, a row of the examples.
        write_target(selected.targets_folder)
        sensor = started_anew(sensor, instance, monkeypatch)
        assert not sensor.tick().run_requests, "edited back to what the selection was made from"
        examples = selected.targets_folder / "maths_examples.jsonl"
        examples.write_text(examples.read_text().replace("4x^3", "5x^4"))
        sensor = started_anew(sensor, instance, monkeypatch)
        assert len(sensor.tick().run_requests) == 1
        write_target(selected.targets_folder, target={"description": "trigonometry"})
        sensor = started_anew(sensor, instance, monkeypatch)
        assert len(sensor.tick().run_requests) == 1
        # A comment asks for nothing else.
        file = write_target(selected.targets_folder)
        file.write_text(file.read_text() + "\n# the sums of the third term\n")
        assert not started_anew(sensor, instance, monkeypatch).tick().run_requests


@pytest.mark.slow
def test_a_target_asset_without_a_target_fails_with_one_line(selected):
    from tags_assets.graph.definitions import defs
    from tags_assets.graph.instance import open_instance

    job = defs().resolve_implicit_global_asset_job_def()
    with open_instance(selected) as instance:
        result = job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey("target_distribution")],
            raise_on_error=False,
        )
    (event,) = [event for event in result.all_events if event.is_step_failure]
    assert "the run names none" in event.step_failure_data.user_failure_data.description
