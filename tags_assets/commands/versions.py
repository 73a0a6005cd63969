"""`tags-assets versions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tags_assets.commands.console import out, print_table
from tags_assets.commands.options import HomeOption
from tags_assets.errors import NotFoundError, UserError
from tags_assets.settings.home import Home

if TYPE_CHECKING:
    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion


def versions(
    target: Annotated[str | None, typer.Option("--target", "-t", help="One target. [default: all]")] = None,
    home: HomeOption = None,
) -> None:
    """List the selections in this home, past and current, and whether their inputs are still there."""
    from rich.table import Table

    from tags_assets.store.opening import open_store

    store = open_store(Home.resolve(home).path)
    names = [target] if target else [str(name) for name in store.layout.partitions("selected_subset")]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("target", "version", "made", "rows", "KL", "inputs", "report"):
        table.add_column(column, justify="right" if column in {"rows", "KL"} else "left")
    count = 0
    for name in names:
        current = store.current("selected_subset", name)
        reports = {
            version.upstream.get("selected_subset") for version in store.versions("selection_report", name)
        }
        for version in reversed(store.versions("selected_subset", name)):
            count += 1
            figures: Any = version.metadata.get("figures", {})
            is_current = current is not None and current.data_version == version.data_version
            table.add_row(
                name,
                version.data_version[:12] + ("*" if is_current else ""),
                f"{version.created_at:%Y-%m-%d %H:%M}",
                f"{version.rows:,}",
                f"{figures['kl']:.3f}" if "kl" in figures else "",
                _completeness(store, name, version),
                "yes" if version.data_version in reports else "no",
            )
    if not count:
        raise NotFoundError("nothing has been selected yet", fix="Run: tags-assets select POOL...")
    print_table(table)
    out.print("* current", markup=False)


def _completeness(store: ArtifactStore, target: str, version: ArtifactVersion) -> str:
    from tags_assets.explanation.lineage import Lineage

    try:
        Lineage.of(store, target, version.data_version)
    except UserError:
        return "incomplete"
    return "complete"
