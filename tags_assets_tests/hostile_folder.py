"""A folder of data in which whatever could run as code, or set up what runs, leaves a mark where it did."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODULES = (
    "csv",
    "dagster",
    "dotenv",
    "duckdb",
    "json",
    "numpy",
    "orjson",
    "polars",
    "sitecustomize",
    "spacy",
    "typer",
    "usercustomize",
    "uuid",
    "yaml",
)
"""Names of the standard library and of packages that some process of ours imports by them."""

OURS = "tags_assets"
"""Python itself would run this one for ``python -m tags_assets``, before any code of ours."""


def make_hostile(folder: Path, marks: Path, *, ours: bool) -> None:
    """Write such files into a folder; what runs adds its name to `marks`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in [*MODULES, *([OURS] if ours else [])]:
        (folder / f"{name}.py").write_text(
            f"open({str(marks)!r}, 'a').write({name + ' '!r})\nraise ImportError('hostile {name}')\n"
        )
    (folder / "evil.py").write_text(f"open({str(marks)!r}, 'a').write('evil ')\n")
    (folder / ".env").write_text(f"PYTHONPATH={folder}\nTAGS_MARK=read\nTAGS_HOME={folder}/stolen\n")
    (folder / ".numba_config.yaml").write_text(f"cache_dir: {folder / 'numba'}\n")
    (folder / "numba").mkdir(exist_ok=True)
    (folder / "workspace.yaml").write_text("load_from: [{python_module: evil}]\n")
    (folder / "dagster.yaml").write_text(
        "run_launcher: {module: evil, class: Launcher}\ncompute_logs: {module: evil, class: Logs}\n"
    )
    (folder / "pyproject.toml").write_text('[tool.dagster]\nmodule_name = "evil"\n')
