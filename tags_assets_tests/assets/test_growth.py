"""New data: what grows, what is built anew, and that a version says which."""

from __future__ import annotations

import json
import os

import pytest

from tags_assets.explanation.diff import diff
from tags_assets.graph.runner import run_target
from tags_assets.settings.home import Home
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets.store.opening import open_store
from tags_assets_tests.small_pool import write_pool, write_target


class Silent:
    def step(self, task, done, total):
        pass


NEW = [
    ("Name the largest planet of the solar system.", "Jupiter is a gas giant with a great red spot."),
    ("Why do planets orbit the sun?", "Gravity bends the path of a planet into an orbit around the sun."),
    ("Solve the quadratic equation x^2 = 9.", "By the quadratic formula the roots are 3 and minus 3."),
]


class Project:
    """A home with a small pool in a folder, to which files are added."""

    def __init__(self, folder, **settings):
        self.data, self.home = folder / "data", Home(folder / "home").prepare()
        write_pool(self.data)
        pool = self.home.pool("default").model_copy(update={"paths": [str(self.data)], **settings})
        self.home.save_pool("default", pool)
        self.store = open_store(self.home.path)

    def land(self, name="new.jsonl", rows=NEW):
        lines = [json.dumps({"instruction": prompt, "output": answer}) for prompt, answer in rows]
        (self.data / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(self):
        os.environ["TAGS_HOME"] = str(self.home.path)
        return {run.asset: run for run in run_target(self.home, "maths", Silent())}

    def tree(self):
        return self.store.require("knowledge_tree")

    def ids(self):
        return set(self.store.read("knowledge_tree")["node_id"])


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.setenv("TAGS_TARGETS", str(tmp_path / "targets"))
    write_target(tmp_path / "targets")

    def made(name, **settings):
        project = Project(tmp_path / name, **settings)
        monkeypatch.setenv("TAGS_HOME", str(project.home.path))
        TargetRegistry(project.home).name("maths", None)
        return project

    return made


def test_a_tree_grows_with_new_rows_keeps_its_nodes_and_says_what_it_grew_from(make):
    project = make("grown", max_drift=10.0)
    project.run()
    first, ids = project.tree(), project.ids()
    assert first.metadata["figures"]["rebuilt"] == 1
    assert "grown_from" not in first.config
    project.land()
    runs = project.run()
    second = project.tree()
    assert runs["knowledge_tree"].status == "ran"
    assert second.config["grown_from"] == first.data_version
    figures = second.metadata["figures"]
    assert figures["rebuilt"] == 0
    assert figures["tags_attached"] > 0
    assert 0 < figures["drift"] <= figures["drift_limit"] == 10.0
    assert project.ids() <= ids

    # A re-run with equal inputs, and the inputs of before, are versions that exist.
    assert {run.status for run in project.run().values()} == {"reused"}
    (project.data / "new.jsonl").unlink()
    assert project.run()["knowledge_tree"].data_version == first.data_version
    project.land()
    assert project.run()["knowledge_tree"].data_version == second.data_version

    # Equal inputs without that past are another version, the same in every fresh home.
    fresh = [make(name, max_drift=10.0) for name in ("fresh", "fresh_too")]
    for other in fresh:
        other.land()
    versions = [[run.data_version for run in other.run().values()] for other in fresh]
    assert versions[0] == versions[1]
    assert fresh[0].tree().data_version != second.data_version
    assert "grown_from" not in fresh[0].tree().config


def test_a_file_that_is_gone_takes_its_rows_with_it_and_the_report_says_so(make):
    project = make("gone")
    project.land()
    project.run()
    assert "new.jsonl" in set(project.store.read("raw_instances")["file"])
    (project.data / "new.jsonl").unlink()
    project.run()
    assert "new.jsonl" not in set(project.store.read("raw_instances")["file"])
    report = project.store.read("selection_report", partition="maths")["html"][0]
    assert "the data of the pool changed: 0 rows new, 3 rows withdrawn (-3 new.jsonl)" in report


def test_a_tree_is_built_anew_when_the_drift_passes_the_limit_and_ids_live_on(make):
    project = make("drifted", max_drift=0.0)
    project.run()
    first, ids = project.tree(), project.ids()
    project.land()
    project.run()
    figures = project.tree().metadata["figures"]
    assert figures["rebuilt"] == 1
    assert figures["drift"] > figures["drift_limit"] == 0.0
    assert project.tree().config["grown_from"] == first.data_version
    assert figures["nodes_that_lived_on"] == len(project.ids() & ids) > len(ids) / 2


def test_a_selection_with_stability_keeps_rows_and_says_which_selection_it_leant_on(make, tmp_path):
    project = make("stable", max_drift=10.0)
    write_target(tmp_path / "targets", stability=1.0)
    project.run()
    first = project.store.require("selected_subset", partition="maths")
    assert "grown_from" not in first.config
    assert first.metadata["figures"]["rows_kept"] is None
    project.land()
    project.run()
    second = project.store.require("selected_subset", partition="maths")
    figures = second.metadata["figures"]
    assert second.config["grown_from"] == first.data_version
    assert (
        figures["rows_kept"] + figures["rows_dropped"] == figures["rows_kept"] + figures["rows_added"] == 12
    )
    assert figures["value"] <= figures["value_without_stability"] + 1e-9
    report = project.store.read("selection_report", partition="maths")["html"][0]
    assert "3 rows new, 0 rows withdrawn (+3 new.jsonl)" in report
    assert "the knowledge tree grew" in report
    assert {run.status for run in project.run().values()} == {"reused"}

    # A file that changes has its rows replaced; diff compares the two versions.
    project.land(rows=NEW[:1])
    project.run()
    said = str(diff(project.store, "maths~1", "maths"))
    assert "0 rows new, 2 rows withdrawn (-2 new.jsonl)" in said
    assert "grown_from" not in said

    # Without the wish for it the past has no part in a selection.
    write_target(tmp_path / "targets", stability=0.0)
    project.run()
    assert "grown_from" not in project.store.require("selected_subset", partition="maths").config
