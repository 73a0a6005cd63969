"""`tags-assets trust`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tags_assets.commands.console import out


def trust(
    home: Annotated[Path, typer.Argument(help="The home, such as `.tags`.", show_default=False)],
) -> None:
    """Trust a home that you did not make on this machine.

    A home can name code to run and servers to send keys to. So a `.tags` in the current folder is used only
    if you made it or trust it. A home that you name with `--home` or `TAGS_HOME` needs no such step.
    """
    from tags_assets.errors import NotFoundError
    from tags_assets.store.trust import trust as note

    if not home.is_dir():
        raise NotFoundError("there is no such home", where=str(home), fix="Check the path.")
    note(home)
    out.print(f"{home.resolve()} is trusted.", markup=False)
