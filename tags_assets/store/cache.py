"""Answers by content: what was worked out or paid for once is not worked out or paid for again."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from tags_assets.errors import UserError
from tags_assets.store.durable import disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import TracebackType

_REFUSED = "Change the folder's permissions, or name another with --home or TAGS_HOME."
_DAMAGED = "Save what is left with `sqlite3 FILE .recover`, or delete the file to start anew."
_MENDS = {
    sqlite3.SQLITE_FULL: "The disk is full: free some space, then run again; what was stored is not lost.",
    sqlite3.SQLITE_READONLY: _REFUSED,
    sqlite3.SQLITE_CANTOPEN: _REFUSED,
    sqlite3.SQLITE_BUSY: "Another process held it for a minute: end that one or wait for it.",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}

_T = TypeVar("_T")

_CHUNK = 5_000
_COLUMNS = "namespace text, key text, value blob not null, primary key (namespace, key)"
_GET = "select key, value from entries where namespace = ? and key in (select value from json_each(?))"
_PUT = "insert into entries values (?, ?, ?) on conflict do update set value = excluded.value"
_DELETE = "delete from entries where namespace = ? and key in (select value from json_each(?))"


class ContentCache:
    """Bytes by namespace and key, in one SQLite file that any number of processes and threads use at once.

    What `put_many` has returned for survives a kill of the process. (A power cut may take the last moments
    with it, and leaves the file whole.) Keys are hashes of content that the caller makes; everything that
    changes an answer belongs into the key or into the namespace: model, prompt's version, parameters.

    Parameters
    ----------
    path
        The file; it and its folder are created at the first use.

    Raises
    ------
    UserError
        From every method, where the file is damaged or the disk refuses it.

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

    def get_many(self, namespace: str, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the values of those keys that are there."""
        found: dict[str, bytes] = {}
        with self._connected() as connection:
            for chunk in _chunks(keys):
                found.update(connection.execute(_GET, (namespace, json.dumps(chunk))))
        return found

    def put_many(self, namespace: str, entries: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> None:
        """Store values, over older ones; other processes see them at once, in chunks."""
        pairs = entries.items() if hasattr(entries, "items") else entries
        with self._connected() as connection:
            for chunk in _chunks(pairs):
                with connection:
                    connection.executemany(_PUT, ((namespace, key, value) for key, value in chunk))

    def delete_many(self, namespace: str, keys: Iterable[str]) -> None:
        """Forget the values of these keys."""
        with self._connected() as connection:
            for chunk in _chunks(keys):
                with connection:
                    connection.execute(_DELETE, (namespace, json.dumps(chunk)))

    def clear(self, namespace: str) -> None:
        """Forget a namespace."""
        with self._connected() as connection, connection:
            connection.execute("delete from entries where namespace = ?", (namespace,))

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

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with disk_errors(self.path.parent):
                    yield self._connect()
            except sqlite3.DatabaseError as error:
                self.close()
                raise self._explained(error) from error

    def _connect(self) -> sqlite3.Connection:
        if self._process != os.getpid():  # a fork: SQLite's connections must not cross it
            self._connection, self._process = None, os.getpid()
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # One connection for all threads, under the lock; 60 s for other processes' short transactions to
            # pass.
            connection = sqlite3.connect(self.path, timeout=60.0, check_same_thread=False)
            try:
                connection.execute("pragma journal_mode = wal")
                connection.execute("pragma synchronous = normal")
                with connection:
                    connection.execute(f"create table if not exists entries ({_COLUMNS})")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _explained(self, error: sqlite3.DatabaseError) -> UserError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        mend = _MENDS.get(code, "Delete the file to start anew if this stays.")
        return UserError(f"the cache cannot be used: {error}", where=str(self.path), mend=mend)


def _chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
