"""The wheel: everything that the package reads at run time is in it, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tags_assets_tests.requirements_of_tests import CHECKOUT

LEFT_BEHIND = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def tracked(folder: str) -> set[str]:
    """Files of a folder of the checkout, without what Python and its tools leave behind."""
    files = (path for path in (CHECKOUT / folder).rglob("*") if path.is_file())
    return {str(p) for p in (f.relative_to(CHECKOUT) for f in files) if not LEFT_BEHIND & set(p.parts)}


def test_wheel_holds_every_file_of_the_package(names):
    assert tracked("tags_assets") <= names
    assert "tags_assets/py.typed" in names


def test_wheel_holds_every_sql_file_inside_the_package(names):
    sql = tracked("sql")
    assert sql
    assert {f"tags_assets/{name}" for name in sql} <= names


def test_wheel_holds_nothing_but_the_package_and_its_metadata(names):
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tags_assets"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_installed_wheel_finds_its_sql_and_its_command_without_the_checkout(wheel, tmp_path):
    place = tmp_path / "installed"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--offline",
            "--no-deps",
            "--target",
            str(place),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    names = sorted(
        p.relative_to(CHECKOUT / "sql").with_suffix("").as_posix() for p in (CHECKOUT / "sql").rglob("*.sql")
    )
    code = f"""
import json
import tags_assets
from tags_assets.store.sql import load_sql
print(json.dumps([tags_assets.__file__, [bool(load_sql(name).strip()) for name in {names!r}]]))
"""
    # The checkout is on this Python's path too; what was installed must come first, as it would alone.
    environment = os.environ | {"PYTHONPATH": str(place)}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    origin, loaded = json.loads(ran.stdout)
    assert Path(origin).is_relative_to(place)
    assert loaded
    assert all(loaded)
    assert (place / "bin" / "tags-assets").exists()
