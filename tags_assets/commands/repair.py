"""`tags-assets repair`."""

from __future__ import annotations

import warnings
from typing import Annotated

import typer

from tags_assets.commands.console import out
from tags_assets.commands.leftovers import show_leftovers
from tags_assets.commands.options import DeepOption, HomeOption
from tags_assets.settings.home import Home
from tags_assets.text import counted


def repair(
    deep: DeepOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would change; change nothing.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Rebuild warehouse.duckdb from the artifacts and remove what killed processes left behind."""
    from tags_assets.store.mark import require_home

    at = Home.resolve(home)
    require_home(at.path)
    warnings.simplefilter("ignore")  # Dagster's, about options of its own that it calls beta
    from tags_assets.assets.registry import tables
    from tags_assets.graph.leftovers import damaged_caches, rubbish, sweep
    from tags_assets.store.health import home_health
    from tags_assets.store.opening import open_store
    from tags_assets.store.warehouse import Warehouse

    store = open_store(at.path)
    found = home_health(store, deep=deep, touches=not dry_run)
    for line in found.damaged:
        out.print(line, markup=False)
    caches = list(damaged_caches(at)) if deep else []
    for damaged in caches:
        out.print(str(damaged), markup=False, soft_wrap=True)
    waste = rubbish(at, store)
    if dry_run:
        show_leftovers(waste)
        entries = sum(damaged.entries for damaged in caches)
        out.print(
            f"{counted(len(found.damaged), 'artifact')} would be quarantined; "
            f"{counted(len(waste), 'leftover')} and {counted(entries, 'damaged cache entry')} would be "
            "removed; the warehouse would be rebuilt",
            markup=False,
            soft_wrap=True,
        )
        return
    for damaged in caches:
        damaged.remove()
    published = Warehouse(store).rebuild(tables())
    freed = sweep(waste)
    versions = sum(size.versions for size in found.assets.values())
    checked = "checked byte for byte" if deep else "found"
    out.print(
        f"{counted(versions, 'version')} {checked}, {len(found.damaged)} damaged and quarantined",
        markup=False,
    )
    out.print(
        f"{published.path}: rebuilt from the artifacts with {counted(published.views, 'view')}", markup=False
    )
    for name, reason in published.skipped.items():
        out.print(f"sql/lineage/{name}.sql: not shown: {reason}", markup=False)
    out.print(f"{freed / 1e6:,.1f} MB of leftovers removed", markup=False)
