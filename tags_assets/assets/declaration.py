"""What an asset says of itself, once, in its own module; everything else that knows assets reads it there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import dagster as dg
import polars as pl

from tags_assets.assets.partitions import targets
from tags_assets.store.catalogue import AssetTables
from tags_assets.store.columns import meaning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tags_assets.assets.checks import FigureCheck

Schema: TypeAlias = dict[str, pl.DataType] | pl.Schema
Group: TypeAlias = Literal["knowledge", "scoring", "sampling"]

OWNERS = ["team:data-selection"]


@dataclass(frozen=True)
class Table:
    """A further table of an asset, beside its data.

    Attributes
    ----------
    grain
        What one row is.
    schema
        Its columns.
    meanings
        What its columns mean, where `tags_assets.store.columns.GENERAL` does not say it.
    """

    grain: str
    schema: Schema
    meanings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Declaration:
    """An asset. Its module holds it as ``DECLARATION``, beside the Dagster asset, and bears its name.

    Attributes
    ----------
    name
        Of the asset and its module.
    group
        The part of the graph that it belongs to.
    grain
        What one row is.
    schema
        Columns of its ``data`` table; None for an asset that nothing here makes.
    meanings
        What those columns mean, where `tags_assets.store.columns.GENERAL` does not say it.
    tables
        Its further tables, by name.
    of_target
        Whether it is partitioned by target.
    shows_age
        Whether the UI shows its age, if the pool sets `freshness_hours`.
    plotted
        The figures that the UI plots over time, and what each plot is called. Others stand in one table.
    checks
        What must hold of its figures.
    """

    name: str
    group: Group
    grain: str
    schema: Schema | None = None
    meanings: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    of_target: bool = False
    shows_age: bool = False
    plotted: Mapping[str, str] = field(default_factory=dict)
    checks: tuple[FigureCheck, ...] = ()

    def options(self) -> dict[str, Any]:
        """Return what Dagster's decorators take of it."""
        options: dict[str, Any] = {"group_name": self.group, "description": self.grain, "owners": OWNERS}
        if self.schema is None:
            return options | {"kinds": {"file"}}
        if self.of_target:
            options |= {"partitions_def": targets, "backfill_policy": dg.BackfillPolicy.single_run()}
        return options | {
            "kinds": {"duckdb", "polars"},
            "check_specs": [check.spec(self.name) for check in self.checks],
        }

    def described(self) -> AssetTables:
        """Describe its tables to the warehouse."""
        if self.schema is None:
            raise ValueError(f"{self.name} has no tables")
        return AssetTables(
            self.grain,
            pl.Schema(self.schema),
            {name: pl.Schema(table.schema) for name, table in self.tables.items()},
            grains={name: table.grain for name, table in self.tables.items()},
            meanings={"data": self.meanings, **{name: one.meanings for name, one in self.tables.items()}},
        )

    def meaning(self, column: str) -> str:
        """Say what a column of the ``data`` table means; empty for one that nobody described."""
        return meaning(column, self.meanings)
