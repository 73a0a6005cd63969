"""`tags-assets describe`."""

from __future__ import annotations

from typing import Annotated

import typer

from tags_assets.commands.console import out
from tags_assets.commands.options import HomeOption
from tags_assets.errors import UserError
from tags_assets.settings.home import Home


def describe(
    name: Annotated[
        str | None, typer.Argument(help="A table or view. [default: list them all]", show_default=False)
    ] = None,
    home: HomeOption = None,
) -> None:
    """Describe a table or view of warehouse.duckdb and each of its columns."""
    from rich.markup import escape
    from rich.table import Table

    from tags_assets.store.opening import open_store
    from tags_assets.store.sql import load_sql
    from tags_assets.store.warehouse import Warehouse

    with Warehouse(open_store(Home.resolve(home).path)).open() as warehouse:
        comments: dict[str, str] = dict(warehouse.execute(load_sql("explain/views")).fetchall())
        if name is not None and name not in comments:
            raise UserError.unknown("table or view", name, sorted(comments), where="warehouse.duckdb")
        table = Table(box=None, pad_edge=False, header_style="bold")
        if name is None:
            table.add_column("table or view", no_wrap=True)
            table.add_column("holds", overflow="fold")
            for view, comment in comments.items():
                table.add_row(escape(view), escape(comment.partition(". ")[0].removesuffix(".") + "."))
        else:
            out.print(f"{comments[name]}\n", markup=False)
            for heading in ("column", "type", "meaning"):
                table.add_column(heading, overflow="fold")
            for row in warehouse.execute(load_sql("explain/columns"), [name]).fetchall():
                table.add_row(*map(escape, row))
    out.print(table)
