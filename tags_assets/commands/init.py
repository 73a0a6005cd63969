"""`tags-assets init`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tags_assets.commands.console import err, out
from tags_assets.errors import UserError

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


def init(folder: Annotated[Path, typer.Argument(help="New project folder.")]) -> None:
    """Make a project folder with an example target, a README, and the files that `dg dev` needs."""
    from tags_assets.graph.instance import DAGSTER_YAML
    from tags_assets.store.durable import write_whole

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
