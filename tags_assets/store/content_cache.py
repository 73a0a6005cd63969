"""Answers by content: what was worked out or paid for once is not worked out or paid for again."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import sqlite3
import threading
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from tags_assets.errors import UserError
from tags_assets.store.durable import disk_errors, made_as_allowed
from tags_assets.store.sql import load_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

_REFUSED = "Change the folder's permissions, or name another with --home or TAGS_HOME."
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_FIXES = {
    sqlite3.SQLITE_FULL: "The disk is full: free some space, then run again. Nothing stored is lost.",
    sqlite3.SQLITE_READONLY: _REFUSED,
    sqlite3.SQLITE_CANTOPEN: _REFUSED,
    sqlite3.SQLITE_BUSY: "Another process has locked it for a minute: wait for it, or end it.",
}

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

_CHUNK = 5_000
_COLUMNS = "namespace text, key text, value blob not null, checksum blob, primary key (namespace, key)"
_GET = load_sql("cache/get")
_PUT = load_sql("cache/put")
_CONFIRM = "update entries set checksum = ? where namespace = ? and key = ? and checksum is null"
_IS_DAMAGED = "checksum is not checksum_of(cast(namespace as blob), cast(key as blob), value)"
_COUNT_DAMAGED = f"select count(*) from entries where checksum is not null and {_IS_DAMAGED}"
_DELETE_DAMAGED = f"delete from entries where checksum is not null and {_IS_DAMAGED}"


def checksum_of(*parts: object) -> bytes | None:
    """Return a short checksum over several values; None where one of them is not of the kind stored."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        if not isinstance(part, bytes):
            return None
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


class ContentCache:
    """Bytes by namespace and key, in one SQLite file that any number of processes and threads use at once.

    What `put_many` has returned for survives a kill of the process. (A power cut may take the last moments
    with it, and leaves the file whole.) Each entry has a checksum, which is compared when it is read: a
    damaged entry counts as missing, so that it is made anew, and a damaged file is set aside. Keys are hashes
    of content that the caller makes; everything that changes an answer belongs into the key or into the
    namespace: model, prompt's version, parameters.

    Parameters
    ----------
    path
        The file; it and its folder are created at the first use.

    Raises
    ------
    UserError
        From every method, where the disk refuses the file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder, ContentCache(Path(folder) / "answers.sqlite") as cache:
    ...     cache.put_many("embeddings-minilm-1", {"0a": b"1", "0b": b"2"})
    ...     cache.get_many("embeddings-minilm-1", ["0a", "0c"])
    {'0a': b'1'}
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"ContentCache({str(self.path)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def get_or_make(
        self, namespace: str, keys: Sequence[str], make: Callable[[list[int]], Iterable[bytes]]
    ) -> list[bytes]:
        """Return the value of each key, in order.

        Parameters
        ----------
        namespace, keys
            As for `get_many`.
        make
            Makes the values that are not there, given their places in `keys`; each key is made once.
        """
        known = self.get_many(namespace, keys)
        missing = {key: place for place, key in enumerate(keys) if key not in known}
        if missing:
            fresh = dict(zip(missing, make(list(missing.values())), strict=True))
            self.put_many(namespace, fresh)
            known |= fresh
        return [known[key] for key in keys]

    def get_many(self, namespace: str, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the values of those keys that are there and whole."""
        return self._retried(lambda connection: self._get(connection, namespace, list(keys)))

    def _get(self, connection: sqlite3.Connection, namespace: str, keys: list[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        unchecked: list[tuple[bytes | None, str, str]] = []
        damaged = 0
        for chunk in _chunks(keys):
            for key, value, checksum in connection.execute(_GET, (namespace, json.dumps(chunk))):
                whole = checksum_of(namespace.encode(), key.encode("utf-8", "surrogatepass"), value)
                if whole is None or checksum not in (None, whole):
                    damaged += 1
                    continue
                found[key] = value
                if checksum is None:  # kept before there were checksums
                    unchecked.append((whole, namespace, key))
        if unchecked:
            with suppress(sqlite3.OperationalError), connection:
                connection.executemany(_CONFIRM, unchecked)
        if damaged:
            _log.warning("%s: %d damaged entries are rebuilt", self.path, damaged)
        return found

    def put_many(self, namespace: str, entries: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> None:
        """Store values, over older ones; other processes see them at once, in chunks."""
        pairs = entries.items() if hasattr(entries, "items") else entries
        for chunk in _chunks(pairs):
            rows = [
                (namespace, key, value, checksum_of(namespace.encode(), key.encode("utf-8"), value))
                for key, value in chunk
            ]
            self._retried(lambda connection, rows=rows: self._put(connection, rows))  # type: ignore[misc]

    @staticmethod
    def _put(connection: sqlite3.Connection, rows: list[tuple[object, ...]]) -> None:
        with connection:
            connection.executemany(_PUT, rows)

    def damaged(self) -> int:
        """Count the entries that do not fit their checksum; a file that SQLite cannot read counts as one."""
        return self._checked(_COUNT_DAMAGED)

    def remove_damaged(self) -> None:
        """Remove the entries that do not fit their checksum."""
        if self._checked(_COUNT_DAMAGED):
            self._checked(_DELETE_DAMAGED)

    def _checked(self, statement: str) -> int:
        if not self.path.exists():
            return 0
        with suppress(_Unreadable), self._connected() as connection, connection:
            if connection.execute("pragma quick_check(1)").fetchone() == ("ok",):
                counted = connection.execute(statement).fetchone()
                return int(counted[0]) if counted else 0
        if statement == _DELETE_DAMAGED:
            self.close()
            self._set_aside()
        return 1

    def counts(self) -> dict[str, int]:
        """Return the number of entries by namespace."""
        if not self.path.exists():
            return {}
        with self._connected() as connection:
            return dict(
                connection.execute(
                    "select namespace, count(*) from entries group by namespace order by namespace"
                )
            )

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def _retried(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do it; where the file turns out to be damaged, set it aside and do it with a new one."""
        try:
            with self._connected() as connection:
                return work(connection)
        except _Unreadable:
            self._set_aside()
            with self._connected() as connection:
                return work(connection)

    def _set_aside(self) -> None:
        away = f"{self.path.name}.damaged-{secrets.token_hex(4)}"
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).replace(self.path.with_name(away + suffix))
        _log.warning("%s: damaged; moved to %s and rebuilt", self.path, away)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with disk_errors(self.path.parent):
                    yield self._connect()
            except sqlite3.DatabaseError as error:
                self.close()
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                    raise _Unreadable(str(error)) from error
                raise self._explained(error) from error

    def _connect(self) -> sqlite3.Connection:
        if self._process != os.getpid():  # a fork: SQLite's connections must not cross it
            self._connection, self._process = None, os.getpid()
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # One connection for all threads, under the lock; 60 s for other processes' short transactions to
            # pass.
            made_as_allowed(self.path)
            connection = sqlite3.connect(self.path, timeout=60.0, check_same_thread=False)
            try:
                connection.execute("pragma journal_mode = wal")
                connection.execute("pragma synchronous = normal")
                connection.create_function("checksum_of", 3, checksum_of, deterministic=True)
                with connection:
                    connection.execute(f"create table if not exists entries ({_COLUMNS})")
                add_column(connection, "entries", "checksum blob")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _explained(self, error: sqlite3.DatabaseError) -> UserError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        fix = _FIXES.get(code, "If this persists, delete the file.")
        return UserError(f"the cache cannot be used: {error}", where=str(self.path), fix=fix)


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """The file is no database any more."""


def add_column(connection: sqlite3.Connection, table: str, added: str) -> None:
    """Add to a table of an older home a column that it lacks."""
    known = {row[1] for row in connection.execute(f"pragma table_info({table})")}
    if added.split(maxsplit=1)[0] not in known:
        with suppress(sqlite3.OperationalError):  # another process was faster
            connection.execute(f"alter table {table} add column {added}")


def _chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
