"""`tags-assets report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tags_assets.commands.console import out
from tags_assets.commands.options import HomeOption, TargetOption, VersionOption
from tags_assets.errors import NotFoundError
from tags_assets.settings.home import Home


def report(
    target: TargetOption = None,
    version: VersionOption = None,
    file: Annotated[
        Path | None, typer.Option("--out", help="File to write. [default: HOME/reports/]")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write the report of a selection, current or past."""
    from tags_assets.commands.selections import selection_of
    from tags_assets.formats.export.mark import refuse_to_overwrite
    from tags_assets.store.durable import write_whole
    from tags_assets.store.opening import open_store

    folder = Home.resolve(home).path
    store = open_store(folder)
    selection = selection_of(store, target, version).selection
    for made in reversed(store.versions("selection_report", selection.partition)):
        if made.upstream.get("selected_subset") == selection.data_version:
            break
    else:
        raise NotFoundError(
            "its report is no longer in this home", where=str(selection), fix="Select again to make one."
        )
    html = store.read_version(made, columns=["html"])["html"][0]
    if file is not None and not _is_report(file):
        refuse_to_overwrite([file], "--out")
    path = file or folder / "reports" / f"{selection.partition}-{selection.data_version[:12]}.html"
    write_whole(path, html)
    out.print(f"report  {path}", markup=False)


def _is_report(file: Path) -> bool:
    """Whether a file is a report written by this package."""
    try:
        with file.open("rb") as opened:
            return b'name="generator" content="tags-assets"' in opened.read(4_096)
    except OSError:
        return False
