"""In-memory DuckDB instances, to which artifacts are attached for as long as they are read or written.

An instance costs some 20 ms to start and 2 ms to use again, so idle ones are kept. An idle instance has
nothing attached: it blocks nobody.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb

from tags_assets.store.durable import total_bytes
from tags_assets.store.layout import quote_name, quote_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import FrameType

Connect = Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]]
"""Opens a fresh in-memory DuckDB instance and closes it at the end of the block."""

_IDLE_AT_MOST = 2
_LARGE_BYTES = 64 << 20


def connect_in_memory() -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    """Open an in-memory DuckDB instance without Dagster's resource."""
    return closing(duckdb.connect(":memory:"))


@contextmanager
def interruptible(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let Ctrl-C stop the queries of a block at once.

    DuckDB (2.0.0) notices the signal in the calling thread, but then waits until its other threads have
    finished their part of the query, unless the connection is interrupted.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        connection.interrupt()
        handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


@dataclass
class _Instance:
    connection: duckdb.DuckDBPyConnection
    context: AbstractContextManager[duckdb.DuckDBPyConnection]
    is_bloated: bool = False

    def close(self) -> None:
        with suppress(duckdb.Error):
            # DuckDBResource closes at the end of its block, but not where the block raised: so it always ends
            # well here.
            self.context.__exit__(None, None, None)


class Connections:
    """A few reusable in-memory instances; each is used by one thread at a time.

    Parameters
    ----------
    connect
        Opens an instance.
    memory_limit
        DuckDB's limit for an instance, as ``1GB``; None leaves DuckDB's own (80% of the machine).
    spill
        How the folder is called into which an instance puts what exceeds the limit, up to the instance's own
        suffix. DuckDB creates it when it must, and removes it.
    """

    def __init__(self, connect: Connect, *, memory_limit: str | None, spill: Path) -> None:
        self.connect, self._memory_limit, self._spill = connect, memory_limit, spill
        self._idle: list[_Instance] = []
        self._lock = threading.Lock()
        self._process = os.getpid()

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection with nothing attached and no temporary objects."""
        with self._borrowed() as instance, closing(instance.connection.cursor()) as cursor:
            yield cursor

    @contextmanager
    def attached(
        self, files: Mapping[str, Path], *, read_only: bool = True, options: str = ""
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a connection with DuckDB files attached under the given names; they are detached at the end.

        Unlike `read_duckdb`, which hands out the rows of a larger table in no particular order, an attached
        table is read in the order in which it was written.
        """
        mode = ", ".join(part for part in ("read_only" if read_only else "", options) if part)
        with self._borrowed() as instance, closing(instance.connection.cursor()) as cursor:
            for name, path in files.items():
                attach = f"attach {quote_text(str(path))} as {quote_name(name)}"
                cursor.execute(f"{attach} ({mode})" if mode else attach)
            yield cursor
            for name in files:
                cursor.execute(f"detach {quote_name(name)}")
            # Its memory would stay with the process as long as the instance does.
            instance.is_bloated = total_bytes(files.values()) > _LARGE_BYTES

    def close(self) -> None:
        """Close the idle instances."""
        with self._lock:
            idle, self._idle = self._idle, []
        if self._process == os.getpid():
            for instance in idle:
                instance.close()

    @contextmanager
    def _borrowed(self) -> Iterator[_Instance]:
        instance = self._take()
        try:
            yield instance
        except BaseException:
            instance.close()  # whatever state the error left in it
            raise
        self._give_back(instance)

    def _take(self) -> _Instance:
        with self._lock:
            if self._process != os.getpid():  # a fork: DuckDB's threads stayed with the parent
                self._idle, self._process = [], os.getpid()
            if self._idle:
                return self._idle.pop()
        context = self.connect()
        instance = _Instance(context.__enter__(), context)
        if self._memory_limit is not None:
            instance.connection.execute(f"set memory_limit = {quote_text(self._memory_limit)}")
        instance.connection.execute(
            "set global timezone = 'UTC'"
        )  # instants come back alike on every machine
        spill = f"{self._spill}{os.getpid()}-{uuid4().hex[:12]}"
        instance.connection.execute(f"set temp_directory = {quote_text(spill)}")
        return instance

    def _give_back(self, instance: _Instance) -> None:
        with self._lock:
            if not instance.is_bloated and len(self._idle) < _IDLE_AT_MOST and self._process == os.getpid():
                self._idle.append(instance)
                return
        instance.close()
