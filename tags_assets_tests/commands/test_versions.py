"""Selections of the past: read, explained, made again, freed; and homes that were moved or damaged."""

from __future__ import annotations

import json
import shutil

import pytest

from tags_assets.commands.doctor import doctor
from tags_assets.commands.explain import explain
from tags_assets.commands.outputs import check_outputs, write_outputs
from tags_assets.commands.prune import prune
from tags_assets.commands.repair import repair
from tags_assets.commands.report import report
from tags_assets.commands.reproduce import reproduce
from tags_assets.commands.versions import versions
from tags_assets.errors import UserError
from tags_assets.graph.runner import run_target, with_rebuild
from tags_assets.settings.home import Home
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets.store.opening import open_store
from tags_assets.store.warehouse import Warehouse
from tags_assets_tests.small_pool import write_pool, write_target


class Silent:
    def step(self, task, done, total):
        pass


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A home in which maths was selected three times: 12 rows, 9 rows, and 9 of another pool."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAGS_TARGETS", str(folder / "targets"))
        patch.setenv("TAGS_HOME", str(folder / "home"))
        home = Home.resolve().prepare()
        write_pool(folder / "data")
        home.save_pool("default", home.pool("default").model_copy(update={"paths": [str(folder / "data")]}))
        for number, rows in enumerate((12, 9, 9)):
            write_target(folder / "targets", budget={"rows": rows})
            TargetRegistry(home).name("maths", None)
            if number == 2:
                row = {"id": "new", "instruction": "What is the integral of 2x?", "output": "It is x^2 + c."}
                with (folder / "data" / "more.jsonl").open("w") as file:
                    file.write(json.dumps(row) + "\n")
            write_outputs(home, "maths", run_target(home, "maths", Silent()), folder / f"out{number}")
        yield folder


@pytest.fixture
def project(finished, tmp_path, monkeypatch):
    """A copy of it elsewhere: what is done to it here stays here, and it is a home that was copied."""
    shutil.copytree(finished / "home", tmp_path / "home")
    for number in range(3):
        shutil.copytree(finished / f"out{number}", tmp_path / f"out{number}")
    monkeypatch.setenv("TAGS_TARGETS", str(finished / "targets"))
    monkeypatch.setenv("TAGS_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def home(project):
    return Home.resolve(project / "home")


def version_of(folder):
    return json.loads((folder / "manifest.json").read_text())["selection"]["data_version"]


def test_a_copied_home_is_used_as_it_is(home):
    assert {run.status for run in run_target(home, "maths", Silent())} == {"reused"}
    with Warehouse(open_store(home.path)).open() as warehouse:
        files = warehouse.sql("select sql from duckdb_views() where view_name = 'selected_subset'").fetchall()
        assert str(home.path) in files[0][0]
        assert warehouse.sql("select count(*) from selected_subset").fetchall() == [(9,)]
        assert warehouse.sql("select count(*) from selected_subset_history").fetchall() == [(30,)]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_selection_of_the_past_is_reproduced_exactly_from_its_manifest(project, home, capsys, number):
    reproduce(project / f"out{number}", home=home.path)
    said = capsys.readouterr().out
    assert "reproduced exactly" in said
    assert "DIFFERENT" not in said


def test_a_selection_that_kept_rows_is_reproduced_after_the_one_before_it_was_due_to_go(
    project, home, capsys, monkeypatch
):
    monkeypatch.setenv("TAGS_TARGETS", str(project / "targets"))
    write_target(project / "targets", budget={"rows": 9}, stability=0.6)
    first = json.loads((project / "out2" / "manifest.json").read_text())["selection"]["data_version"]
    runs = run_target(home, "maths", Silent())
    write_outputs(home, "maths", runs, project / "stable")
    version = open_store(home.path).require("selected_subset", None, "maths")
    assert version.config["grown_from"] == first
    prune(1, home=home.path, dry_run=False, grace_minutes=0, unused_days=30)
    left = {one.data_version for one in open_store(home.path).versions("selected_subset", "maths")}
    assert left == {first, version.data_version}
    reproduce(project / "stable", home=home.path)
    assert "reproduced exactly" in capsys.readouterr().out


def test_a_report_says_with_which_selection_it_compares(home):
    store = open_store(home.path)
    old, middle, new = store.versions("selection_report", "maths")
    assert "grown_from" not in old.config
    assert [middle.config["grown_from"], new.config["grown_from"]] == [old.data_version, middle.data_version]
    for one, told in ((old, False), (middle, True), (new, True)):
        first = "This is the first version of this selection" in store.read_version(one)["html"][0]
        assert first == (not told)


def test_a_manifest_that_tells_another_story_is_told_so(project, home):
    file = project / "out0" / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["request"]["budget"] = {"rows": 11}
    file.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="the reproduced selection differs"):
        reproduce(file, home=home.path)


def test_code_of_another_version_is_said_before_anything_runs(project, home):
    file = project / "out0" / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["selection"]["code_version"] = "0"
    file.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"code version 0 of selected_subset.*Install tags-assets 0"):
        reproduce(file, home=home.path)


def test_what_retention_freed_is_named_with_the_files_to_select_from_again(project, home):
    prune(1, home=home.path, dry_run=False, grace_minutes=0, unused_days=30)
    reproduce(project / "out2", home=home.path)
    with pytest.raises(
        UserError, match=r"5 of the 5 versions.*removed by retention.*raw_instances.*pool\.jsonl"
    ):
        reproduce(project / "out0", home=home.path)


def test_past_selections_are_listed_explained_and_reported_on(project, home, capsys):
    versions(home=home.path)
    assert capsys.readouterr().out.count("complete") == 3
    old = version_of(project / "out0")
    report("maths", old[:8], project / "old.html", home=home.path)
    assert (project / "old.html").read_bytes() == (project / "out0" / "report.html").read_bytes()
    capsys.readouterr()
    last = json.loads((project / "out0" / "subset.jsonl").read_text().splitlines()[-1])["id"]
    explain(last, "maths", old[:8], home=home.path)
    assert "pick 12 of 12" in capsys.readouterr().out


def test_a_dry_run_frees_nothing_and_says_what_the_real_one_frees(home, capsys):
    before = sorted(home.path.rglob("*.duckdb"))
    prune(2, home=home.path, dry_run=True, grace_minutes=0, unused_days=30)
    would = capsys.readouterr().out
    assert sorted(home.path.rglob("*.duckdb")) == before
    prune(2, home=home.path, dry_run=False, grace_minutes=0, unused_days=30)
    assert capsys.readouterr().out == would.replace("would be removed", "removed")
    assert len(list(home.exports.glob("maths/*"))) == 2
    assert {run.status for run in run_target(home, "maths", Silent())} == {"reused"}


def test_parsed_files_that_no_run_read_for_long_go_and_are_made_again(home):
    kept = open_store(home.path).read("raw_instances")
    parsed = [folder.parent for folder in home.cache.glob("*/summary.json")]
    assert len(parsed) == 3  # two of the pool, one of examples
    prune(9, home=home.path, dry_run=False, grace_minutes=0, unused_days=0)
    assert not list(home.cache.glob("*/summary.json"))
    shutil.rmtree(home.path / "artifacts" / "raw_instances")
    run_target(home, "maths", Silent())
    assert open_store(home.path).read("raw_instances").equals(kept)


def test_the_warehouse_is_built_again_from_the_artifacts_alone(home, capsys):
    store = open_store(home.path)
    with Warehouse(store).open() as warehouse:
        before = warehouse.sql("select * from selected_subset_history order by all").pl()
    for lost in (home.warehouse, home.path / "warehouse.json", *home.path.glob("artifacts/*/*/*.json")):
        lost.unlink()
    (home.path / "warehouse.duckdb").write_bytes(b"no database")
    (home.path / ".targets.yaml.999999999").write_text("half")
    repair(home=home.path, deep=True)
    assert "0 damaged" in capsys.readouterr().out
    with Warehouse(open_store(home.path)).open() as warehouse:
        assert warehouse.sql("select * from selected_subset_history order by all").pl().equals(before)
    assert not (home.path / ".targets.yaml.999999999").exists()


def test_a_corrupt_artifact_is_found_by_its_checksum_and_made_again_row_for_row(home, capsys):
    store = open_store(home.path)
    version = store.require("instance_scores")
    before = store.read_version(version)
    content = bytearray(version.path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64 * [0xA5])
    version.path.write_bytes(content)
    with pytest.raises(UserError, match="found, listed above"):
        doctor(home=home.path, deep=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "damaged: its content does not match its checksum" in said
    assert "run again and it is made anew" in said
    statuses = {run.asset: run.status for run in run_target(home, "maths", Silent())}
    assert statuses.pop("instance_scores") == "ran"
    assert set(statuses.values()) == {"reused"}
    assert open_store(home.path).read("instance_scores").equals(before)


def _files(folder):
    # SQLite writes its log back whenever the last connection closes.
    files = [path for path in folder.rglob("*") if path.is_file() and ".sqlite" not in path.name]
    return {path: path.read_bytes() for path in files}


def test_a_dry_repair_changes_nothing_and_says_what_the_real_one_would(home, capsys):
    store = open_store(home.path)
    version = store.require("instance_scores")
    version.path.write_bytes(version.path.read_bytes()[:-9])
    [parsed] = list(home.cache.glob("*/rows.parquet"))[:1]
    parsed.write_bytes(parsed.read_bytes()[:-9])
    (home.path / ".targets.yaml.999999999").write_text("half")
    before = _files(home.path)
    repair(home=home.path, deep=True, dry_run=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "1 artifact would be quarantined; 1 leftover and 1 damaged cache entry would be removed" in said
    assert _files(home.path) == before
    repair(home=home.path, deep=True)
    assert not parsed.exists()
    assert not version.path.exists()


def test_what_is_not_ours_is_not_overwritten_by_outputs_or_a_report(project, home):
    mine = project / "mine"
    mine.mkdir()
    (mine / "report.html").write_text("theirs")
    with pytest.raises(UserError, match=r"report.html: exists and was not written by tags-assets.*--out"):
        check_outputs(mine)
    with pytest.raises(UserError, match="exists and was not written by tags-assets"):
        report("maths", None, mine / "report.html", home=home.path)
    assert (mine / "report.html").read_text() == "theirs"
    check_outputs(project / "out0")
    report("maths", None, project / "out0" / "report.html", home=home.path)


def test_damaged_rows_are_read_anew_within_one_run(project, home):
    asset = "raw_instances"  # read by nobody but at the end, where everything is reused
    run_target(home, "maths", Silent())  # publishes the copy, which would find the damage first
    version = open_store(home.path).require(asset)
    before = open_store(home.path).read_version(version)
    content = bytearray(version.path.read_bytes())
    for start in range(12_288, len(content) - 64, 4_096):
        content[start : start + 64] = bytes(64 * [0xA5])
    version.path.write_bytes(content)
    said = []
    manifest = with_rebuild(
        lambda: write_outputs(home, "maths", run_target(home, "maths", Silent()), project / "out2"),
        said.append,
    )
    assert manifest["rows_selected"] == 9
    assert [f"{asset}/-/{version.data_version}.duckdb: damaged" in line for line in said] == [True]
    assert open_store(home.path).read(asset).equals(before)
