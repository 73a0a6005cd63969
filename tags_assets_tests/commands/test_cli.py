"""The command line as a user meets it: real processes, real errors."""

from __future__ import annotations

import json
import subprocess
import sys

import polars as pl
import pytest

from tags_assets import load
from tags_assets.store.trust import trust
from tags_assets_tests.small_pool import write_pool, write_target


def run(*arguments, cwd, env=None):
    return subprocess.run(
        [sys.executable, "-m", "tags_assets", *map(str, arguments)],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder in which `select` ran once."""
    folder = tmp_path_factory.mktemp("cli")
    write_pool(folder / "data")
    write_target(folder / "targets")
    done = run("select", "data", "--target", "maths", "--out", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_select_writes_subset_selection_report_and_manifest(project):
    manifest = json.loads((project / "out/manifest.json").read_text())
    assert manifest["rows_in"] == 75
    assert manifest["rows_in"] == (
        manifest["rows_kept"] + manifest["rows_rejected"] + manifest["rows_duplicate"]
    )
    layouts = [rows for what, rows in manifest["rows_hold"].items() if what.startswith("layout ")]
    assert sum(layouts) == manifest["rows_in"] - manifest["rows_rejected"]
    lines = (project / "out/subset.jsonl").read_text().splitlines()
    assert len(lines) == manifest["rows_selected"] == 12
    pool = set((project / "data/pool.jsonl").read_text().splitlines())
    assert set(lines) <= pool  # the rows as they came
    assert "<html" in (project / "out/report.html").read_text()
    assert {run["status"] for run in manifest["assets"].values()} == {"ran"}
    for figure in ("kl", "kl_reverse", "kl_floor", "certificate"):
        assert isinstance(manifest[figure], float)


def test_drivers_of_a_small_pool_are_what_rows_name(project):
    home = project / ".tags"
    leaves = load("knowledge_tree", table="tags", home=home).join(
        load("knowledge_tree", home=home), on="node_id"
    )
    tags = load("instance_tags", home=home).join(leaves, on="tag")
    assert (tags["origin"] == "assigned").mean() > 0.5  # most would be inferred
    drivers = pl.read_parquet(project / "out/selection.parquet").explode("drivers").unnest("drivers")
    drivers = drivers.drop_nulls("concept")
    assert drivers.height > 0
    assert not drivers["inferred"].any()
    named = tags.filter(pl.col("origin") == "extracted").select("instance_id", concept="path").unique()
    assert drivers.join(named, on=["instance_id", "concept"], how="anti").is_empty()


def test_tree_before_a_run_says_what_to_run(tmp_path):
    done = run("tree", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["tags-assets: there is no tree yet. Run: tags-assets select POOL..."]


def test_a_second_select_reuses_everything_and_writes_the_folder_in_full(project):
    done = run("select", "--target", "maths", "--out", "again", cwd=project)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((project / "again/manifest.json").read_text())
    assert {run["status"] for run in manifest["assets"].values()} == {"reused"}
    assert (project / "again/subset.jsonl").read_bytes() == (project / "out/subset.jsonl").read_bytes()


def test_explain_tree_targets_export_and_diff_answer(project):
    pool = (project / "data/pool.jsonl").read_text()
    selected = map(json.loads, (project / "out/subset.jsonl").read_text().splitlines())
    # the sample holds ids that two rows have
    name = next(row["id"] for row in selected if pool.count(json.dumps(row["id"])) == 1)
    explained = run("explain", name, "--target", "maths", cwd=project)
    assert explained.returncode == 0, explained.stderr
    assert name in explained.stdout
    tag = explained.stdout.partition("Tags\n")[2].partition("% ")[2].partition(" (")[0].strip()
    concept = ("explain", tag, "--concept")
    for command in (("tree",), ("targets",), ("diff", "maths", "maths"), ("export", "exported"), concept):
        done = run(*command, cwd=project)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout.strip()
    assert (project / "exported/llamafactory/dataset_info.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("select", "no_such_file.jsonl"), "no_such_file.jsonl"),
        (("select", "data", "--target", "mathss"), "Did you mean"),
        (("select", "data", "--budget", "lots"), "'lots' is not a budget"),
        (("select", "data", "--target", "maths", "--budget", "5000"), "5,000"),
        (("select", "data", "--tagger", "llm"), "--model"),
        (("explain", "nobody"), "nobody"),
        (("explain", "nothing at all", "--concept"), "no concept named"),
        (("tree", "astrologyy"), "astrologyy"),
        (("select", "data", "--filter", "x=drop table a"), "filter"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_exit_code_1(project, arguments, said):
    done = run(*arguments, cwd=project)
    assert done.returncode == 1, done.stdout
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("tags-assets:")]) == 1


def test_a_misspelt_command_is_asked_for_once(tmp_path):
    done = run("selekt", "x", cwd=tmp_path)
    assert done.stderr.count("Did you mean") == 1


def test_doctor_fails_for_a_dead_server_and_not_for_a_home_without_runs(tmp_path):
    run("tree", cwd=tmp_path)  # makes the warehouse, where nothing can be shown yet
    assert run("doctor", cwd=tmp_path).returncode == 0
    done = run("doctor", "--model", "m", "--base-url", "http://127.0.0.1:9/v1", cwd=tmp_path)
    assert done.returncode == 1
    assert "look  http://127.0.0.1:9/v1" in done.stdout


@pytest.mark.parametrize(
    "text",
    ["{[", "foo: 1", "storage: 3", "- a", "concurrency: {runs: {max_concurrent_runs: x}}", "run_queue: 1"],
)
def test_broken_settings_of_dagster_are_one_line(tmp_path, text):
    write_pool(tmp_path / "data")
    file = tmp_path / ".tags" / "dagster" / "dagster.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    trust(tmp_path / ".tags")
    for command in (("select", "data"), ("ui", "--port", "39999")):
        done = run(*command, cwd=tmp_path)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()[-1:]
        assert line.startswith(f"tags-assets: {file}: ")
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is asked of Linux")
def test_a_limit_on_open_files_is_raised_or_said(tmp_path):
    import resource

    def limited(soft, hard):
        return subprocess.run(
            [sys.executable, "-m", "tags_assets", "select", "nothing.jsonl"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
        ).stderr

    assert "this process may open 64 files (ulimit -n)" in limited(64, 64)
    assert "nothing.jsonl" in limited(64, 1024)


def group_of(pid):
    command = ["ps", "-o", "stat=,args=", "-g", str(pid)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if not line.startswith("Z")]


@pytest.mark.slow
@pytest.mark.parametrize("after", [1.5, 4.0, 9.0])
def test_ctrl_c_stops_select_with_one_line(tmp_path, after):
    import os
    import signal
    import time

    write_pool(tmp_path / "data")
    running = subprocess.Popen(
        [sys.executable, "-m", "tags_assets", "select", "data"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(after)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to all that are in the group
    _, said = running.communicate(timeout=60)
    assert "Traceback" not in said
    assert "KeyboardInterrupt" not in said
    # Python leaves the signal to the system once it has begun to exit.
    assert running.returncode in {0, 130, -signal.SIGINT}
    end = time.monotonic() + 20
    while time.monotonic() < end and group_of(running.pid):
        time.sleep(0.2)
    assert not group_of(running.pid)


def test_help_of_every_command_teaches(project):
    for command in ("select", "explain", "tree", "diff", "export", "targets", "init", "doctor", "ui"):
        done = run(command, "--help", cwd=project)
        assert done.returncode == 0
        assert "Usage" in done.stdout


def test_init_makes_a_project_and_doctor_finds_it_well(tmp_path):
    assert run("init", "new", cwd=tmp_path).returncode == 0
    assert (tmp_path / "new/targets/example.yaml").exists()
    done = run("doctor", cwd=tmp_path / "new")
    assert done.returncode == 0, done.stderr
    assert "duckdb" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to the limit")
@pytest.mark.parametrize("megabytes", [400, 1_600, 2_300, 4_000])
def test_too_little_memory_is_one_line_that_says_what_to_do(tmp_path, megabytes):
    import resource

    # Of these, libraries ended the process at 1,600 and 2,300 MB, where they were loaded or began to work.
    limit = megabytes * 1_000_000
    done = subprocess.run(
        [sys.executable, "-m", "tags_assets", "select", str(tmp_path), "--home", str(tmp_path / "home")],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert f"may have {megabytes:,} MB of address space (ulimit -v)" in line
    assert "ulimit -v unlimited" in line
