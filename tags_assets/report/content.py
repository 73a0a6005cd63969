"""The input of a report: plain frames and figures of one selection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MASS_SCHEMA: dict[str, pl.DataType] = {
    "node_id": pl.String(),
    "pool": pl.Float64(),
    "selection": pl.Float64(),
    "target": pl.Float64(),
}
"""Mass per leaf: ``pool`` and ``selection`` in rows, ``target`` as a share of 1."""

POOL_SCHEMA: dict[str, pl.DataType] = {
    "selected": pl.Boolean(),
    "quality": pl.Float64(),
    "source": pl.String(),
    "language": pl.String(),
    "prompt_tokens": pl.Int32(),
    "response_tokens": pl.Int32(),
}
"""One row per eligible instance: what the plots of before and after are counted from."""

ROW_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    "id": pl.String(),
    "rank": pl.Int64(),
    "gain": pl.Float64(),
    "quality": pl.Float64(),
    "source": pl.String(),
    "prompt": pl.String(),
    "response": pl.String(),
    "tags": pl.List(pl.String()),
    "inferred_tags": pl.List(pl.String()),
}
"""Selected rows with the beginnings of their texts; a row does not name its ``inferred_tags``. The report
shows the first `ROWS_SHOWN` of them."""

DRIVER_SCHEMA: dict[str, pl.DataType] = {
    "kind": pl.String(),
    "key": pl.String(),
    "name": pl.String(),
    "share": pl.Float64(),
    "rows": pl.Int64(),
    "inferred": pl.Int64(),
    "examples": pl.List(pl.String()),
}
"""Top nodes (``kind`` is ``node``, ``key`` its id) and tags (``kind`` is ``tag``), each with its share of the
whole gain, the number of selected rows that carry it, in how many of these it was only inferred by likeness,
and the texts of some of them."""

SHORTAGE_SCHEMA: dict[str, pl.DataType] = {
    "node_id": pl.String(),
    "wanted": pl.Float64(),
    "supply": pl.Float64(),
    "reached": pl.Float64(),
}
"""Concepts of which the target asks for more rows (``wanted``) than the pool holds (``supply``), and what the
selection has (``reached``), all in rows' mass."""

NEARLY_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    "id": pl.String(),
    "source": pl.String(),
    "prompt": pl.String(),
    "response": pl.String(),
    "gain": pl.Float64(),
    "quality": pl.Float64(),
    "beaten_by": pl.String(),
    "winner_rank": pl.Int64(),
    "overlap": pl.Float64(),
    "shared": pl.List(pl.String()),
    "reason": pl.String(),
}
"""Rows that came closest to being picked, with the gain that they would add now and the selected row that
took their place (``beaten_by``: the beginning of its text, ``winner_rank``), the weight of the tags of both
(``overlap``) and the heaviest of these (``shared``)."""

DIVERSITY_SCHEMA: dict[str, pl.DataType] = {
    "level": pl.Int64(),
    "nodes": pl.Int64(),
    "covered_pool": pl.Int64(),
    "covered_selection": pl.Int64(),
    "effective_pool": pl.Float64(),
    "effective_selection": pl.Float64(),
}
"""Per level of the tree: its nodes, how many of them the pool and the selection touch, and the effective
number of nodes (Hill number of order 1, the exponential of Shannon's entropy)."""

SATURATION_SCHEMA: dict[str, pl.DataType] = {
    "node_id": pl.String(),
    "level": pl.Int64(),
    "mass": pl.Float64(),
    "capacity": pl.Float64(),
}
"""Per node: quality-weighted mass m_v of the selection, and the capacity c_v at which the node counts as
covered."""

ROWS_SHOWN = 200
"""Selected rows that one report shows; `subset.jsonl` and the warehouse have them all."""


@dataclass(frozen=True, eq=False)
class Changes:
    """What changed since the previous version.

    Attributes
    ----------
    previous
        A name for the version before: its time, or its data version.
    kept, dropped, added
        Numbers of rows.
    shares
        Concepts whose share moved most: ``node_id``, ``before``, ``after``, as shares of the selection.
    dropped_rows, added_rows
        Examples: ``id``, ``source``, ``prompt``.
    reasons
        What was different, in words: "the target's file was edited", "1,204 new rows came in".
    """

    previous: str
    kept: int
    dropped: int
    added: int
    shares: pl.DataFrame = field(default_factory=pl.DataFrame)
    dropped_rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    added_rows: pl.DataFrame = field(default_factory=pl.DataFrame)
    reasons: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class ReportInput:
    """Everything that one report shows. Only ``target``, ``nodes``, ``masses`` and ``figures`` are required.

    Attributes
    ----------
    target
        The target's name; ``pool`` where the pool itself was the target.
    nodes
        The knowledge tree (``NODE_SCHEMA``; ``vector`` may be absent).
    masses
        Mass per leaf (``MASS_SCHEMA``); a leaf without a row counts as 0. ``target`` may be null throughout.
    figures
        Numbers by the names of `tags_assets.report.sentences.FIGURES`; every one may be absent.
    request
        What the target's file asked for, as a person reads it: ``{"budget": "5% of the rows", ...}``.
    pool, rows, drivers, shortages, nearly, diversity, saturation
        See the schemas above. An absent frame takes its section's plot away and says so.
    gain_curve
        ``rows`` and ``value``: value of the first n picks, in the order of rank, any scale. It may go on
        beyond the budget.
    changes
        Against the version before, or None at the first version.
    inferred_shown
        Whether the pool is large enough for inferred concepts to mean something; else ``drivers`` and
        ``rows`` are without them.
    messages
        Warnings that a reader has to see.
    made
        When, as a person reads it; printed, never computed here, so that a report is a function of its input.
    version
        Data version of the selection.
    """

    target: str
    nodes: pl.DataFrame
    masses: pl.DataFrame
    figures: Mapping[str, object]
    request: Mapping[str, object] = field(default_factory=dict)
    pool: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=POOL_SCHEMA))
    rows: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ROW_SCHEMA))
    drivers: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DRIVER_SCHEMA))
    gain_curve: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"rows": pl.Int64, "value": pl.Float64})
    )
    shortages: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SHORTAGE_SCHEMA))
    nearly: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=NEARLY_SCHEMA))
    diversity: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DIVERSITY_SCHEMA))
    saturation: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SATURATION_SCHEMA))
    changes: Changes | None = None
    inferred_shown: bool = True
    messages: Sequence[str] = ()
    made: str = ""
    version: str = ""
