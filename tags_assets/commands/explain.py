"""`tags-assets explain`."""

from __future__ import annotations

from typing import Annotated

import typer

from tags_assets.commands.console import out
from tags_assets.commands.options import HomeOption, TargetOption, VersionOption
from tags_assets.errors import InvalidInputError
from tags_assets.settings.home import Home

CONCEPT_ROWS = 20
"""Rows listed of those that a concept brought in."""


def explain(
    row: Annotated[str, typer.Argument(help="The row's own id, its instance_id, or FILE:LINE.")],
    target: TargetOption = None,
    version: VersionOption = None,
    concept: Annotated[
        bool,
        typer.Option(
            "--concept",
            help="Read ROW as a concept of the tree (name, path or node id) or a tag, and list the rows "
            "selected because of it, in every target or in the one given.",
        ),
    ] = False,
    home: HomeOption = None,
) -> None:
    """Explain why ROW is in the selection, or why it is not."""
    from tags_assets.commands.selections import selection_of
    from tags_assets.explanation.explainer import explain_row, why_node
    from tags_assets.selection.selected_targets import selected_target
    from tags_assets.store.opening import open_store

    if concept and version is not None:
        raise InvalidInputError(
            "--version does not go with --concept, which reads the current selections",
            fix="Past selections are in the view selection_attribution_history.",
        )
    store = open_store(Home.resolve(home).path)
    if concept:
        named = None if target is None else selected_target(store, target)
        out.print(why_node(store, row, named, most=CONCEPT_ROWS).to_text(), markup=False)
        return
    lineage = selection_of(store, target, version)
    data_version = lineage.selection.data_version if version else None
    out.print(explain_row(store, row, lineage.target, data_version=data_version).to_text(), markup=False)
