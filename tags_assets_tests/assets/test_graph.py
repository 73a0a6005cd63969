"""The graph as a whole: what runs, what is used again, what the tables hold."""

from __future__ import annotations

import json
import shutil

import dagster as dg
import polars as pl
import pytest

from tags_assets.assets.registry import target_assets
from tags_assets.errors import UserError
from tags_assets.graph.instance import open_instance
from tags_assets.graph.runner import run_target
from tags_assets.settings.home import Home
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets.store.opening import open_store
from tags_assets.store.warehouse import Warehouse
from tags_assets_tests.small_pool import write_pool, write_target


class Silent:
    def step(self, task, done, total):
        pass


def runs_of(home, target):
    return {run.asset: run for run in run_target(home, target, Silent())}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A home whose pool was selected from once, for the target maths, and what ran; nobody changes it."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAGS_TARGETS", str(folder / "targets"))
        patch.setenv("TAGS_HOME", str(folder / "home"))
        home = Home.resolve().prepare()
        settings = home.pool("default")
        home.save_pool("default", settings.model_copy(update={"paths": [str(write_pool(folder / "data"))]}))
        write_target(folder / "targets")
        TargetRegistry(home).name("maths", None)
        first = runs_of(home, "maths")
    return folder, first


@pytest.fixture
def project(finished, tmp_path, monkeypatch):
    """A copy of it for one test alone."""
    folder, first = finished
    shutil.copytree(folder / "home", tmp_path / "home")
    shutil.copytree(folder / "targets", tmp_path / "targets")
    monkeypatch.setenv("TAGS_TARGETS", str(tmp_path / "targets"))
    monkeypatch.setenv("TAGS_HOME", str(tmp_path / "home"))
    return Home.resolve(), first


def test_every_asset_runs_the_first_time(project):
    _, first = project
    assert {run.status for run in first.values()} == {"ran"}
    assert len(first) == 17


def test_a_run_with_nothing_changed_does_no_work(project):
    home, first = project
    again = runs_of(home, "maths")
    assert {run.status for run in again.values()} == {"reused"}
    assert {name: run.data_version for name, run in again.items()} == {
        name: run.data_version for name, run in first.items()
    }


def test_editing_a_target_runs_the_target_assets_of_that_target_and_nothing_else(project):
    home, _ = project
    folder = home.targets_folder
    write_target(folder, "other", budget={"rows": 6})
    runs_of(home, "other")
    other = {asset: open_store(home.path).require(asset, None, "other") for asset in target_assets()}
    write_target(folder, "maths", budget={"rows": 9}, target={"description": "quadratic equations"})
    with open_instance(home) as instance:
        latest = [instance.fetch_materializations(dg.AssetKey(asset), limit=1) for asset in target_assets()]
        before = max(found.records[0].storage_id for found in latest)
    again = runs_of(home, "maths")
    assert {name for name, run in again.items() if run.status == "ran"} == target_assets()
    with open_instance(home) as instance:
        for asset in target_assets():
            events = instance.fetch_materializations(dg.AssetKey(asset), limit=50).records
            new = [e for e in events if e.storage_id > before]
            assert {event.partition_key for event in new} == {"maths"}
            assert new[0].asset_materialization.metadata["status"].value == "ran"
        for asset in set(again) - target_assets():
            event = instance.fetch_materializations(dg.AssetKey(asset), limit=1).records[0]
            assert event.asset_materialization.metadata["status"].value == "reused"
    for asset, version in other.items():
        assert open_store(home.path).require(asset, None, "other").data_version == version.data_version
    write_target(folder, "maths")
    assert {run.status for run in runs_of(home, "maths").values()} == {"reused"}  # back to what was before


def test_what_follows_a_selection_is_made_from_what_that_was_made_from(project, tmp_path):
    """The pool may have moved on in another run meanwhile: gains are not taken apart by the new scores."""
    from tags_assets.graph.definitions import defs

    home, first = project
    more = tmp_path / "more.jsonl"
    texts = [f"Explain photosynthesis in leaf number {i}, and what light does to it." for i in range(6)]
    more.write_text("".join(json.dumps({"instruction": t, "output": t.upper()}) + "\n" for t in texts))
    pool = home.pool("default")
    home.save_pool("default", pool.model_copy(update={"paths": [*pool.paths, str(more)]}))
    job = defs().resolve_job_def("everything")

    def run(assets):
        keys = [dg.AssetKey(asset) for asset in sorted(assets)]
        with open_instance(home) as instance:
            return job.execute_in_process(
                instance=instance, partition_key="maths", asset_selection=keys, raise_on_error=False
            )

    assert run(set(first) - target_assets()).success
    assert (
        open_store(home.path).require("instance_scores").data_version != first["instance_scores"].data_version
    )
    assert run({"selection_attribution", "exported_subset", "selection_report"}).success
    for asset in ("selection_attribution", "exported_subset", "selection_report"):
        made = open_store(home.path).require(asset, None, "maths")
        assert made.upstream["selected_subset"] == first["selected_subset"].data_version
        scores = made.upstream.get("instance_scores", first["instance_scores"].data_version)
        assert scores == first["instance_scores"].data_version
    assert {run.status for name, run in runs_of(home, "maths").items() if name in target_assets()} == {"ran"}


def test_rows_in_are_kept_rejected_or_duplicate(project):
    home, _ = project
    figures = open_store(home.path).require("raw_instances").metadata["figures"]
    assert figures["rows_in"] == 75
    assert figures["rows_kept"] + figures["rows_rejected"] + figures["rows_duplicate"] == 75
    assert figures["rows_rejected"] == 2
    rejected = open_store(home.path).read("rejected_rows")
    assert rejected["line"].to_list() == [73, 74]


def test_masses_weights_and_attributions_add_up(project):
    home, _ = project
    store = open_store(home.path)
    tags = store.read("instance_tags").group_by("instance_id").agg(pl.col("weight").sum())
    assert tags["weight"].min() == pytest.approx(1.0, abs=1e-5)
    mass = store.read("grounded_instances").group_by("instance_id").agg(pl.col("mass").sum())
    assert mass["mass"].min() == pytest.approx(1.0, abs=1e-9)
    selected = store.read("selected_subset", partition="maths")
    parts = store.read("selection_attribution", partition="maths")
    sums = parts.group_by("instance_id").agg(pl.col("amount").sum())
    both = selected.join(sums, on="instance_id")
    assert len(both) == len(selected) == 12
    assert (both["gain"] - both["amount"]).abs().max() < 1e-9


def test_the_selection_is_of_the_target(project):
    home, _ = project
    selected = open_store(home.path).read("selected_subset", partition="maths")
    assert selected.filter(pl.col("source") == "maths").height >= 9


def test_the_warehouse_shows_every_asset_and_its_history(project):
    home, _ = project
    write_target(home.targets_folder, "maths", budget={"rows": 12}, alignment=0.4)
    runs_of(home, "maths")
    with Warehouse(open_store(home.path)).open() as connection:
        count = connection.sql("select count(*) from selected_subset where target = 'maths'").fetchall()
        assert count == [(12,)]
        versions = connection.sql(
            "select count(distinct data_version) from selected_subset_history where target = 'maths'"
        ).fetchall()
        assert versions == [(2,)]
        for asset in ("raw_instances", "knowledge_tree", "quality_judgements", "filtered_rows"):
            connection.sql(f"select * from {asset} limit 1").fetchall()


def test_a_bad_target_is_one_line(project):
    home, _ = project
    names = sorted(open_store(home.path).read("knowledge_tree")["name"])
    known = max(names, key=len)
    for wrong, told in ((known[:-1] + "_", f"Did you mean '{known}'"), ("qqqqqq", f"There are '{names[0]}'")):
        file = write_target(home.targets_folder, "bad", target={"weights": {wrong: 1}})
        with pytest.raises(Exception, match=wrong) as error:
            runs_of(home, "bad")
        file.unlink()
        assert "\n" not in str(error.value)
        assert told in str(error.value)


@pytest.mark.usefixtures("project")
def test_every_asset_states_its_grain_and_has_kinds_and_owners():
    from tags_assets.graph.definitions import defs

    graph = defs().resolve_asset_graph()
    for node in graph.asset_nodes:
        assert node.description.startswith("One row")
        assert node.kinds
        assert node.owners
        assert node.group_name in {"knowledge", "scoring", "sampling"}


def test_checks_are_part_of_the_run(project):
    home, _ = project
    with open_instance(home) as instance:
        key = dg.AssetCheckKey(dg.AssetKey("raw_instances"), "rows_add_up")
        record = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)[0]
        assert json.loads(json.dumps(record.status.value)) == "SUCCEEDED"


def test_a_check_that_blocks_keeps_the_selection_that_there_was(project):
    home, _ = project
    runs_of(home, "maths")
    store = open_store(home.path)
    before = store.require("raw_instances"), store.require("selected_subset", None, "maths")
    pool = home.pool()
    bad = home.targets_folder.parent / "bad.jsonl"
    bad.write_text("no row at all\n" * 40, encoding="utf-8")
    limits = pool.limits.model_copy(update={"rejected": 0.2, "blocking": ["few_rejected"]})
    changed = {"limits": limits, "paths": [*pool.paths, str(bad)], "allow_unreadable_files": True}
    home.save_pool("default", pool.model_copy(update=changed))
    with pytest.raises(
        UserError, match="stopped by a blocking check: raw_instances: check few_rejected"
    ) as stop:
        runs_of(home, "maths")
    assert "36.5% of the rows could not be read (limit 20%)" in str(stop.value)
    # What is built on the rows meanwhile is built on those that passed.
    assert store.require("raw_instances").data_version == before[0].data_version
    assert store.require("selected_subset", None, "maths").data_version == before[1].data_version
    limits = limits.model_copy(update={"rejected": 0.5})
    home.save_pool("default", home.pool().model_copy(update={"limits": limits}))
    assert runs_of(home, "maths")["raw_instances"].status == "reused"
    assert store.require("raw_instances").data_version != before[0].data_version
    bad.unlink()
    home.save_pool("default", pool)
    assert {run.status for run in runs_of(home, "maths").values()} == {"reused"}
    assert store.require("raw_instances").data_version == before[0].data_version


def test_a_target_whose_own_limit_fails_keeps_its_selection_and_others_go_on(project):
    home, first = project
    strict = {"kl_above_floor": 0.0, "blocking": ["kl_above_floor"]}
    write_target(home.targets_folder, "maths", limits=strict)
    with pytest.raises(UserError, match="stopped by a blocking check: selected_subset: check kl_above_floor"):
        runs_of(home, "maths")
    write_target(home.targets_folder, "maths", limits={"kl_above_floor": 9})
    again = runs_of(home, "maths")
    assert {run.status for run in again.values()} == {"reused"}, "limits are no part of versions"
    assert again["selected_subset"].data_version == first["selected_subset"].data_version


def test_rows_that_a_rule_takes_out_are_listed_with_the_rule_and_cannot_be_selected(project):
    home, _ = project
    pool = home.pool()
    store = open_store(home.path)
    before = store.read("raw_instances").filter(pl.col("duplicate_of").is_null())
    benchmark = home.targets_folder.parent / "benchmark.jsonl"
    repeated = before.row(30, named=True)
    benchmark.write_text(json.dumps({"question": repeated["messages"][0]["content"]}), encoding="utf-8")
    clinic = {
        "instruction": "How do I reach the clinic?",
        "output": "Call them under +1 212 555 0187, or write.",
    }
    extra = benchmark.with_name("clinic.jsonl")
    extra.write_text(json.dumps(clinic) + "\n", encoding="utf-8")
    home.save_pool(
        "default",
        pool.model_copy(
            update={
                "paths": [*pool.paths, str(extra)],
                "filters": {"short": "response_tokens < 12", "private": "list_contains(pii, 'phone')"},
                "decontaminate": [str(benchmark)],
                "pii": "mark",
            }
        ),
    )
    runs_of(home, "maths")
    version = store.require("filtered_rows")
    filtered = store.read_version(version)
    assert (
        repeated["instance_id"] in filtered.filter(pl.col("rule") == "contamination")["instance_id"].to_list()
    )
    kept = store.read("raw_instances").filter(pl.col("duplicate_of").is_null())
    short = kept.filter(pl.col("response_tokens") < 12)["instance_id"].to_list()
    assert set(filtered.filter(pl.col("rule") == "short")["instance_id"]) == set(short)
    assert store.read_version(version, "pii").schema.names() == ["instance_id", "role", "kind", "count"]
    found = store.read_version(version, "pii")
    [private] = filtered.filter(pl.col("rule") == "private")["instance_id"]
    assert private in found.filter(pl.col("kind") == "phone", pl.col("role") == "assistant")["instance_id"]
    assert "0187" in store.read("raw_instances").filter(pl.col("instance_id") == private)["raw"][0]
    tagged = store.read("instance_tags")["instance_id"]
    assert set(tagged).isdisjoint(filtered["instance_id"])
    figures = version.metadata["figures"]
    assert figures["rows"] == len(kept)
    assert figures["rows_filtered"] == len(filtered) == filtered["instance_id"].n_unique()
    assert sum(figures["rows_by_source"].values()) == len(kept)
