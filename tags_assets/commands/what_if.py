"""`tags-assets what-if`."""

from __future__ import annotations

from typing import Annotated

import typer

from tags_assets.commands.console import out
from tags_assets.commands.options import HomeOption, TargetOption
from tags_assets.errors import InvalidInputError
from tags_assets.settings.home import Home


def what_if(
    knobs: Annotated[
        list[str] | None,
        typer.Argument(help="Knobs of the target and their new values: `alignment=0.8 budget=3%`."),
    ] = None,
    target: TargetOption = None,
    home: HomeOption = None,
) -> None:
    """Show how a selection would change with other KNOBS. Nothing is stored.

    Examples
    --------
    - `tags-assets what-if --target maths alignment=0.8 budget=3%`

    - `tags-assets what-if max_share.source.web=0.2`
    """
    from tags_assets.explanation.knobs import KNOBS, parse_changes
    from tags_assets.explanation.what_if import what_if as changed
    from tags_assets.selection.selected_targets import selected_target
    from tags_assets.store.opening import open_store

    changes = parse_changes(knobs or [])
    if not changes:
        raise InvalidInputError(
            "no setting is given",
            where="what-if",
            fix=f"Write alignment=0.8, or another of: {', '.join(KNOBS)}.",
        )
    store = open_store(Home.resolve(home).path)
    out.print(changed(store, selected_target(store, target), changes), markup=False)
