"""The store of artifact versions: immutable files, and a pointer to the current one of each."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from tags_assets.errors import NotFoundError, UserError
from tags_assets.store import artifact_file
from tags_assets.store.connections import Connections, connect_in_memory
from tags_assets.store.durable import disk_errors, open_to_group, scratch_file, sync, write_whole
from tags_assets.store.layout import VERSION_TABLE, Layout, check_identifier, resolve_home
from tags_assets.store.leases import leased, removed_meanwhile, turn
from tags_assets.store.lock import locked
from tags_assets.store.mark import mark_home
from tags_assets.store.shelf import Shelf
from tags_assets.store.sql import is_sql_name, load_sql
from tags_assets.store.versions import (
    ArtifactVersion,
    VersionRecord,
    header_bytes,
    version_from_header,
    version_row,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import polars as pl

    from tags_assets.store.artifact_file import Rows, Vectors
    from tags_assets.store.connections import Connect
    from tags_assets.store.versions import StoredTable

_log = logging.getLogger(__name__)


class ArtifactStore:
    """Immutable versions of assets below one home; any number of processes may read and write at once.

    A version is one DuckDB file, written out of sight and renamed into place, never touched again. What is
    current is said by a small file of its own, so that going back to an older version rewrites nothing.
    Nothing is created until something is written: a read-only home can be read.

    Parameters
    ----------
    home
        Folder of everything; need not exist.
    connect
        Opens an in-memory DuckDB instance (`Run.store` gives dagster-duckdb's).
    memory_limit
        DuckDB's memory limit for one such instance; more is spilled to disk below the home. None: DuckDB's
        own.

    Raises
    ------
    UserError
        From every method, where the disk is full, the home refuses writes, or an artifact is damaged (which
        is then moved to ``HOME/quarantine``).
    """

    def __init__(
        self, home: Path | str, *, connect: Connect = connect_in_memory, memory_limit: str | None = "512MB"
    ) -> None:
        self.layout = Layout(resolve_home(home))
        open_to_group(self.layout.home)
        self.connections = Connections(connect, memory_limit=memory_limit, spill=self.layout.spill)
        self._shelf = Shelf(self.layout, self.connections)

    @property
    def home(self) -> Path:
        return self.layout.home

    def __repr__(self) -> str:
        return f"ArtifactStore({str(self.home)!r})"

    # What there is

    def find(self, asset: str, data_version: str, partition: str | None = None) -> ArtifactVersion | None:
        """Return a version if it exists; a damaged one goes to quarantine and counts as absent."""
        return self._find(self.layout.file(asset, partition, data_version))

    def current(self, asset: str, partition: str | None = None) -> ArtifactVersion | None:
        """Return the current version: the one pointed to, else the newest on disk; None if there is none or
        it was retired.

        Raises
        ------
        UserError
            If the current version turns out to be damaged. It is moved to quarantine, and the newest whole
            one is current from then on.
        """
        pointed = self._pointed(asset, partition)
        if pointed is not None:
            if "retired" in pointed:
                return None
            with suppress(ValueError, KeyError):
                version = self._shelf.load(self.layout.file(asset, partition, str(pointed["data_version"])))
                if version is not None:
                    return version
        return max(self.versions(asset, partition), key=_age, default=None)

    def versions(self, asset: str, partition: str | None = None) -> list[ArtifactVersion]:
        """Every whole version of an asset (of one partition), oldest first."""
        folder = self.layout.folder(asset, partition)
        names = self.layout.data_versions(asset, partition)
        found = (self._find(folder / f"{name}.duckdb") for name in names)
        return sorted((version for version in found if version is not None), key=_age)

    def inspect(
        self, asset: str, data_version: str, partition: str | None = None, *, deep: bool = False
    ) -> ArtifactVersion | None:
        """As `find`, but a damaged version raises; `deep` compares the whole file with its checksum.

        Raises
        ------
        UserError
            If it is damaged. It is moved to quarantine.
        """
        return self._shelf.inspect(self.layout.file(asset, partition, data_version), deep=deep)

    def locate(self, asset: str, data_version: str) -> ArtifactVersion | None:
        """Return a version whatever its partition: fingerprints tell partitions apart."""
        for partition in self.layout.partitions(asset):
            version = self.find(asset, data_version, partition)
            if version is not None:
                return version
        return None

    def assets(self) -> list[str]:
        """Names of the assets that have versions here or had them once."""
        return self.layout.assets()

    def partitions(self, asset: str) -> list[str | None]:
        """Partitions of an asset that have a current version; ``[None]`` for an unpartitioned asset."""
        return [
            partition
            for partition in self.layout.partitions(asset)
            if self.current(asset, partition) is not None
        ]

    def snapshot(self) -> dict[tuple[str, str | None], ArtifactVersion]:
        """Return the current version of everything; where one is damaged, the newest whole one counts."""
        found: dict[tuple[str, str | None], ArtifactVersion] = {}
        for asset in self.assets():
            for partition in self.layout.partitions(asset):
                try:
                    version = self.current(asset, partition)
                except UserError as error:
                    _log.warning("%s", error)
                    version = self.current(asset, partition)
                if version is not None:
                    found[version.key] = version
        return found

    # Writing

    def write(
        self,
        asset: str,
        data_version: str,
        tables: Rows | Mapping[str, Rows],
        *,
        partition: str | None = None,
        record: VersionRecord | None = None,
        make_current: bool = True,
    ) -> ArtifactVersion:
        """Write a version; where it exists already (another process may have been faster), return that one.

        Parameters
        ----------
        asset, data_version, partition
            What it is. The data version is the caller's fingerprint of the inputs.
        tables
            The ``data`` table, or a mapping of table names to tables with ``data`` among them. A table is a
            DataFrame, a LazyFrame or an iterable of DataFrames with one schema; the last two are never whole
            in memory. They are computed while an in-memory connection is held, which blocks nobody.
        record
            Code version, configuration, upstream versions and figures to keep with it.
        make_current
            Whether it becomes the current version.

        Raises
        ------
        TypeError, ValueError
            If the tables cannot be stored as they are: see `artifact_file.storable`.
        """
        named = tables if isinstance(tables, Mapping) else {"data": tables}
        if "data" not in named or "history" in named or VERSION_TABLE in named:
            raise ValueError(
                f"{asset}: an artifact has a table data and none called history: {sorted(named)}"
            )
        version = self.find(asset, data_version, partition)
        if version is None:
            with disk_errors(self.home):
                version = self._write(asset, data_version, named, partition, record or VersionRecord())
        if make_current:
            self.set_current(version)
        return version

    def set_current(self, version: ArtifactVersion) -> None:
        """Make a version, an older one as well, the current one of its asset and partition.

        It is a `UserError` if it was removed meanwhile.
        """
        with disk_errors(self.home):
            pointed = self._pointed(*version.key)
            if pointed is not None and pointed.get("data_version") == version.data_version:
                return
            # A removal holds this lock too: it sees the pointer, or we see that the version is gone.
            with locked(self.layout.commit_lock):
                if not version.path.exists():
                    raise removed_meanwhile(version)
                self._point(*version.key, {"data_version": version.data_version})

    def withhold(self, version: ArtifactVersion, why: str) -> None:
        """Keep a version from being current: what was current stays so, or nothing is; see `require`."""
        with disk_errors(self.home), locked(self.layout.commit_lock):
            before = self._before(version)
            pointed = (
                {"retired": True, "why": why} if before is None else {"data_version": before.data_version}
            )
            self._point(*version.key, pointed)

    def _before(self, version: ArtifactVersion) -> ArtifactVersion | None:
        current = self.current(*version.key)
        return None if current is None or current.data_version == version.data_version else current

    def using(self, versions: Iterable[ArtifactVersion]) -> AbstractContextManager[None]:
        """Keep versions from being pruned for the time of a block: see `leases.leased`."""
        return leased(self.layout, versions)

    @contextmanager
    def making(self, asset: str, data_version: str, *, waiting: Callable[[], None]) -> Iterator[None]:
        """Let one process at a time make a version; look for it again inside: see `leases.turn`."""
        with disk_errors(self.home):
            self.layout.scratch.mkdir(parents=True, exist_ok=True)
        with turn(self.layout, asset, data_version, waiting=waiting):
            yield

    def remove_partition(self, asset: str, partition: str, *, keep_versions: bool = True) -> None:
        """Take a partition out of what is current; nothing happens where there is none.

        Its versions stay readable (and findable: a target that comes back is reused) until retention removes
        them, unless `keep_versions` is false. Publish afterwards.
        """
        folder = self.layout.folder(asset, partition)
        if not folder.is_dir():
            return
        with disk_errors(self.home), locked(self.layout.commit_lock):
            self._point(asset, partition, {"retired": True})
            if not keep_versions:
                for name in self.layout.data_versions(asset, partition):
                    self.layout.file(asset, partition, name).unlink(missing_ok=True)
                    self.layout.header(asset, partition, name).unlink(missing_ok=True)
                self.layout.pointer(asset, partition).unlink(missing_ok=True)
                with suppress(OSError):  # somebody wrote a new version meanwhile
                    folder.rmdir()

    # Reading

    def read(
        self,
        asset: str,
        table: str = "data",
        *,
        partition: str | None = None,
        data_version: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Read a table of a version (the current one unless said), in the order in which it was written.

        Raises
        ------
        UserError
            If there is no such version, table or column.
        """
        return self.read_version(self.require(asset, data_version, partition), table, columns=columns)

    def read_version(
        self, version: ArtifactVersion, table: str = "data", *, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Read a table of a version that is already in hand; as `read`."""
        self._check(version, table, columns)
        with self._shelf.reading(version):
            return artifact_file.read_table(self.connections, version.path, table, columns)

    def read_batches(
        self,
        version: ArtifactVersion,
        table: str = "data",
        *,
        columns: Sequence[str] | None = None,
        rows: int = 65_536,
    ) -> Iterator[pl.DataFrame]:
        """Read a table in pieces of about `rows` rows, in order, never whole in memory."""
        self._check(version, table, columns)
        with self._shelf.reading(version):
            yield from artifact_file.read_batches(self.connections, version.path, table, columns, rows)

    def read_vectors(
        self,
        asset: str,
        table: str = "data",
        *,
        id_column: str = "instance_id",
        vector_column: str = "vector",
        partition: str | None = None,
        data_version: str | None = None,
    ) -> Vectors:
        """Read embeddings as ids and one float32 matrix (n_rows, n_dimensions), in the order of the table.

        Raises
        ------
        ValueError
            If vectors are missing or differ in length.
        UserError
            As `read`.
        """
        version = self.require(asset, data_version, partition)
        self._check(version, table, (id_column, vector_column))
        with self._shelf.reading(version):
            return artifact_file.read_vectors(
                self.connections,
                version.path,
                table,
                rows=version.tables[table].rows,
                id_column=id_column,
                vector_column=vector_column,
            )

    def query(
        self,
        sql: str,
        versions: Mapping[str, ArtifactVersion | Sequence[ArtifactVersion]],
        params: Mapping[str, object] | Sequence[object] | None = None,
        *,
        frames: Mapping[str, pl.DataFrame] | None = None,
    ) -> pl.DataFrame:
        """Run one SQL query over artifacts of fixed versions: it sees one version of the world.

        Parameters
        ----------
        sql
            A select statement, or the name of a file below ``sql/``.
        versions
            Alias to a version: ``data`` is the table `alias` in the query, an auxiliary table is
            ``alias_<table>``. Several versions under one alias (partitions, say) are read as one table,
            columns matched by name.
        params
            Values for ``$name`` or ``?`` in the query.
        frames
            Further tables, from memory.
        """
        sources = {
            alias: [of] if isinstance(of, ArtifactVersion) else list(of) for alias, of in versions.items()
        }
        files: dict[str, Path] = {}
        for version in (version for group in sources.values() for version in group):
            files.setdefault(artifact_file.database_name(version), version.path)
        with self._shelf.reading(*(version for group in sources.values() for version in group)):  # noqa: SIM117
            with self.connections.attached(files) as cursor:
                for alias, group in sources.items():
                    artifact_file.define_views(cursor, check_identifier("alias", alias), group)
                for name, frame in (frames or {}).items():
                    cursor.register(check_identifier("alias", name), frame)
                return artifact_file.fetch(cursor, load_sql(sql) if is_sql_name(sql) else sql, params)

    def require(
        self, asset: str, data_version: str | None = None, partition: str | None = None
    ) -> ArtifactVersion:
        """Return a version (the current one unless said), or say what to do where there is none.

        Raises
        ------
        UserError
            If it does not exist.
        """
        name = asset if partition is None else f"{asset}[{partition}]"
        if data_version is not None:
            version = self.find(asset, data_version, partition)
            if version is None:
                known = self.layout.data_versions(asset, partition)
                raise UserError.unknown(f"version of {name}", data_version, known, where=str(self.home))
            return version
        version = self.current(asset, partition)
        if version is None:
            withheld = (self._pointed(asset, partition) or {}).get("why")
            if withheld:
                raise UserError(f"{name} is withheld: {withheld}", where=str(self.home))
            raise NotFoundError(
                f"{name} has not been made yet", where=str(self.home), fix="Run: tags-assets select DATA."
            )
        return version

    def close(self) -> None:
        """Close idle connections."""
        self.connections.close()

    # Inside

    def _write(
        self,
        asset: str,
        data_version: str,
        tables: Mapping[str, Rows],
        partition: str | None,
        record: VersionRecord,
    ) -> ArtifactVersion:
        final = self.layout.file(asset, partition, data_version)
        header = self.layout.header(asset, partition, data_version)

        def describe(stored: Mapping[str, StoredTable]) -> Mapping[str, object]:
            created_at = self._next_moment(asset, partition)
            return version_row((asset, partition), data_version, created_at, record, stored)

        mark_home(self.home)
        with scratch_file(self.layout.scratch, ".duckdb") as beside:
            row = artifact_file.write_artifact(self.connections, beside, tables, describe)
            if beside.with_name(f"{beside.name}.wal").exists():
                raise OSError(f"DuckDB left a write-ahead log beside {beside}")
            sync(beside)
            content = header_bytes(
                row, file_bytes=beside.stat().st_size, file_digest=artifact_file.digest_file(beside)
            )
            with locked(self.layout.commit_lock):
                other = self.find(asset, data_version, partition)
                if other is not None:
                    return other
                final.parent.mkdir(parents=True, exist_ok=True)
                write_whole(header, content)
                beside.replace(final)
                sync(final.parent)
        return version_from_header(content, final)

    def _next_moment(self, asset: str, partition: str | None) -> datetime:
        """Return now, or just after the newest version where the clock went back."""
        newest = max((version.created_at for version in self.versions(asset, partition)), default=None)
        now = datetime.now(UTC)
        return now if newest is None else max(now, newest + timedelta(microseconds=1))

    def _find(self, path: Path) -> ArtifactVersion | None:
        try:
            return self._shelf.load(path)
        except UserError as error:
            _log.warning("%s", error)
            return None

    def _point(self, asset: str, partition: str | None, pointed: Mapping[str, object]) -> None:
        pointer = self.layout.pointer(asset, partition)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        write_whole(pointer, orjson.dumps(pointed))

    def _pointed(self, asset: str, partition: str | None) -> dict[str, object] | None:
        try:
            with disk_errors(self.home):
                pointed = orjson.loads(self.layout.pointer(asset, partition).read_bytes())
        except (FileNotFoundError, NotADirectoryError, orjson.JSONDecodeError):
            return None
        return pointed if isinstance(pointed, dict) else None

    def _check(self, version: ArtifactVersion, table: str, columns: Sequence[str] | None) -> None:
        if table not in version.tables:
            raise UserError.unknown(f"table of {version}", table, version.tables)
        known = [name for name, _ in version.tables[table].columns]
        for column in columns or ():
            if column not in known:
                raise UserError.unknown(f"column of {version} ({table})", column, known)


def _age(version: ArtifactVersion) -> tuple[datetime, str]:
    return version.created_at, version.data_version
