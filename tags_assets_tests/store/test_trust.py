"""A home that nobody named is used only if the user made it, or trusts it."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys

import pytest

from tags_assets.errors import UserError
from tags_assets.settings.home import Home
from tags_assets.store.trust import is_trusted, require_trust, trust, trust_new
from tags_assets_tests.small_pool import write_pool


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("TAGS_HOME", raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return tmp_path / "state"


@pytest.fixture
def planted(tmp_path):
    """A home that came with the folder."""
    home = tmp_path / "project" / ".tags"
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return home


def test_a_home_that_the_user_makes_is_trusted_and_one_that_was_there_is_not(planted, tmp_path):
    with pytest.raises(UserError, match="you did not make this home") as error:
        Home.resolve()
    assert "tags-assets trust .tags" in str(error.value)
    trust(planted)
    assert Home.resolve().path == planted
    made = Home(tmp_path / "made").prepare()
    assert is_trusted(made.path)


def test_an_empty_folder_or_none_is_nobodys(tmp_path):
    require_trust(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    require_trust(tmp_path / "empty")
    trust_new(tmp_path / "empty")
    assert is_trusted(tmp_path / "empty")


def test_a_home_that_is_named_needs_no_trust_and_gets_none(planted, monkeypatch):
    assert Home.resolve(planted).prepare().path == planted
    monkeypatch.setenv("TAGS_HOME", str(planted))
    assert Home.resolve().path == planted
    assert not is_trusted(planted)


def test_trust_is_of_a_path_not_of_a_copy(planted, tmp_path):
    trust(planted)
    planted.rename(tmp_path / "moved")
    assert not is_trusted(tmp_path / "moved")


def test_a_state_folder_that_cannot_be_written_is_one_line(planted, state):
    state.write_text("a file")
    with pytest.raises(UserError, match="cannot be written") as error:
        trust(planted)
    assert "\n" not in str(error.value)
    trust_new(planted.parent / "other")  # making a home goes on


def test_another_home_variable_makes_no_stranger(planted, tmp_path, monkeypatch):
    """Schedulers and shells set ``HOME`` differently; the user database is asked too."""
    entry = pwd.getpwuid(os.getuid())
    folder = tmp_path / "of the user"
    monkeypatch.setattr(pwd, "getpwuid", lambda _: type(entry)((*entry[:5], str(folder), entry[6])))
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "one"))
    trust(planted)
    monkeypatch.setenv("HOME", str(tmp_path / "other"))
    assert is_trusted(planted)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: {}["unknown"])
    assert not is_trusted(planted)
    monkeypatch.setenv("HOME", str(tmp_path / "one"))
    assert is_trusted(planted)


def run(*arguments, cwd, **variables):
    return subprocess.run(
        [sys.executable, "-P", "-m", "tags_assets", *arguments],
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", [("select", "data"), ("ui", "--port", "3999"), ("tree",)])
def test_code_that_a_planted_home_names_does_not_run(planted, tmp_path, command):
    proof = tmp_path / "ran"
    evil = tmp_path / "project" / ".tags" / "dagster" / "evil.py"
    evil.write_text(f"open({str(proof)!r}, 'w')\nclass L:\n    pass\n")
    settings = {"run_launcher": {"module": "evil", "class": "L"}}
    (planted / "dagster" / "dagster.yaml").write_text(json.dumps(settings))
    (planted / "dagster" / ".env").write_text(f"PYTHONPATH={evil.parent}\n")
    write_pool(tmp_path / "project" / "data")
    done = run(*command, cwd=tmp_path / "project", PYTHONPATH=str(evil.parent))
    assert done.returncode == 1
    assert "you did not make this home" in done.stderr
    assert "Traceback" not in done.stderr
    assert not proof.exists()


def test_a_home_is_trusted_by_command(planted, tmp_path):
    done = run("trust", ".tags", cwd=tmp_path / "project")
    assert done.returncode == 0, done.stderr
    assert is_trusted(planted)
    missing = run("trust", "nothing", cwd=tmp_path / "project")
    assert missing.returncode == 1
    assert "there is no such home" in missing.stderr
