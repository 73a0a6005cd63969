"""The versions that a selection was made from, and the views over them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from tags_assets.errors import NotFoundError, UserError
from tags_assets.selection.tables import LEFT_OUT_SCHEMA
from tags_assets.store.sql import is_sql_name, load_sql, query_error, sql_names
from tags_assets.store.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion


@dataclass(frozen=True)
class Lineage:
    """The versions behind one selection, with queries over them and the lineage views.

    A selection may be older than the current tree. It is therefore explained from the versions in its own
    record, followed upstream, and not from the newest state of the warehouse. For assets outside that line
    (such as rejected rows) the current version is used.

    Attributes
    ----------
    store
        Where the versions are.
    target
        The target's name.
    versions
        Asset to version.
    """

    store: ArtifactStore
    target: str
    versions: Mapping[str, ArtifactVersion]

    @classmethod
    def of(
        cls, store: ArtifactStore, target: str, data_version: str | None = None, *, attributed: bool = False
    ) -> Lineage:
        """Follow a target's selection upstream.

        Parameters
        ----------
        store
            Where the versions are.
        target
            The target's name.
        data_version
            Version of `selected_subset`; the current one by default.
        attributed
            Whether the selection needs an attribution: while a run has not computed it yet, the previous
            selection is used.

        Raises
        ------
        UserError
            If the target has no selection, or retention has removed its inputs.
        """
        known = [name for name in store.partitions("selected_subset") if name is not None]
        if data_version is None and target not in known:
            raise UserError.unknown("selection for a target", target, known, where=str(store.home))
        selection = store.require("selected_subset", data_version, target)
        if attributed and data_version is None:
            selection = _attributed(store, selection)
        versions: dict[str, ArtifactVersion] = {}
        for version in (selection, _attribution(store, selection)):
            if version is not None:
                _follow(store, version, versions)
        for asset in store.assets():
            if asset not in versions and not _is_of_target(store, asset):
                version = store.current(asset)
                if version is not None:
                    versions[asset] = version
        return cls(store, target, versions)

    @property
    def selection(self) -> ArtifactVersion:
        return self.versions["selected_subset"]

    def has(self, *assets: str) -> bool:
        """Whether all these assets have a version here."""
        return all(asset in self.versions for asset in assets)

    def figures(self, asset: str = "selected_subset") -> Mapping[str, object]:
        """Figures that were stored with a version."""
        version = self.versions.get(asset)
        figures = version.metadata.get("figures", {}) if version is not None else {}
        return figures if isinstance(figures, dict) else {}

    def ask(
        self,
        query: str,
        params: Mapping[str, object] | None = None,
        *,
        frames: Mapping[str, pl.DataFrame] | None = None,
    ) -> pl.DataFrame:
        """Run a query (or a file of ``sql/`` by its name) over the versions and the lineage views.

        Each stands under its own name, as in the warehouse.

        Raises
        ------
        UserError
            Where the query needs an asset that has not been made yet, or DuckDB cannot run it.
        """
        sql = with_views(load_sql(query) if is_sql_name(query) else query)
        needed = {asset for asset in Warehouse(self.store).assets() if _mentions(sql, asset)}
        missing = sorted(needed - set(self.versions))
        if missing:
            raise NotFoundError(
                f"{', '.join(missing)} {'has' if len(missing) == 1 else 'have'} not been made yet",
                where=str(self.store.home),
                fix="Run the selection again.",
            )
        absent: dict[str, pl.DataFrame] = {}
        if "selected_subset" in needed and "left_out" not in self.selection.tables:
            # Selections of older code have no such table.
            absent["selected_subset_left_out"] = pl.DataFrame(schema=LEFT_OUT_SCHEMA)
        versions = {asset: self.versions[asset] for asset in sorted(needed)}
        try:
            return self.store.query(sql, versions, params, frames={**absent, **(frames or {})})
        except duckdb.Error as error:
            if is_sql_name(query):  # ours: the fault is not the user's
                raise
            raise query_error(error) from None


def with_views(query: str) -> str:
    """Put the lineage views that a query names (and those that they name) before it, as common table
    expressions.
    """
    needed: dict[str, None] = {}

    def add(sql: str) -> None:
        for name in lineage_views():
            if name not in needed and _mentions(sql, name):
                add(lineage_views()[name])
                needed[name] = None

    add(query)
    if not needed:
        return query
    views = ",\n".join(f"{name} as (\n{lineage_views()[name]}\n)" for name in needed)
    statement = re.sub(r"\A(\s*--[^\n]*\n)+", "", query).lstrip()
    # A query with common table expressions of its own: the views come first in the same list.
    own = re.match(r"with\s+(recursive\s+)?", statement)
    if own:
        return f"with {own[1] or ''}{views},\n{statement[own.end() :]}"
    return f"with {views}\n{statement}"


@cache
def lineage_views() -> dict[str, str]:
    """The statements of ``sql/lineage``, by name."""
    return {name.rsplit("/", 1)[1]: load_sql(name).strip().rstrip(";") for name in sql_names("lineage")}


def _mentions(sql: str, name: str) -> bool:
    # An auxiliary table is `<asset>_<table>`: what begins with the asset's name counts.
    code = re.sub(r"--[^\n]*", "", sql)
    return re.search(rf"\b{name}(_[a-z_]+)?\b", code) is not None


def _is_of_target(store: ArtifactStore, asset: str) -> bool:
    return None not in store.layout.partitions(asset)


def _attributed(store: ArtifactStore, current: ArtifactVersion) -> ArtifactVersion:
    """Return the current selection, or the newest before it that has an attribution."""
    versions = store.versions("selected_subset", current.partition)
    before = [version for version in versions if version.created_at < current.created_at]
    for version in (current, *reversed(before)):
        if _attribution(store, version) is not None:
            return version
    return current


def _attribution(store: ArtifactStore, selection: ArtifactVersion) -> ArtifactVersion | None:
    """Find the newest attribution that was made of exactly this selection."""
    for version in reversed(store.versions("selection_attribution", selection.partition)):
        if version.upstream.get("selected_subset") == selection.data_version:
            return version
    return None


def _follow(store: ArtifactStore, version: ArtifactVersion, into: dict[str, ArtifactVersion]) -> None:
    into.setdefault(version.asset, version)
    for key, data_version in version.upstream.items():
        asset, _, named = key.partition("/")
        if asset in into or asset not in store.assets():
            continue
        partition = named or (version.partition if _is_of_target(store, asset) else None)
        found = store.find(asset, data_version, partition)
        if found is None:
            raise NotFoundError(
                f"this selection was made from version {data_version} of {asset}, which has been removed",
                where=str(version),
                fix="Select again, or keep more versions.",
            )
        _follow(store, found, into)
