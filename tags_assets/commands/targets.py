"""`tags-assets targets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tags_assets.commands.console import out, print_table
from tags_assets.commands.options import HomeOption
from tags_assets.errors import UserError
from tags_assets.settings.home import POOL_TARGET, Home
from tags_assets.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tags_assets.store.artifacts import ArtifactStore


def targets(home: HomeOption = None) -> None:
    """List the targets: how each is given, and how close its selection comes."""
    from rich.table import Table

    from tags_assets.settings.target_registry import TargetRegistry
    from tags_assets.store.opening import open_store

    folder = Home.resolve(home).prepare()
    registry, store = TargetRegistry(folder), open_store(folder.path)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("target", "given by", "budget", "selected", "KL", "floor", "certificate"):
        table.add_column(column, overflow="fold")
    names = list(registry.entries())
    problems = list(registry.problems())
    for name in names if POOL_TARGET in names else [*names, POOL_TARGET]:
        figures = _figures(store, name)
        try:
            spec = registry.load(name)
        except UserError as error:
            problems.append(error)
            continue
        budget = str(spec.method_budget).removesuffix(" of the eligible rows")
        table.add_row(name, spec.target.kind, budget, *figures)
    print_table(table)
    for problem in problems:
        out.print(f"not usable: {problem}", markup=False, soft_wrap=True, style="red")


def _figures(store: ArtifactStore, name: str) -> tuple[str, str, str, str]:
    version = store.current("selected_subset", name)
    if version is None:
        return ("not yet", "", "", "")
    figures: Mapping[str, Any] = version.metadata["figures"]  # type: ignore[assignment]
    return (
        counted(figures["rows_selected"], "row"),
        f"{figures['kl']:.3f}",
        f"{figures['kl_floor']:.3f}",
        f"{figures['certificate']:.4f}",
    )
