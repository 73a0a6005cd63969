"""`tags-assets prune`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from tags_assets.commands.console import out
from tags_assets.commands.leftovers import show_leftovers
from tags_assets.commands.options import HomeOption
from tags_assets.settings.home import Home
from tags_assets.text import counted

if TYPE_CHECKING:
    from tags_assets.store.versions import ArtifactVersion


def prune(
    keep_last: Annotated[
        int, typer.Option(min=1, help="Versions to keep of each asset, with everything they were made from.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be removed; remove nothing.")
    ] = False,
    grace_minutes: Annotated[float, typer.Option(min=0, help="Keep everything newer than this.")] = 15.0,
    unused_days: Annotated[
        float, typer.Option(min=0, help="Also remove parsed files that no run has read for this many days.")
    ] = 30.0,
    home: HomeOption = None,
) -> None:
    """Delete old versions to free disk space.

    Versions that a kept selection was made from are kept, and so are versions that a process is reading.
    """
    from tags_assets.graph.leftovers import rubbish, sweep
    from tags_assets.store.opening import open_store
    from tags_assets.store.retention import prune_versions

    at = Home.resolve(home)
    store = open_store(at.path)
    pruning = prune_versions(store, keep_last, dry_run=dry_run, grace=timedelta(minutes=grace_minutes))
    going = {version.data_version for version in pruning.removed if version.asset == "selected_subset"}
    waste = rubbish(at, store, unused_days=unused_days, going=going)
    if not dry_run:
        sweep(waste)
    verb = "would be removed" if dry_run else "removed"
    by_asset: dict[str, list[ArtifactVersion]] = {}
    for version in pruning.removed:
        by_asset.setdefault(version.asset, []).append(version)
    for asset, versions in sorted(by_asset.items()):
        size = sum(version.file_bytes for version in versions) / 1e6
        out.print(f"{asset}: {counted(len(versions), 'version')}, {size:,.1f} MB", markup=False)
    for version in pruning.in_use:
        out.print(f"{version}: kept, because another process is using it", markup=False)
    show_leftovers(waste)
    total = pruning.freed_bytes + sum(one.file_bytes for one in waste)
    out.print(
        f"{counted(len(pruning.removed), 'version')} and {counted(len(waste), 'leftover')} {verb}, "
        f"{total / 1e6:,.1f} MB; {counted(len(pruning.kept), 'version')} kept",
        markup=False,
    )
