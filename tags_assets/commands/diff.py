"""`tags-assets diff`."""

from __future__ import annotations

from typing import Annotated

import typer

from tags_assets.commands.console import out
from tags_assets.commands.options import HomeOption
from tags_assets.settings.home import Home


def diff(
    a: Annotated[str, typer.Argument(help="A target, or `target@version`.")],
    b: Annotated[str, typer.Argument(help="A target, or `target@version`.")],
    home: HomeOption = None,
) -> None:
    """Compare two selections: which rows stay, leave and arrive, and which shares shift."""
    from tags_assets.explanation.diff import diff as compare
    from tags_assets.store.opening import open_store

    out.print(compare(open_store(Home.resolve(home).path), a, b).to_text(), markup=False)
