"""What the pages take for granted: a project in which `make demo` ran."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.trust import trust
from tags_assets.store.warehouse import Warehouse
from tags_assets_tests.requirements_of_tests import CHECKOUT


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TAGS_", "OPENAI_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "COLUMNS": "110", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """The checkout's sample data and targets, selected from as `make demo` does; its output: ``demo.txt``."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(CHECKOUT / "sample" / "pool", folder / "sample" / "pool")
    shutil.copytree(CHECKOUT / "sample" / "pool", folder / "my_data")
    shutil.copytree(CHECKOUT / "targets", folder / "targets")
    examples = folder / "targets" / "my_examples.jsonl"
    shutil.copy(CHECKOUT / "targets" / "grade_school_math.jsonl", examples)
    (folder / "targets" / "my_domain.yaml").write_text(f"target: {{examples: {examples.name}}}\n")
    (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
    for target in ("grade_school_math", "python_programming"):
        command = ["tags-assets", "select", "sample/pool", "--target", target, "--budget", "10%"]
        done = subprocess.run(
            command, cwd=folder, env=environment(), check=True, capture_output=True, text=True, timeout=600
        )
        with (folder / "demo.txt").open("a") as said:
            said.write(done.stderr + done.stdout)
    return folder


@pytest.fixture
def fresh_project(project, tmp_path):
    """A copy of the project, to be changed at will."""
    folder = Path(shutil.copytree(project, tmp_path / "project", symlinks=True))
    for settings in (folder / ".tags").rglob("*.yaml"):  # what was named by its place lies elsewhere now
        settings.write_text(settings.read_text().replace(str(project), str(folder)))
    Warehouse(ArtifactStore(folder / ".tags")).open().close()  # its views name files by their place
    trust(folder / ".tags")
    return folder
