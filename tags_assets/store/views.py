"""The SQL of the warehouse's views."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import orjson
import polars as pl

from tags_assets.store.columns import VIEWS, meaning
from tags_assets.store.fingerprint import fingerprint_texts
from tags_assets.store.layout import quote_file, quote_name, quote_text
from tags_assets.store.sql import load_sql, sql_names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from tags_assets.store.catalogue import KnownAsset
    from tags_assets.store.versions import ArtifactVersion, Columns

_log = logging.getLogger(__name__)

_FILE = "_artifact_file"
# What a history view adds, unless the table has a column of that name. Each is read off the file's name where
# it can be, so that a condition on it opens the files that it names and no other.
_HISTORY = {
    "data_version": (f"parse_filename(artifact.{_FILE}, true)", "VARCHAR"),
    "partition": (f"nullif(parse_path(artifact.{_FILE})[-2], '-')", "VARCHAR"),
    "created_at": ("version.created_at", "TIMESTAMP WITH TIME ZONE"),
}
_VERSIONS = pl.Schema(
    [
        ("asset", pl.String()),
        ("partition", pl.String()),
        ("data_version", pl.String()),
        ("is_current", pl.Boolean()),
        ("created_at", pl.Datetime("us", "UTC")),
        ("rows", pl.Int64()),
        ("code_version", pl.String()),
        ("config", pl.String()),
        ("upstream", pl.String()),
        ("metadata", pl.String()),
        ("path", pl.String()),
    ]
)


@dataclass(frozen=True)
class World:
    """What a publication shows."""

    every: Mapping[str, Sequence[ArtifactVersion]]
    """All versions by asset, oldest first."""
    current: Collection[Path]
    """Files of the current ones."""
    known: Mapping[str, KnownAsset]
    """The catalogue."""


class View(NamedTuple):
    """One view over artifacts."""

    name: str
    statement: str
    description: str

    @property
    def digest(self) -> str:
        """Names all that the view is made from but the meaning of its columns."""
        return fingerprint_texts(self)


class Shown(NamedTuple):
    """What a warehouse shows."""

    views: Mapping[str, str]
    """Views by name, in the order in which they were made: its digest where it is over artifacts, ``""``
    where it is of the lineage."""
    skipped: Mapping[str, str]
    """Lineage views that could not be made, and why."""


def create_views(cursor: duckdb.DuckDBPyConnection, world: World) -> Shown:
    """Create everything that the warehouse shows."""
    cursor.execute("begin")
    _create_versions_table(cursor, world)
    views = asset_views(world)
    for view in views:
        _create_view(cursor, view)
    cursor.execute("commit")
    # Outside of the transaction, which a view that cannot be made would take with it.
    lineage, skipped = _create_lineage_views(cursor, [view.name for view in views])
    _describe_columns(cursor, world.known)
    return Shown({view.name: view.digest for view in views} | dict.fromkeys(lineage, ""), skipped)


def update_views(
    cursor: duckdb.DuckDBPyConnection, world: World, before: Mapping[str, str]
) -> Mapping[str, str] | None:
    """Bring what a warehouse showed up to date, at the cost of what has changed.

    To make a view DuckDB opens an artifact, so making all of them again takes a hundred times what those of
    one asset take.

    Parameters
    ----------
    before
        `Shown.views` of what is there, made by the same code and catalogue.

    Returns
    -------
    Mapping or None
        `Shown.views` of now. None where all must be made anew, since views came or went or have other columns
        than before: the views of the lineage, which read others, would not fit.
    """
    views = asset_views(world)
    now = {view.name: view.digest for view in views}
    if list(now) != [name for name, digest in before.items() if digest]:
        return None
    changed = [view for view in views if view.digest != before[view.name]]
    names = [view.name for view in changed]
    columns = _columns_of(cursor, names)
    cursor.execute("begin")
    _create_versions_table(cursor, world)
    for view in changed:
        _create_view(cursor, view)
    if _columns_of(cursor, names) != columns:
        cursor.execute("rollback")
        return None
    cursor.execute("commit")
    _describe_columns(cursor, world.known, names)
    return {**before, **now}


def _columns_of(cursor: duckdb.DuckDBPyConnection, views: Sequence[str]) -> list[tuple[str, ...]]:
    return cursor.execute(load_sql("warehouse/columns"), {"views": list(views)}).fetchall()


def _create_versions_table(cursor: duckdb.DuckDBPyConnection, world: World) -> None:
    cursor.register("incoming", _versions_frame(world))
    cursor.execute("create or replace table asset_versions as from incoming")
    cursor.unregister("incoming")
    cursor.execute("comment on table asset_versions is 'Every version of every asset: one row per version.'")


def asset_views(world: World) -> list[View]:
    """Lay out the views of all assets' tables, of what is current and of all versions.

    Raises
    ------
    ValueError
        If two views would have one name.
    """
    views: list[View] = []
    for asset in sorted({*world.every, *world.known}):
        views += _views_of(asset, world, taken=[view.name for view in views])
    return views


def _views_of(asset: str, world: World, *, taken: Collection[str]) -> list[View]:
    versions = world.every.get(asset, ())
    known = world.known.get(asset)
    # The catalogue says what an asset is now; where it does not know a table, the newest version does.
    written = {name: table.columns for version in versions for name, table in version.tables.items()}
    views: list[View] = []
    for table, columns in {**written, **(known.tables if known is not None else {})}.items():
        name = _view_name(asset, table)
        if name in taken or f"{name}_history" in taken:
            raise ValueError(f"two tables would be shown as {name}: rename one")
        holders = [version for version in versions if table in version.tables]
        current = [version for version in holders if version.path in world.current]
        description = f"Table {table} of {asset}."
        if known is not None:
            description = known.description if table == "data" else known.grains.get(table, description)
        views += [
            View(name, _union(table, current) if current else _no_rows(columns), description),
            View(f"{name}_history", _history(table, columns, holders), f"All versions of {name}."),
        ]
    return views


def _view_name(asset: str, table: str) -> str:
    return asset if table == "data" else f"{asset}_{table}"


def _create_lineage_views(
    cursor: duckdb.DuckDBPyConnection, taken: Collection[str]
) -> tuple[list[str], dict[str, str]]:
    """Create the views of ``sql/lineage``, each after those that it reads."""
    texts = {name.rsplit("/", 1)[1]: load_sql(name) for name in sql_names("lineage")}
    skipped = {name: "an asset's view has this name" for name in texts if name in taken}
    waiting = {name: text for name, text in texts.items() if name not in taken}
    created: list[str] = []
    progress = True
    while waiting and progress:
        progress = False
        for name, text in list(waiting.items()):
            description, statement = _split_description(text)
            try:
                _create_view(cursor, View(name, statement, description))
            except duckdb.Error as error:
                skipped[name] = str(error).strip().splitlines()[0]
                continue
            skipped.pop(name, None)
            del waiting[name]
            created.append(name)
            progress = True
    for name, reason in skipped.items():
        _log.info("sql/lineage/%s.sql is not shown: %s", name, reason)
    return created, skipped


def _create_view(cursor: duckdb.DuckDBPyConnection, view: View) -> None:
    cursor.execute(f"create or replace view {quote_name(view.name)} as {view.statement}")
    if view.description:
        text = " ".join(view.description.split())
        cursor.execute(f"comment on view {quote_name(view.name)} is {quote_text(text)}")


def _describe_columns(
    cursor: duckdb.DuckDBPyConnection,
    known: Mapping[str, KnownAsset],
    views: Collection[str] | None = None,
) -> None:
    """Say what the columns mean (of all views unless some are named), from the catalogue: to describe each
    view would open its artifacts again.
    """
    own = dict(VIEWS)
    for asset, entry in known.items():
        own |= {_view_name(asset, table): columns for table, columns in entry.meanings.items()}
    columns = cursor.execute(
        "select table_name, column_name from duckdb_columns() where not internal order by all"
    ).fetchall()
    said = [
        f"comment on column {quote_name(view)}.{quote_name(column)} is {quote_text(text)};"
        for view, column in columns
        if (views is None or view in views or view == "asset_versions")
        and not view.endswith("_history")
        and (text := meaning(column, own.get(view, {})))
    ]
    cursor.execute(" ".join(["begin;", *said, "commit;"]))


def _union(table: str, versions: Sequence[ArtifactVersion], *, with_file: bool = False) -> str:
    """Return a query over the same table of several artifacts.

    Artifacts with equal columns share one reader, so that DuckDB opens one of each kind to learn the columns
    where `union_by_name` would open all.
    """
    kinds: dict[Columns, list[str]] = {}
    for version in versions:
        kinds.setdefault(version.tables[table].columns, []).append(quote_file(version.path))
    options = f", filename = {quote_text(_FILE)}" if with_file else ""
    readers = (
        f"from read_duckdb([{', '.join(files)}], table_name = {quote_text(table)}{options})"
        for files in kinds.values()
    )
    return " union all by name ".join(readers)


def _history(table: str, columns: Columns, versions: Sequence[ArtifactVersion]) -> str:
    own = {name.lower() for name, _ in columns}
    own.update(name.lower() for version in versions for name, _ in version.tables[table].columns)
    added = {name: how for name, how in _HISTORY.items() if name not in own}
    if not versions:
        return _no_rows((*columns, *((name, kind) for name, (_, kind) in added.items())))
    expressions = [f"{expression} as {quote_name(name)}" for name, (expression, _) in added.items()]
    return Template(load_sql("warehouse/history")).substitute(
        rows=_union(table, versions, with_file=True),
        columns=", ".join([f"artifact.* exclude ({_FILE})", *expressions]),
    )


def _no_rows(columns: Columns) -> str:
    typed = ", ".join(f"cast(null as {kind}) as {quote_name(name)}" for name, kind in columns)
    return f"select {typed} where false"


def _split_description(text: str) -> tuple[str, str]:
    """Split an SQL file into the comment lines that it begins with and its statement."""
    lines = text.strip().splitlines()
    first = next((index for index, line in enumerate(lines) if not line.startswith("--")), len(lines))
    description = " ".join(line.removeprefix("--").strip() for line in lines[:first])
    return description, "\n".join(lines[first:]).strip().rstrip(";")


def _versions_frame(world: World) -> pl.DataFrame:
    rows = [
        (
            version.asset,
            version.partition,
            version.data_version,
            version.path in world.current,
            version.created_at,
            version.rows,
            version.code_version,
            orjson.dumps(version.config).decode(),
            orjson.dumps(version.upstream).decode(),
            orjson.dumps(version.metadata).decode(),
            str(version.path),
        )
        for versions in world.every.values()
        for version in versions
    ]
    return pl.DataFrame(rows, schema=_VERSIONS, orient="row")
