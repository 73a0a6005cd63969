"""What the assets are, for views over those that have not been made yet and for descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tags_assets.store.artifact_file import duckdb_columns
from tags_assets.store.layout import check_identifier

if TYPE_CHECKING:
    import polars as pl

    from tags_assets.store.connections import Connections
    from tags_assets.store.versions import Columns


@dataclass(frozen=True)
class AssetTables:
    """An asset's description and the schemas of its tables.

    Parameters
    ----------
    description
        What the asset is, with its grain; becomes the comment on its views.
    data
        Schema of its ``data`` table.
    auxiliary
        Schemas of its other tables, by name.
    grains
        What one row of those is, by table.
    meanings
        What columns mean, by table, where `tags_assets.store.columns.GENERAL` does not say it.
    """

    description: str
    data: pl.Schema
    auxiliary: Mapping[str, pl.Schema] = field(default_factory=dict)
    grains: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


Catalogue = Mapping[str, AssetTables]
"""By the asset's name."""


@dataclass(frozen=True)
class KnownAsset:
    """The same with DuckDB's types, as it is remembered beside the warehouse."""

    description: str
    tables: Mapping[str, Columns]
    grains: Mapping[str, str] = field(default_factory=dict)
    meanings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def resolve(connections: Connections, catalogue: Catalogue) -> dict[str, KnownAsset]:
    """Work out the DuckDB types of a catalogue."""
    return {
        check_identifier("asset", asset): KnownAsset(
            entry.description,
            {
                check_identifier("table", table): duckdb_columns(connections, schema)
                for table, schema in {"data": entry.data, **entry.auxiliary}.items()
            },
            entry.grains,
            entry.meanings,
        )
        for asset, entry in catalogue.items()
    }


def to_json(known: Mapping[str, KnownAsset]) -> dict[str, object]:
    """Return JSON values that `from_json` reads back."""
    return {
        asset: {
            "description": entry.description,
            "tables": dict(entry.tables),
            "grains": dict(entry.grains),
            "meanings": {table: dict(columns) for table, columns in entry.meanings.items()},
        }
        for asset, entry in known.items()
    }


def from_json(value: object) -> dict[str, KnownAsset]:
    """Read what `to_json` made; anything else is an empty catalogue."""
    try:
        return {
            asset: KnownAsset(
                entry["description"],
                {
                    table: tuple((name, kind) for name, kind in columns)
                    for table, columns in entry["tables"].items()
                },
                # Catalogues of older code lack both.
                entry.get("grains", {}),
                entry.get("meanings", {}),
            )
            for asset, entry in value.items()  # type: ignore[attr-defined]
        }
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
