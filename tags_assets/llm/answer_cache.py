"""Answers kept in one SQLite file, shared by all runs and processes, so that none is paid for twice.

Every call is *claimed* before it is made, and the claim is settled in the same transaction that keeps the
answer. So two processes never ask the same thing at once, a spending cap holds over all of them together, and
after ``kill -9`` exactly the calls that were in flight are unsettled: they count as paid, at most, and are
asked again.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import psutil

from tags_assets.errors import UserError
from tags_assets.llm.writer import Writer, connect
from tags_assets.store.content_cache import add_column, checksum_of
from tags_assets.store.sql import load_sql
from tags_assets.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")

ANSWERS = "answers.sqlite"
"""Name of the file in a home's cache folder."""

BEAT_S = 5.0
"""Seconds between two heartbeats of a process with calls in flight."""

STALE_S = 60.0
"""Seconds without a heartbeat after which a claim expires."""

_KEYS_PER_QUERY = 900
_CONFIRM = "update {} set checksum = ? where key = ? and checksum is null"


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer as the model gave it."""

    content: str
    finish: str
    cut: bool
    prompt_tokens: int
    completion_tokens: int

    def checksum(self, key: bytes) -> bytes | None:
        """Return the checksum of the answer under its key."""
        facts = (self.finish, int(self.cut), self.prompt_tokens, self.completion_tokens)
        return checksum_of(key, str(self.content).encode("utf-8", "surrogatepass"), repr(facts).encode())


def kept_answer(key: bytes, answer: Stored) -> tuple[object, ...]:
    """Lay an answer out as the row of ``answers`` that ``sql/llm/keep.sql`` writes."""
    cells = (answer.content, answer.finish, int(answer.cut), answer.prompt_tokens, answer.completion_tokens)
    return (key, *cells, time.time(), answer.checksum(key))


def _damaged(number: int, table: str, path: Path) -> UserError:
    """Build the error for what was paid for and is damaged."""
    kind = {"answers": "stored answer", "vectors": "stored vector"}[table]
    return UserError(
        f"{counted(number, kind)} of a language model {'is' if number == 1 else 'are'} damaged",
        where=str(path),
        fix="Run `tags-assets repair --deep` to forget what is damaged; the next run asks for it, and pays "
        "for it, again.",
    )


@dataclass(frozen=True, slots=True)
class Granted:
    """The call may be made."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The call is under way already, here or in another process."""


@dataclass(frozen=True, slots=True)
class OverCap:
    """The call might exceed the spending cap."""

    spent: float
    reserved: float


@dataclass(frozen=True, slots=True)
class Account:
    """Whose money is spent, and how much of it at most.

    ``cap`` is None where nothing limits it.
    """

    endpoint: str
    model: str
    cap: float | None = None
    window_h: float = 24.0


@dataclass(frozen=True, slots=True)
class Payment:
    """What calls came to. ``presumed_cost``: of calls whose reply was lost, at most."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float = 0.0
    presumed_cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Spending:
    """What an account's calls came to within its window."""

    paid: float
    presumed: float
    reserved: float
    calls: int
    prompt_tokens: int
    completion_tokens: int


def _place() -> str:
    """Name this machine, and the container within it, so that a process id means something."""
    with suppress(OSError):
        return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def _owner() -> str:
    process = psutil.Process()
    return f"{_place()}|{process.pid}|{process.create_time():.2f}|{os.urandom(4).hex()}"


class AnswerCache:
    """The file. Methods that change it give an operation for `write`, `write_now` or `write_later`.

    Parameters
    ----------
    path
        The file; made where absent. It must lie on a local disk: SQLite's write-ahead log needs shared
        memory.

    Raises
    ------
    UserError
        Where the file can't be opened or is not an answer cache.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.owner = _owner()
        self._reading = threading.Lock()
        self._closed = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._reader = connect(self.path)
            # A damaged text must come back, to be told from its checksum, and not as an error of SQLite's.
            self._reader.text_factory = lambda text: text.decode(errors="replace")
            self._reader.executescript(load_sql("llm/cache"))
            for table in ("answers", "vectors"):
                add_column(self._reader, table, "checksum blob")
        except (sqlite3.Error, OSError) as error:
            raise UserError(
                f"the answer cache can't be opened ({error})",
                where=str(self.path),
                fix="Choose another folder on a local disk, or move the file away if it is damaged.",
            ) from error
        self._writer = Writer(self.path)
        self.write_now(self.void_stale_claims)

    def close(self) -> None:
        """Write what is waiting and close the file."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        with self._reading:
            self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading

    @contextmanager
    def _reads(self) -> Iterator[None]:
        with self._reading:
            try:
                yield
            except sqlite3.DatabaseError as error:
                raise UserError(
                    f"the answer cache can't be read ({error})",
                    where=str(self.path),
                    fix="Save what is left with `sqlite3 FILE .recover`, or move the file away.",
                ) from error

    def known(self, keys: Sequence[bytes]) -> dict[bytes, Stored]:
        """Find the answers that are there."""
        rows = self._select(
            "select key, content, finish, cut, prompt_tokens, completion_tokens, checksum "
            "from answers where key in",
            keys,
        )
        found = {row[0]: Stored(row[1], row[2], bool(row[3]), row[4], row[5]) for row in rows}
        checks = {row[0]: (row[6], found[row[0]].checksum(row[0])) for row in rows}
        self._check("answers", checks)
        return found

    def failed(self, keys: Sequence[bytes]) -> dict[bytes, str]:
        """Find the reasons of those that failed for good."""
        return dict(self._select("select key, reason from failures where key in", keys))

    def known_vectors(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Find the vectors that are there, float32 little-endian."""
        rows = self._select("select key, vector, checksum from vectors where key in", keys)
        self._check("vectors", {key: (kept, checksum_of(key, vector)) for key, vector, kept in rows})
        return {key: vector for key, vector, _ in rows}

    def _check(self, table: str, checks: Mapping[bytes, tuple[bytes | None, bytes | None]]) -> None:
        """Compare checksums as they were kept and as they are now; one that was never kept is kept now.

        Raises
        ------
        UserError
            If something is damaged. It was paid for, so that it is not asked for again without a word.
        """
        damaged = sum(kept not in (None, now) for kept, now in checks.values())
        if damaged:
            raise _damaged(damaged, table, self.path)
        new = [(now, key) for key, (kept, now) in checks.items() if kept is None]
        if new:
            self.write_later(lambda db: db.executemany(_CONFIRM.format(table), new))

    def damaged(self) -> dict[str, list[bytes]]:
        """Find the keys of answers and vectors that do not fit their checksum, by table."""
        with self._reads():
            answers = self._reader.execute(
                "select key, content, finish, cut, prompt_tokens, completion_tokens, checksum "
                "from answers where checksum is not null"
            )
            found = {
                "answers": [
                    key
                    for key, content, finish, cut, pt, ct, kept in answers
                    if Stored(content, finish, bool(cut), pt, ct).checksum(key) != kept
                ]
            }
            vectors = self._reader.execute(
                "select key, vector, checksum from vectors where checksum is not null"
            )
            found["vectors"] = [key for key, vector, kept in vectors if checksum_of(key, vector) != kept]
        return found

    def remove_damaged(self) -> None:
        """Forget them, so that they are asked, and paid for, again."""
        found = self.damaged()

        def operation(db: sqlite3.Connection) -> None:
            for table, keys in found.items():
                db.executemany(f"delete from {table} where key = ?", [(key,) for key in keys])

        self.write_now(operation)

    def _select(self, query: str, keys: Sequence[bytes]) -> list[tuple[Any, ...]]:
        found = []
        with self._reads():
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                part = keys[start : start + _KEYS_PER_QUERY]
                found += self._reader.execute(f"{query} ({','.join('?' * len(part))})", part).fetchall()
        return found

    def read(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Read rows with a query of one's own."""
        with self._reads():
            return self._reader.execute(query, values).fetchall()

    def fact(self, account: Account, name: str) -> str | None:
        """Recall what was found out about a server."""
        with self._reads():
            row = self._reader.execute(
                "select value from servers where endpoint = ? and model = ? and name = ?",
                (account.endpoint, account.model, name),
            ).fetchone()
        return None if row is None else str(row[0])

    def spending(self, account: Account) -> Spending:
        """Sum up what was paid within the account's window, and what is reserved now."""
        since = _hour() - account.window_h
        with self._reads():
            sums = self._reader.execute(
                "select coalesce(sum(cost), 0), coalesce(sum(presumed_cost), 0), coalesce(sum(calls), 0), "
                "coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) "
                "from ledger where endpoint = ? and model = ? and hour >= ?",
                (account.endpoint, account.model, since),
            ).fetchone()
            _, reserved = self._reader.execute(
                load_sql("llm/spent"), {"endpoint": account.endpoint, "model": account.model, "since": since}
            ).fetchone()
        paid, presumed, calls, prompt_tokens, completion_tokens = sums
        return Spending(paid, presumed, reserved, calls, prompt_tokens, completion_tokens)

    # Writing: each method gives an operation for `write` or `write_now`

    def claim(
        self, key: bytes, account: Account, reserve: float, prompt_tokens: float
    ) -> Callable[[sqlite3.Connection], Stored | Granted | Elsewhere | OverCap]:
        """Ask to make a call that may cost ``reserve``.

        Granted, answered already, under way elsewhere, or over the cap.
        """

        def operation(db: sqlite3.Connection) -> Stored | Granted | Elsewhere | OverCap:
            row = db.execute(
                "select content, finish, cut, prompt_tokens, completion_tokens, checksum "
                "from answers where key = ?",
                (key,),
            ).fetchone()
            if row is not None:
                stored = Stored(row[0], row[1], bool(row[2]), row[3], row[4])
                if row[5] not in (None, stored.checksum(key)):
                    raise _damaged(1, "answers", self.path)
                return stored
            holder = db.execute("select owner, beat from claims where key = ?", (key,)).fetchone()
            if holder is not None:
                if self._alive(*holder):
                    return Elsewhere()
                self._void(db, key)
            if account.cap is not None:
                spent, reserved = db.execute(
                    load_sql("llm/spent"),
                    {
                        "endpoint": account.endpoint,
                        "model": account.model,
                        "since": _hour() - account.window_h,
                    },
                ).fetchone()
                if spent + reserved + reserve > account.cap:
                    return OverCap(spent, reserved)
            db.execute(
                "insert into claims values (?, ?, ?, ?, ?, ?, ?)",
                (key, self.owner, account.endpoint, account.model, reserve, prompt_tokens, time.time()),
            )
            return Granted()

        return operation

    def keep(
        self, key: bytes, account: Account, answer: Stored, cost: float
    ) -> Callable[[sqlite3.Connection], None]:
        """Keep an answer, settle its claim and enter its cost."""

        def operation(db: sqlite3.Connection) -> None:
            db.execute(load_sql("llm/keep"), kept_answer(key, answer))
            db.execute("delete from claims where key = ?", (key,))
            pay(db, account, Payment(1, answer.prompt_tokens, answer.completion_tokens, cost))

        return operation

    def keep_vectors(
        self, key: bytes, account: Account, vectors: dict[bytes, bytes], tokens: int, cost: float
    ) -> Callable[[sqlite3.Connection], None]:
        """Keep the vectors of a call, settle its claim and enter its cost."""

        def operation(db: sqlite3.Connection) -> None:
            rows = [(text, vector, checksum_of(text, vector)) for text, vector in vectors.items()]
            db.executemany("insert or replace into vectors (key, vector, checksum) values (?, ?, ?)", rows)
            db.execute("delete from claims where key = ?", (key,))
            pay(db, account, Payment(1, tokens, 0, cost))

        return operation

    def release(self, key: bytes, *, maybe_paid: bool) -> Callable[[sqlite3.Connection], None]:
        """Give a claim of this process back. A call that may have been charged counts as paid, at most."""

        def operation(db: sqlite3.Connection) -> None:
            holder = db.execute("select owner from claims where key = ?", (key,)).fetchone()
            if holder is None or holder[0] != self.owner:
                return
            if maybe_paid:
                self._void(db, key)
            else:
                db.execute("delete from claims where key = ?", (key,))

        return operation

    def fail(self, key: bytes, reason: str) -> Callable[[sqlite3.Connection], None]:
        """Record that a row failed for good."""

        def operation(db: sqlite3.Connection) -> None:
            db.execute("insert or replace into failures values (?, ?, ?)", (key, reason, time.time()))

        return operation

    def forgive(
        self, keys: Iterable[bytes], answers: Iterable[bytes]
    ) -> Callable[[sqlite3.Connection], None]:
        """Forget failures, and the unusable answers behind them, so that the rows are asked again."""
        failed, unusable = [(k,) for k in keys], [(k,) for k in answers]

        def operation(db: sqlite3.Connection) -> None:
            db.executemany("delete from failures where key = ?", failed)
            db.executemany("delete from answers where key = ?", unusable)

        return operation

    def learn(self, account: Account, name: str, value: str) -> Callable[[sqlite3.Connection], None]:
        """Remember what was found out about a server."""

        def operation(db: sqlite3.Connection) -> None:
            db.execute(
                "insert or replace into servers values (?, ?, ?, ?)",
                (account.endpoint, account.model, name, value),
            )

        return operation

    def beat(self, db: sqlite3.Connection) -> None:
        """Give a sign of life for all calls of this process."""
        db.execute("update claims set beat = ? where owner = ?", (time.time(), self.owner))

    async def write(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Run an operation in the writing thread; comes back when it is committed."""
        return await self._writer.write(operation)

    def write_now(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """`write` for callers without an event loop."""
        return self._writer.write_now(operation)

    def write_later(self, operation: Callable[[sqlite3.Connection], object]) -> None:
        """`write` for callers that can't wait, as one that is being cancelled."""
        self._writer.write_later(operation)

    # Claims of the dead

    def _alive(self, owner: str, beat: float) -> bool:
        if owner == self.owner:
            return True
        place, pid, started, _ = owner.split("|")
        if place == _place():
            try:
                same = abs(psutil.Process(int(pid)).create_time() - float(started)) < 0.1
            except psutil.Error:
                return False
            if not same:
                return False
        return time.time() - beat < STALE_S

    def void_stale_claims(self, db: sqlite3.Connection) -> None:
        """Settle the claims of processes that are gone."""
        owners = db.execute("select owner, max(beat) from claims group by owner").fetchall()
        for owner, beat in owners:
            if not self._alive(owner, beat):
                for (key,) in db.execute("select key from claims where owner = ?", (owner,)).fetchall():
                    self._void(db, key)

    @staticmethod
    def _void(db: sqlite3.Connection, key: bytes) -> None:
        row = db.execute(
            "select endpoint, model, reserved, prompt_tokens from claims where key = ?", (key,)
        ).fetchone()
        if row is not None:
            endpoint, model, reserved, prompt_tokens = row
            if prompt_tokens > 0:  # else it was a lock, not a call
                paid = Payment(1, round(prompt_tokens), 0, presumed_cost=reserved)
                pay(db, Account(endpoint, model), paid)
            db.execute("delete from claims where key = ?", (key,))


def _hour() -> int:
    return int(time.time() // 3600)


def pay(db: sqlite3.Connection, account: Account, payment: Payment) -> None:
    """Enter a payment into the ledger."""
    owner = {"hour": _hour(), "endpoint": account.endpoint, "model": account.model}
    db.execute(load_sql("llm/pay"), {**owner, **asdict(payment)})
