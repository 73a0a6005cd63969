"""`tags-assets select --what-if`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.commands.console import out
from tags_assets.errors import UserError
from tags_assets.explain.knobs import KNOBS, parse_changes
from tags_assets.explain.what_if import what_if
from tags_assets.selection.selected_targets import selected_target
from tags_assets.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tags_assets.settings.home import Home


def run_what_if(
    home: Home, target: str | None, texts: Sequence[str], budget: str | None, others: Mapping[str, object]
) -> None:
    """Say what would change if knobs were turned; `others` are options that have no say here."""
    for option, value in others.items():
        if value:
            raise UserError(
                f"{option} does not go with --what-if, which starts from the selection that there is",
                fix=f"Turn one of: {', '.join(KNOBS)}.",
            )
    changes = parse_changes([*texts, *([f"budget={budget}"] if budget else [])])
    if not changes:
        raise UserError(
            "no knob is turned",
            where="--what-if",
            fix=f"Write alignment=0.8, or another of: {', '.join(KNOBS)}.",
        )
    store = open_store(home.path)
    out.print(what_if(store, selected_target(store, target), changes), markup=False)
