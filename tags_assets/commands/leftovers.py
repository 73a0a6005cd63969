"""Lines about leftovers, which `prune` and `repair` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.commands.console import out

if TYPE_CHECKING:
    from tags_assets.graph.leftovers import Rubbish


def show_leftovers(leftovers: list[Rubbish]) -> None:
    """Print a line for each: where it is, why it can go, its size."""
    for one in leftovers:
        out.print(f"{one.path}: {one.why}, {one.file_bytes / 1e6:,.1f} MB", markup=False, soft_wrap=True)
