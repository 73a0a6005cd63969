"""One thread that writes to a SQLite file, whatever number of coroutines and threads want to."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING, TypeVar

from tags_assets.errors import UserError
from tags_assets.store.durable import made_as_allowed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Operation = Callable[[sqlite3.Connection], object]

T = TypeVar("T")

BUSY_TIMEOUT_S = 60.0
_MAX_GROUP = 256


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for this process."""
    made_as_allowed(path)
    db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    db.execute("pragma journal_mode = wal")
    # A killed process loses nothing with NORMAL; only a power cut may cost the last commits.
    db.execute("pragma synchronous = normal")
    return db


class Writer:
    """Commits writes in groups.

    Whatever is waiting is committed in one transaction, so a commit is never waited for longer than the one
    before it takes; a caller goes on only when its own write is committed. An operation is a function of
    the connection.

    Parameters
    ----------
    path
        The file, with its tables made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[tuple[Operation, _Promise] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name="answer-cache", daemon=True)
        self._thread.start()

    async def write(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Run an operation; comes back when it is committed."""
        promise = _Promise(asyncio.get_running_loop())
        self._queue.put((operation, promise))
        return await promise.future  # type: ignore[return-value]

    def write_now(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """`write` for callers without an event loop."""
        promise = _Promise(None)
        self._queue.put((operation, promise))
        promise.done.wait()
        if promise.error is not None:
            raise promise.error
        return promise.result  # type: ignore[return-value]

    def write_later(self, operation: Operation) -> None:
        """`write` for callers that can't wait, as one that is being cancelled."""
        self._queue.put((operation, _Promise(None)))

    def close(self) -> None:
        """Write what is waiting, and end."""
        self._queue.put(None)
        self._thread.join()

    def _loop(self) -> None:
        try:
            db = connect(self._path)
        except sqlite3.Error as error:
            self._refuse_all(error)
            return
        with closing(db):
            while True:
                group = [self._queue.get()]
                with suppress(queue.Empty):
                    while len(group) < _MAX_GROUP:
                        group.append(self._queue.get_nowait())
                work = [item for item in group if item is not None]
                self._commit(db, work)
                if len(work) < len(group):
                    self._refuse_all(sqlite3.ProgrammingError("the answer cache is closed"), drain=True)
                    return

    def _commit(self, db: sqlite3.Connection, work: list[tuple[Operation, _Promise]]) -> None:
        if not work:
            return
        try:
            db.execute("begin immediate")
            results = [operation(db) for operation, _ in work]
            db.execute("commit")
        except Exception as error:  # noqa: BLE001  # whoever waits for the write gets the error
            with suppress(sqlite3.Error):
                db.execute("rollback")
            if len(work) > 1:
                # One bad write must not take the others of its group with it.
                for item in work:
                    self._commit(db, [item])
            else:
                work[0][1].settle(None, _as_user_error(error, self._path))
            return
        _settle_all([promise for _, promise in work], results)

    def _refuse_all(self, error: Exception, *, drain: bool = False) -> None:
        while True:
            try:
                item = self._queue.get(block=not drain)
            except queue.Empty:
                return
            if item is None:
                return
            item[1].settle(None, _as_user_error(error, self._path))


class _Promise:
    """The result of a write, for a coroutine or for a waiting thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.loop = loop
        self.result: object = None
        self.error: Exception | None = None
        if loop is None:
            self.done = threading.Event()
        else:
            self.future: asyncio.Future[object] = loop.create_future()

    def settle(self, result: object, error: Exception | None) -> None:
        if self.loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                self.loop.call_soon_threadsafe(self.fulfil, result, error)
            return
        self.result, self.error = result, error
        self.done.set()

    def fulfil(self, result: object, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


def _settle_all(promises: list[_Promise], results: list[object]) -> None:
    """Wake each loop once for all of its results."""
    per_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Promise, object]]] = {}
    for promise, result in zip(promises, results, strict=True):
        if promise.loop is None:
            promise.settle(result, None)
        else:
            per_loop.setdefault(promise.loop, []).append((promise, result))
    for loop, settled in per_loop.items():
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_fulfil_all, settled)


def _fulfil_all(settled: list[tuple[_Promise, object]]) -> None:
    for promise, result in settled:
        promise.fulfil(result, None)


def _as_user_error(error: Exception, path: Path) -> Exception:
    if isinstance(error, sqlite3.OperationalError | sqlite3.DatabaseError):
        return UserError(
            f"the answer cache can't be written ({error})",
            where=str(path),
            fix="Free disk space or give another place; answers kept so far are safe.",
        )
    return error
