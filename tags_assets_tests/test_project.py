"""The project's own files agree with each other: lock files, Dagster's settings, targets, make's commands."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from tags_assets.graph.instance import DAGSTER_YAML, WORKSPACE_YAML
from tags_assets.settings.target_file import find_targets, load_target
from tags_assets_tests.requirements_of_tests import CHECKOUT

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
LOCKS = ["runtime", "dev", "no-deps"]


def lock(name: str) -> str:
    return (CHECKOUT / "requirements" / f"{name}.txt").read_text()


def pins(name: str) -> dict[str, str]:
    found = re.findall(r"^([a-z0-9][a-z0-9._-]*)(?:\[[a-z,-]+\])?==(\S+)", lock(name), flags=re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_file_names_no_index_and_gives_a_hash_for_every_pin(name):
    text = lock(name)
    assert "://" not in text
    assert "index" not in text
    entries = [entry for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE) if "==" in entry]
    assert len(entries) == len(pins(name))
    assert all("--hash=sha256:" in entry for entry in entries)


def test_what_the_tests_install_is_what_users_install_and_more():
    assert pins("runtime").items() <= pins("dev").items()


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_lock_file_satisfies_every_dependency_of_the_project(name):
    locked = pins(name)
    for line in PROJECT["project"]["dependencies"]:
        wanted = Requirement(line)
        assert wanted.specifier.contains(locked[wanted.name.lower()]), line


def test_checkout_and_home_have_the_same_dagster_settings():
    checkout = yaml.safe_load((CHECKOUT / "dagster.yaml").read_text())
    for storage in ("storage", "local_artifact_storage", "compute_logs"):
        del checkout[storage]
    assert checkout == yaml.safe_load(DAGSTER_YAML)


def test_every_way_to_start_the_ui_gives_the_code_location_one_name():
    [checkout] = yaml.safe_load((CHECKOUT / "workspace.yaml").read_text())["load_from"]
    assert [checkout] == yaml.safe_load(WORKSPACE_YAML)["load_from"]
    project = PROJECT["tool"]["dg"]["project"]
    assert project["code_location_name"] == checkout["python_module"]["location_name"]
    assert project["code_location_target_module"] == checkout["python_module"]["module_name"]


def test_nothing_is_sent_anywhere_by_default():
    assert yaml.safe_load((CHECKOUT / "dagster.yaml").read_text())["telemetry"] == {"enabled": False}


def test_shipped_targets_are_valid():
    targets = find_targets(CHECKOUT / "targets").found
    assert set(targets) == {"grade_school_math", "python_programming"}
    for path in targets.values():
        load_target(path)


def test_make_lists_the_commands_of_the_readme():
    listed = subprocess.run(["make"], cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    assert {"demo", "test", "ui"} <= set(re.findall(r"make (\w+)", listed))
