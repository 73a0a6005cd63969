"""`tags-assets doctor`."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import version as installed
from typing import Annotated

import typer

from tags_assets.commands.console import out
from tags_assets.commands.options import DeepOption, HomeOption
from tags_assets.errors import UserError
from tags_assets.settings.home import Home
from tags_assets.text import counted


def doctor(
    home: HomeOption = None,
    deep: DeepOption = False,
    model: Annotated[str | None, typer.Option(help="Also ask the LLM server for this model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="The LLM server. [default: $OPENAI_BASE_URL]")] = None,
) -> None:
    """Check the installation and the home: versions, disk space, damaged files, a home that was moved."""
    import duckdb

    from tags_assets.graph.leftovers import damaged_caches
    from tags_assets.llm.check import check_server
    from tags_assets.store.health import home_health
    from tags_assets.store.opening import open_store

    at = Home.resolve(home)
    troubles = 0
    for package in ("tags-assets", "dagster", "duckdb", "polars", "openai", "numpy", "onnxruntime", "spacy"):
        out.print(f"ok    {package} {installed(package)}", markup=False)
    out.print(f"ok    python {sys.version.split()[0]}, DuckDB {duckdb.__version__}", markup=False)
    if not at.path.exists():
        out.print(
            f"ok    {at.path} does not exist yet; the first `tags-assets select` creates it", markup=False
        )
    else:
        usage = shutil.disk_usage(at.path)
        low = usage.free < 2e9
        troubles += low
        out.print(f"{'LOW ' if low else 'ok  '}  {usage.free / 1e9:.1f} GB free at {at.path}", markup=False)
        found = home_health(open_store(at.path), deep=deep)
        versions = sum(size.versions for size in found.assets.values())
        checked = ", all checksums match" if deep and not found.damaged else ""
        out.print(
            f"ok    {counted(versions, 'version')}, {found.file_bytes / 1e6:,.1f} MB{checked}", markup=False
        )
        damaged = [str(one) for one in damaged_caches(at)] if deep else []
        for problem in [*found.problems, *damaged]:
            troubles += 1
            out.print(f"look  {problem}", markup=False)
    if model or base_url:
        server = check_server(base_url=base_url, model=model)
        troubles += not server.reachable
        out.print(f"{'ok  ' if server.reachable else 'look'}  {server}", markup=False)
    if troubles:
        raise UserError(f"{counted(troubles, 'problem')} found, listed above")
