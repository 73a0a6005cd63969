"""Files that lie beside the data are never run, whichever way a process starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tags_assets.safe_start import safe_environment
from tags_assets_tests.hostile_folder import make_hostile
from tags_assets_tests.small_pool import write_pool

SCRIPT = [str(Path(sys.executable).parent / "tags-assets")]
MODULE = [sys.executable, "-m", "tags_assets"]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def marks(tmp_path):
    return tmp_path / "marks"


def run(command, folder, **variables):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        command,
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("start", "ours"), [(SCRIPT, True), (MODULE, False)], ids=["tags-assets", "python -m"]
)
def test_select_runs_no_file_of_the_folder(folder, marks, start, ours):
    write_pool(folder)
    make_hostile(folder, marks, ours=ours)
    done = run([*start, "select", "pool.jsonl", "--budget", "10%", "--home", "../home"], folder)
    assert not marks.exists(), marks.read_text()
    assert done.returncode == 0, done.stderr
    assert not list((folder / "numba").rglob("*")), "numba cached where the folder told it to"


@pytest.mark.parametrize("entry", ["", ".", "../data", "sub/.."])
def test_an_entry_of_pythonpath_that_is_not_absolute_lets_nothing_in(folder, marks, entry):
    make_hostile(folder, marks, ours=True)
    (folder / "sub").mkdir()
    for module in ("sitecustomize", "usercustomize"):  # Python itself runs these, before any code of ours
        (folder / f"{module}.py").unlink()
    path = os.pathsep.join([entry, "/nowhere"])
    program = (
        "import os, sys; sys.path.pop(0); sys.path.insert(0, {checkout!r}); "
        "from tags_assets.safe_start import leave_current_folder_out as leave; leave(); "
        "import json, subprocess; print(json.dumps(sys.path)); "
        "print(subprocess.run([sys.executable, '-m', 'json', '-h']).returncode, os.environ['PYTHONPATH'])"
    )
    checkout = str(Path(__file__).parents[1])
    done = run([sys.executable, "-c", program.format(checkout=checkout)], folder, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert not marks.exists(), marks.read_text()
    assert str(folder) not in {os.path.normpath(one) for one in json.loads(done.stdout.splitlines()[0])}
    assert done.stdout.splitlines()[-1].split()[-1] == "/nowhere"


def test_a_folder_that_is_named_in_full_stays_on_the_path(folder):
    folder.mkdir()
    program = (
        "import sys; from tags_assets.safe_start import leave_current_folder_out as leave; leave(); "
        "import named; print(named.__file__)"
    )
    (folder / "named.py").touch()
    done = run([sys.executable, "-P", "-c", program], folder, PYTHONPATH=f"{folder}:")
    assert done.stdout.strip() == str(folder / "named.py"), done.stderr


def test_what_the_user_set_for_numba_stays(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/var/cache/numba")
    assert safe_environment()["NUMBA_CACHE_DIR"] == "/var/cache/numba"


@pytest.mark.parametrize("path", ["", ":/nowhere"])
def test_a_tagging_worker_runs_no_file_of_the_folder(folder, marks, path):
    make_hostile(folder, marks, ours=True)
    for module in ("sitecustomize", "usercustomize"):
        (folder / f"{module}.py").unlink()
    program = (
        "import os; from tags_assets.method.tagging.extraction import Row; "
        "from tags_assets.method.tagging.workers import Workers\n"
        "os.chdir({folder!r}); os.environ['PYTHONPATH'] = {path!r}\n"
        "with Workers(1) as workers: print(len(list(workers.map([[Row('How do plants grow?', '', 'en')]]))))"
    )
    done = run([sys.executable, "-c", program.format(folder=str(folder), path=path)], Path(__file__).parent)
    assert not marks.exists(), marks.read_text()
    assert done.stdout.strip() == "1", done.stderr
