"""The commands about the project itself: ``init`` and ``doctor``."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import duckdb

from tags_assets.commands.console import err, out
from tags_assets.errors import UserError
from tags_assets.graph.instance import DAGSTER_YAML
from tags_assets.graph.leftovers import damaged_caches
from tags_assets.store.durable import write_whole
from tags_assets.store.health import home_health
from tags_assets.store.opening import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from tags_assets.settings.home import Home

_EXAMPLE_TARGET = """\
# What a selection should look like. The file's name is the target's name.
budget: {fraction: 0.05}          # or rows: 5000, or tokens: 2_000_000
alignment: 0.75                   # 0 = the most informative rows of the pool, 1 = the closest to the target
target:
  description: "Python programming: writing, reading and debugging functions"
  # examples: my_examples.jsonl   # the better way: 20 to 50 rows like those that you want
  # weights: {"mathematics": 0.7, "programming > python": 0.3}   # names as `tags-assets tree` shows them
seed: 0
"""

_README = """\
# A tags-assets project

    tags-assets select DATA... --target example --out out/     # DATA: files, folders, globs
    tags-assets ui                                             # the graph in the Dagster UI
    PYTHONSAFEPATH=1 dg dev                                    # the same, to develop on the graph (graph.py)

Artifacts are in `.tags/`; query them with DuckDB: `duckdb -readonly .tags/warehouse.duckdb`.
"""


_PYPROJECT = """\
# For `dg dev`, which serves the graph while you develop on it. `tags-assets ui` does not read this file.
[tool.dg]
directory_type = "project"

[tool.dg.cli]
suppress_warnings = ["project_and_activated_venv_mismatch"]

[tool.dg.project]
root_module = "graph"
defs_module = "graph"
code_location_name = "tags_assets"
code_location_target_module = "graph"
"""

_GRAPH = """\
\"\"\"The graph that `dg dev` serves in this folder.\"\"\"

from tags_assets.graph.definitions import defs

__all__ = ["defs"]
"""

_STORAGE_YAML = """\
# For `dg dev` in this folder: the same runs and events as in .tags/dagster, where `tags-assets` keeps them.
storage:
  sqlite: {base_dir: .tags/dagster}
local_artifact_storage:
  module: dagster._core.storage.root
  class: LocalArtifactStorage
  config: {base_dir: .tags/dagster}
compute_logs:
  module: dagster._core.storage.local_compute_log_manager
  class: LocalComputeLogManager
  config: {base_dir: .tags/dagster/storage}
"""


def run_init(folder: Path) -> None:
    """Make a project folder; what is there already is left alone."""
    files = {
        folder / "targets" / "example.yaml": _EXAMPLE_TARGET,
        folder / "README.md": _README,
        folder / "pyproject.toml": _PYPROJECT,
        folder / "graph.py": _GRAPH,
        folder / "dagster.yaml": _STORAGE_YAML + DAGSTER_YAML.partition("\n")[2],
        folder / ".gitignore": ".tags/\nout/\n.env\n__pycache__/\n.tmp_dagster_home_*/\n",
    }
    try:
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(file):
                err.print(f"kept {file}", markup=False)
                continue
            write_whole(file, text)
            out.print(f"made {file}", markup=False)
    except OSError as error:
        raise UserError(f"the folder cannot be made: {error.strerror}", where=str(folder)) from None
    out.print(f"Next: cd {folder} && tags-assets select DATA... --target example --out out/", markup=False)


def run_doctor(home: Home, model: str | None, base_url: str | None, *, deep: bool = False) -> None:
    """Print what was looked at, a line each; anything wrong ends the command with exit code 1."""
    troubles = 0
    for package in ("tags-assets", "dagster", "duckdb", "polars", "openai", "numpy", "onnxruntime", "spacy"):
        out.print(f"ok    {package} {version(package)}", markup=False)
    out.print(f"ok    python {sys.version.split()[0]}, DuckDB {duckdb.__version__}", markup=False)
    if not home.path.exists():
        out.print(
            f"ok    {home.path} does not exist yet; the first `tags-assets select` makes it", markup=False
        )
    else:
        usage = shutil.disk_usage(home.path)
        low = usage.free < 2e9
        troubles += low
        out.print(
            f"{'LOW ' if low else 'ok  '}  {usage.free / 1e9:.1f} GB free below {home.path}", markup=False
        )
        found = home_health(open_store(home.path), deep=deep)
        versions = sum(size.versions for size in found.assets.values())
        checked = ", each equal to its checksum" if deep and not found.damaged else ""
        out.print(f"ok    {versions} versions, {found.file_bytes / 1e6:,.1f} MB{checked}", markup=False)
        damaged = [str(one) for one in damaged_caches(home)] if deep else []
        for problem in [*found.problems, *damaged]:
            troubles += 1
            out.print(f"look  {problem}", markup=False)
    if model or base_url:
        from tags_assets.llm.check import check_server  # noqa: PLC0415

        server = check_server(base_url=base_url, model=model)
        troubles += not server.reachable
        out.print(f"{'ok  ' if server.reachable else 'look'}  {server}", markup=False)
    if troubles:
        raise UserError(f"{troubles} of the points above need a hand")
