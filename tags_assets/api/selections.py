"""Asking about selections, and making others that are not stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.api.reading import HomeLike, open_home
from tags_assets.explanation.diff import diff
from tags_assets.explanation.explainer import explain_row, why_node
from tags_assets.explanation.lineage import Lineage
from tags_assets.explanation.what_if import select_again
from tags_assets.explanation.what_if import what_if as turn
from tags_assets.selection.selected_targets import selected_target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    import polars as pl

    from tags_assets.explanation.diff import Diff
    from tags_assets.explanation.explanation import Explanation, NodeExplanation
    from tags_assets.explanation.knobs import Knobs
    from tags_assets.explanation.what_if import WhatIf
    from tags_assets.selection.tables import Selected


def select(target: str | None = None, *, home: HomeLike = None, **knobs: Unpack[Knobs]) -> Selected:
    """Make another selection of what is in the home, with knobs turned; nothing is stored.

    Parameters
    ----------
    target
        A target that has a selection; the only one unless said.
    knobs
        See `tags_assets.explanation.knobs.KNOBS`; those left out are as in the target's current selection.

    Returns
    -------
    Selected
        ``rows``, ``figures``, ``frontier``, ``nodes``, ``shortages``, ``runners_up``, ``diversity``.

    Raises
    ------
    UserError
        For a target without a selection, a knob that does not exist, and what cannot be met.
    """
    store = open_home(home)
    return select_again(store, selected_target(store, target), knobs)


def what_if(target: str | None = None, *, home: HomeLike = None, **knobs: Unpack[Knobs]) -> WhatIf:
    """Compare the current selection with what it would be with knobs turned; nothing is stored.

    Parameters are those of `select`. ``print`` shows the answer as the command line does.
    """
    store = open_home(home)
    return turn(store, selected_target(store, target), knobs)


def explain(
    row: str, target: str | None = None, *, version: str | None = None, home: HomeLike = None
) -> Explanation:
    """Say why a row is in a selection, or why it is not; ``print`` shows it in words.

    Parameters
    ----------
    row
        Its ``instance_id``, its own ``id``, or ``FILE:LINE``.
    target
        A target that has a selection; the only one unless said.
    version
        Data version of ``selected_subset``; the current one unless said.

    Raises
    ------
    UserError
        For a row or target that does not exist, and an ``id`` that several rows have.
    """
    store = open_home(home)
    return explain_row(store, row, selected_target(store, target), data_version=version)


def explain_concept(
    concept: str, target: str | None = None, *, most: int = 50, home: HomeLike = None
) -> NodeExplanation:
    """List the selected rows to which a node of the tree, or a tag, contributed.

    Parameters
    ----------
    concept
        A node's id, path or name, or a tag.
    target
        One target; all of them by default.
    most
        Rows to list.
    """
    return why_node(open_home(home), concept, target, most=most)


def why_not(
    target: str | None = None, rows: Sequence[str] | None = None, *, home: HomeLike = None
) -> pl.DataFrame:
    """Say of every row that is not selected why: ``why``, ``detail`` and what is known of the row.

    Parameters
    ----------
    target
        A target that has a selection; the only one unless said.
    rows
        Some rows, by ``instance_id`` or their own ``id``; every row unless said.
    """
    store = open_home(home)
    name = selected_target(store, target)
    lineage = Lineage.of(store, name)
    if rows is None:
        return lineage.ask("select * from why_not_selected where target = $target", {"target": name})
    params = {"target": name, "rows": list(rows)}
    return lineage.ask("explain/why_not_rows", params)


def compare(before: str, after: str, *, home: HomeLike = None) -> Diff:
    """Compare two selections: rows kept, dropped and added, and what shifted.

    Parameters
    ----------
    before, after
        ``maths`` (a target's current selection), ``maths~1`` (the one before it) or ``maths@3f9a`` (the
        version that begins so).
    """
    return diff(open_home(home), before, after)
