"""Reading what is stored: versions, tables, the tree, and anything else by SQL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import duckdb
import polars as pl

from tags_assets.errors import InvalidInputError, NotFoundError, UserError
from tags_assets.method.tree.knowledge_tree import KnowledgeTree
from tags_assets.settings.home import Home
from tags_assets.store.artifact_file import fetch
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.opening import open_store
from tags_assets.store.sql import query_error
from tags_assets.store.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tags_assets.store.versions import ArtifactVersion

HomeLike: TypeAlias = ArtifactStore | Path | str | None
"""A folder, an opened home, or None: ``$TAGS_HOME``, else ``.tags`` here."""

VERSIONS_SCHEMA: dict[str, pl.DataType] = {
    "asset": pl.String(),
    "target": pl.String(),
    "version": pl.String(),
    "created_at": pl.Datetime("us", "UTC"),
    "rows": pl.Int64(),
    "megabytes": pl.Float64(),
    "current": pl.Boolean(),
    "code_version": pl.String(),
}
"""One row per version; ``target`` is null where an asset belongs to the pool."""


def open_home(home: HomeLike = None) -> ArtifactStore:
    """Open a home for reading.

    Parameters
    ----------
    home
        Its folder; ``$TAGS_HOME``, else ``.tags`` here, where nothing is given.

    Raises
    ------
    UserError
        Where nothing was selected in it yet.
    """
    if isinstance(home, ArtifactStore):
        return home
    path = Home.resolve(home).path
    store = open_store(path)
    if not store.assets():
        raise NotFoundError(
            "there is no artifact in this home",
            where=str(path),
            fix="Run `tags-assets select POOL... --home HOME`, or name another home.",
        )
    return store


def versions(
    asset: str = "selected_subset", target: str | None = None, *, home: HomeLike = None
) -> pl.DataFrame:
    """List the versions of an asset, oldest first: `VERSIONS_SCHEMA`.

    Parameters
    ----------
    asset
        Its name, as in the graph.
    target
        One target's; all of them unless said.

    Raises
    ------
    UserError
        For an asset that has no version.
    """
    store = open_home(home)
    _known(store, asset)
    partitions = [target] if target is not None else store.layout.partitions(asset)
    rows = []
    for partition in partitions:
        current = store.current(asset, partition)
        rows += [
            {
                "asset": asset,
                "target": partition,
                "version": version.data_version,
                "created_at": version.created_at,
                "rows": version.rows,
                "megabytes": round(version.file_bytes / 1e6, 3),
                "current": current is not None and version.data_version == current.data_version,
                "code_version": version.code_version,
            }
            for version in store.versions(asset, partition)
        ]
    return pl.DataFrame(rows, schema=VERSIONS_SCHEMA).sort("created_at")


def load(
    asset: str,
    target: str | None = None,
    *,
    version: str | None = None,
    table: str = "data",
    columns: Sequence[str] | None = None,
    home: HomeLike = None,
) -> pl.DataFrame:
    """Read a version of an asset, rows in the order in which they were written.

    Parameters
    ----------
    asset
        Its name, as in the graph.
    target
        For the assets that belong to a target.
    version
        The beginning of a data version; the current one unless said.
    table
        ``data``, or one of the asset's further tables (``tags`` of ``knowledge_tree``, ``frontier`` of
        ``selected_subset``).
    columns
        Some columns; all of them unless said.

    Raises
    ------
    UserError
        For an asset, target, version, table or column that does not exist, with the nearest that do.
    """
    store = open_home(home)
    return store.read_version(found(store, asset, target, version), table, columns=columns)


def query(sql: str, params: Mapping[str, object] | None = None, *, home: HomeLike = None) -> pl.DataFrame:
    """Run one SQL query over the warehouse: every asset and every view that explains a selection.

    Parameters
    ----------
    sql
        A statement of DuckDB's; ``from subset_overview`` is one.
    params
        Values for ``$name`` in it.

    Raises
    ------
    UserError
        Where DuckDB cannot run it, with what it says in one line.
    """
    with Warehouse(open_home(home)).open() as connection:
        try:
            return fetch(connection, sql, params)
        except (duckdb.Error, pl.exceptions.PolarsError) as error:
            raise query_error(error) from None


def tree(*, version: str | None = None, home: HomeLike = None) -> KnowledgeTree:
    """Read the knowledge tree: names, parents, levels and paths of its nodes, as arrays.

    Parameters
    ----------
    version
        The beginning of a data version; the current one unless said.
    """
    store = open_home(home)
    made = found(store, "knowledge_tree", None, version)
    return KnowledgeTree.from_frames(store.read_version(made), store.read_version(made, "tags"))


def found(
    store: ArtifactStore, asset: str, target: str | None, version: str | None = None
) -> ArtifactVersion:
    """Find a version by the beginning of its name; the current one where there is no name."""
    _known(store, asset)
    partitions = store.layout.partitions(asset)
    if target not in partitions:
        names = [str(name) for name in partitions if name is not None]
        if target is None:
            raise InvalidInputError(f"{asset} belongs to a target", fix=f"Name one of: {', '.join(names)}.")
        if not names:
            raise InvalidInputError(
                f"{asset} belongs to the pool, not to a target", fix="Leave the target out."
            )
        raise UserError.unknown(f"target with a {asset}", target, names)
    if version is None:
        return store.require(asset, None, target)
    every = store.versions(asset, target)
    begin = [one for one in every if one.data_version.startswith(version)]
    if not begin:
        raise UserError.unknown(f"version of {asset}", version, [one.data_version for one in every])
    if len(begin) > 1:
        raise InvalidInputError(
            f"{len(begin)} versions of {asset} begin with {version!r}", fix="Give more characters of it."
        )
    return begin[0]


def _known(store: ArtifactStore, asset: str) -> None:
    if asset not in store.assets():
        raise UserError.unknown("asset", asset, store.assets(), where=str(store.home))
