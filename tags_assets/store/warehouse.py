"""What people open: one DuckDB file of views over the artifacts, replaced as a whole."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb
import orjson

from tags_assets import __version__
from tags_assets.errors import UserError
from tags_assets.store import catalogue as catalogues
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.columns import GENERAL, VIEWS
from tags_assets.store.durable import (
    collect_abandoned,
    collect_spill,
    disk_errors,
    scratch_file,
    sync,
    write_whole,
)
from tags_assets.store.fingerprint import fingerprint_texts
from tags_assets.store.layout import quote_text
from tags_assets.store.lock import locked
from tags_assets.store.mark import is_home
from tags_assets.store.sql import load_sql, sql_names
from tags_assets.store.views import Shown, World, create_views, update_views

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tags_assets.store.catalogue import Catalogue, KnownAsset
    from tags_assets.store.versions import ArtifactVersion

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Publication:
    """What a publication did."""

    path: Path
    replaced: bool
    """False where the warehouse showed everything already."""
    views: int
    seconds: float
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Lineage views that could not be made, and why."""


class Warehouse:
    """``HOME/warehouse.duckdb``.

    - A view named after each asset shows its current version (all partitions together); auxiliary tables are
      ``<asset>_<table>``.
    - ``<asset>_history`` and ``<asset>_<table>_history`` show all versions, with ``data_version``,
      ``partition`` and ``created_at``.
    - The table ``asset_versions`` lists every version with what it was made from.
    - Each ``sql/lineage/<name>.sql`` becomes a view: one select statement, below comment lines that describe
      it.

    Views of one publication never change, so a query sees one version of the world. They name absolute paths:
    `open` notices a home that was moved or copied and publishes it anew.
    """

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._layout = store.layout
        self._resolved: tuple[Catalogue, dict[str, KnownAsset]] | None = None

    def publish(
        self, catalogue: Catalogue | None = None, *, without: Collection[ArtifactVersion] = ()
    ) -> Publication:
        """Make the warehouse show what is on disk now; nothing happens where it does already.

        It is built beside and renamed, under a lock, from what lies on disk: of several publishers at once
        none loses another's version. Who has the old file open keeps reading it.

        Parameters
        ----------
        catalogue
            Descriptions, and schemas for the empty views of assets without versions. It is remembered: None
            means the last one given.
        without
            Versions about to be removed.

        Raises
        ------
        UserError
            If the home cannot be written to.
        """
        started = time.perf_counter()
        with disk_errors(self._layout.home):
            self._layout.artifacts.mkdir(parents=True, exist_ok=True)
            with locked(self._layout.publish_lock):
                if is_home(self._layout.home):
                    collect_abandoned(self._layout.scratch)
                    collect_abandoned(self._layout.home_scratch)
                    collect_spill(self._layout.spill)
                state = self._remembered()
                if not state:
                    self._set_aside_unknown()
                known = self._known(catalogue, state)
                digest = self._digest(known, without)
                if self._is_intact(state) and state.get("digest") == digest:
                    return Publication(
                        self._layout.warehouse,
                        False,
                        _count(state),
                        time.perf_counter() - started,
                        _skipped(state),
                    )
                with scratch_file(self._layout.home_scratch, ".duckdb") as beside:
                    shown = self._updated(beside, state, known, without) or self._built(
                        beside, known, without
                    )
                    sync(beside)
                    # A log left by someone who opened the file for writing does not fit the new file, which
                    # would then not open.
                    self._log_file.unlink(missing_ok=True)
                    beside.replace(self._layout.warehouse)
                    self._log_file.unlink(missing_ok=True)
                state = {
                    "home": str(self._layout.home),
                    "digest": digest,
                    "basis": self._basis(known),
                    "views": shown.views,
                    "skipped": shown.skipped,
                    "file": self._stamp(),
                    "catalogue": catalogues.to_json(known),
                }
                write_whole(self._layout.warehouse_state, orjson.dumps(state))
        return Publication(
            self._layout.warehouse, True, len(shown.views), time.perf_counter() - started, shown.skipped
        )

    def rebuild(self, catalogue: Catalogue | None = None) -> Publication:
        """Publish from the artifacts alone, whatever the file and what is remembered of it say."""
        with disk_errors(self._layout.home):
            if self._remembered():
                self._set_aside_unknown()
                self._layout.warehouse_state.unlink(missing_ok=True)
        return self.publish(catalogue)

    def open(self) -> duckdb.DuckDBPyConnection:
        """Open the warehouse for reading, as current as the artifacts on disk; the caller closes the
        connection.

        The connection is an in-memory one to which the warehouse is attached read-only and in which it is the
        default, so it blocks nobody. In a home that cannot be written to, the views are made in memory.
        """
        try:
            self.publish()
        except UserError as error:
            _log.info("the warehouse is not up to date: %s", error)
            return self._open_in_memory()
        connection = _connected()
        attach = f"attach {quote_text(str(self._layout.warehouse))} as warehouse (read_only)"
        try:
            try:
                connection.execute(attach)
            except duckdb.Error:
                # Somebody's log again, written between our publication and now.
                with locked(self._layout.publish_lock):
                    self._log_file.unlink(missing_ok=True)
                connection.execute(attach)
            connection.execute("use warehouse")
        except BaseException:
            connection.close()
            raise
        return connection

    def is_stale(self) -> bool:
        """Whether the warehouse shows something other than what is on disk (or was moved with its home)."""
        state = self._remembered()
        return not self._is_intact(state) or state.get("digest") != self._digest(self._known(None, state), ())

    def assets(self) -> list[str]:
        """Names of the assets: those with versions, and those of the catalogue that was published last."""
        return sorted({*self._layout.assets(), *self._known(None, self._remembered())})

    def moved_from(self) -> str | None:
        """Return the home that the warehouse was published in, if it is another than this."""
        home = self._remembered().get("home")
        return str(home) if home is not None and home != str(self._layout.home) else None

    def skipped(self) -> Mapping[str, str]:
        """Lineage views that the last publication could not make, and why."""
        return _skipped(self._remembered())

    @property
    def _log_file(self) -> Path:
        return self._layout.warehouse.with_name(f"{self._layout.warehouse.name}.wal")

    def _set_aside_unknown(self) -> None:
        """Keep a ``warehouse.duckdb`` that no publication is known to have made from being overwritten.

        Raises
        ------
        UserError
            If it is somebody else's database. What is no database at all, a damaged warehouse as a rule, is
            moved to quarantine.
        """
        path = self._layout.warehouse
        if not os.path.lexists(path):
            return
        try:
            with self._store.connections.attached({"found": path}) as cursor:
                is_ours = cursor.execute(load_sql("warehouse/is_ours")).fetchone()
        except duckdb.Error:
            away = self._layout.quarantine / f"warehouse-{secrets.token_hex(8)}"
            away.parent.mkdir(exist_ok=True)
            path.replace(away)
            _log.warning("%s: not a readable database; moved to %s", path, away)
            return
        if not is_ours:
            raise UserError(
                "exists and was not written by tags-assets",
                where=str(path),
                fix="Move it away, or name another home with --home.",
            )

    def _open_in_memory(self) -> duckdb.DuckDBPyConnection:
        connection = _connected()
        self._create_views(connection, self._known(None, self._remembered()), ())
        return connection

    def _remembered(self) -> dict[str, object]:
        try:
            state = orjson.loads(self._layout.warehouse_state.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}
        return state if isinstance(state, dict) else {}

    def _known(self, catalogue: Catalogue | None, state: Mapping[str, object]) -> dict[str, KnownAsset]:
        if catalogue is None:
            return catalogues.from_json(state.get("catalogue"))
        if self._resolved is None or self._resolved[0] != catalogue:
            self._resolved = (dict(catalogue), catalogues.resolve(self._store.connections, catalogue))
        return self._resolved[1]

    def _digest(self, known: Mapping[str, KnownAsset], without: Collection[ArtifactVersion]) -> str:
        """Return a fingerprint of all that a publication depends on, without opening an artifact."""
        gone = {(version.asset, version.partition, version.data_version) for version in without}
        listing: list[str | bytes] = [self._basis(known)]
        for asset in self._layout.assets():
            for partition in self._layout.partitions(asset):
                listing.append(str(self._layout.folder(asset, partition)))
                with suppress(FileNotFoundError):
                    listing.append(self._layout.pointer(asset, partition).read_bytes())
                names = self._layout.data_versions(asset, partition)
                listing.extend(name for name in names if (asset, partition, name) not in gone)
        return fingerprint_texts(listing)

    def _basis(self, known: Mapping[str, KnownAsset]) -> str:
        """Return a fingerprint of what a publication depends on beside the artifacts."""
        listing: list[str | bytes] = [__version__, duckdb.__version__, str(self._layout.home)]
        listing.append(orjson.dumps(catalogues.to_json(known), option=orjson.OPT_SORT_KEYS))
        listing.append(orjson.dumps([GENERAL, VIEWS]))
        listing.extend(text for name in sql_names("lineage") for text in (name, load_sql(name)))
        return fingerprint_texts(listing)

    def _stamp(self) -> list[int]:
        status = self._layout.warehouse.stat()
        return [status.st_ino, status.st_size, status.st_mtime_ns]

    def _is_intact(self, state: Mapping[str, object]) -> bool:
        try:
            return state.get("file") == self._stamp() and not self._log_file.exists()
        except FileNotFoundError:
            return False

    def _updated(
        self,
        beside: Path,
        state: Mapping[str, object],
        known: Mapping[str, KnownAsset],
        without: Collection[ArtifactVersion],
    ) -> Shown | None:
        """Copy the last publication and make anew what changed; None where it must be built from nothing."""
        before = state.get("views")
        if (
            not isinstance(before, dict)
            or state.get("skipped")
            or state.get("basis") != self._basis(known)
            or not self._is_intact(state)
        ):
            return None
        shutil.copyfile(self._layout.warehouse, beside)
        try:
            with self._store.connections.attached({"warehouse": beside}, read_only=False) as cursor:
                cursor.execute("use warehouse")
                views = update_views(cursor, self._world(known, without), before)
                cursor.execute("use memory")
        except duckdb.Error as error:  # a damaged artifact, say: building from nothing puts it away
            _log.info("rebuilding the warehouse: %s", error)
            views = None
        if views is None:
            for file in (beside, beside.with_name(f"{beside.name}.wal")):
                file.unlink(missing_ok=True)
            return None
        return Shown(views, {})

    def _built(
        self, beside: Path, known: Mapping[str, KnownAsset], without: Collection[ArtifactVersion]
    ) -> Shown:
        with self._store.connections.attached(
            {"warehouse": beside}, read_only=False, options="block_size 16384"
        ) as cursor:
            cursor.execute("use warehouse")
            shown = self._create_views(cursor, known, without)
            cursor.execute("use memory")
        return shown

    def _create_views(
        self,
        cursor: duckdb.DuckDBPyConnection,
        known: Mapping[str, KnownAsset],
        without: Collection[ArtifactVersion],
    ) -> Shown:
        """Create the views; what turns out to be damaged is put away, and they are created without it."""
        while True:
            world = self._world(known, without)
            try:
                return create_views(cursor, world)
            except duckdb.Error:
                cursor.execute("rollback")
                damaged = [
                    version
                    for versions in world.every.values()
                    for version in versions
                    if not self._is_whole(version)
                ]
                if not damaged:
                    raise

    def _is_whole(self, version: ArtifactVersion) -> bool:
        try:
            return (
                self._store.inspect(version.asset, version.data_version, version.partition, deep=True)
                is not None
            )
        except UserError as error:
            _log.warning("%s", error)
            return False

    def _world(self, known: Mapping[str, KnownAsset], without: Collection[ArtifactVersion]) -> World:
        """Look at what is on disk."""
        gone = {version.path for version in without}
        # What is current first: a version that is written in the meantime is then among all that there are.
        current = {version.path for version in self._store.snapshot().values()} - gone
        every = {
            asset: [
                version
                for partition in self._layout.partitions(asset)
                for version in self._store.versions(asset, partition)
                if version.path not in gone
            ]
            for asset in self._layout.assets()
        }
        return World(every, current, known)


def _connected() -> duckdb.DuckDBPyConnection:
    """Open an in-memory instance of one thread.

    With several threads, one join of views in ten ends in an internal error of DuckDB 2.0.0 ("dict-surviving
    cache: global dictionary column 0 changed identity"), which makes the connection unusable.
    """
    return duckdb.connect(":memory:", config={"threads": 1})


def open_warehouse(home: Path | str) -> duckdb.DuckDBPyConnection:
    """Open a home's warehouse for reading: ``open_warehouse(".tags").sql("from selected_subset")``.

    See `Warehouse.open`. Unlike a plain ``duckdb.connect``, it never locks anyone out, and gets the newest
    state also where an older one is open in the same process.
    """
    return Warehouse(ArtifactStore(home)).open()


def _count(state: Mapping[str, object]) -> int:
    views = state.get("views")
    return len(views) if isinstance(views, dict) else 0


def _skipped(state: Mapping[str, object]) -> dict[str, str]:
    skipped = state.get("skipped")
    return {str(name): str(reason) for name, reason in skipped.items()} if isinstance(skipped, dict) else {}
