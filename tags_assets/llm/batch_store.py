"""What is on record of batches: handed over, pending, collected."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tags_assets.llm.answer_cache import Payment, kept_answer, pay
from tags_assets.store.sql import load_sql

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from tags_assets.llm.answer_cache import Account, AnswerCache, Stored

HANDING_OVER, PENDING, COLLECTED, LOST = "handing over", "pending", "collected", "lost"


@dataclass(frozen=True, slots=True)
class Submission:
    """A batch on record. ``batch_id`` is None while its hand-over is not known to have ended."""

    name: str
    batch_id: str | None
    requests: int
    reserved: float
    submitted_at: float

    @property
    def share(self) -> float:
        """What was reserved for one request."""
        return self.reserved / max(self.requests, 1)


@dataclass(frozen=True, slots=True)
class BatchItem:
    """What one line of a batch asks."""

    key: bytes
    first_key: bytes
    cut: bool


class BatchStore:
    """The batches of one account in the answer cache."""

    def __init__(self, cache: AnswerCache, account: Account) -> None:
        self._cache, self._account = cache, account

    def open(self) -> list[Submission]:
        """List the batches that are not settled, the oldest first."""
        rows = self._cache.read(
            load_sql("llm/open_batches"),
            (self._account.endpoint, self._account.model),
        )
        return [Submission(*row) for row in rows]

    def items(self, name: str) -> dict[bytes, BatchItem]:
        """Give what a batch asks, by key."""
        rows = self._cache.read("select key, first_key, cut from batch_items where submission = ?", (name,))
        return {key: BatchItem(key, first, bool(cut)) for key, first, cut in rows}

    def pending_keys(self) -> set[bytes]:
        """Give all keys that open batches of the account will answer."""
        return {key for submission in self.open() for key in self.items(submission.name)}

    def begin(
        self, name: str, items: Sequence[BatchItem], reserve: float
    ) -> Callable[[sqlite3.Connection], None]:
        """Record that a batch is about to be handed over."""

        def operation(db: sqlite3.Connection) -> None:
            db.execute(
                "insert into batches values (?, null, ?, ?, ?, ?, ?, ?)",
                (
                    name,
                    self._account.endpoint,
                    self._account.model,
                    len(items),
                    reserve,
                    HANDING_OVER,
                    time.time(),
                ),
            )
            db.executemany(
                "insert into batch_items values (?, ?, ?, ?)",
                [(name, item.key, item.first_key, int(item.cut)) for item in items],
            )

        return operation

    @staticmethod
    def handed_over(name: str, batch_id: str) -> Callable[[sqlite3.Connection], None]:
        """Record the id under which the server has it."""

        def operation(db: sqlite3.Connection) -> None:
            db.execute(
                "update batches set batch_id = ?, state = ? where submission = ?", (batch_id, PENDING, name)
            )

        return operation

    def settle(
        self, name: str, state: str, *, lost: int = 0, presumed_cost: float = 0.0
    ) -> Callable[[sqlite3.Connection], None]:
        """Record that nothing more is to be had of a batch; answers that were ``lost`` may be charged."""

        def operation(db: sqlite3.Connection) -> None:
            changed = db.execute(
                "update batches set state = ? where submission = ? and state not in (?, ?)",
                (state, name, COLLECTED, LOST),
            ).rowcount
            db.execute("delete from batch_items where submission = ?", (name,))
            if changed and lost:
                pay(db, self._account, Payment(lost, 0, 0, presumed_cost=presumed_cost))

        return operation

    def keep(
        self, answers: Sequence[tuple[bytes, Stored, float]], failures: Sequence[tuple[bytes, str]]
    ) -> Callable[[sqlite3.Connection], None]:
        """Keep answers (key, answer, cost) and failures (first key, reason); what was kept counts once."""

        def operation(db: sqlite3.Connection) -> None:
            for key, answer, cost in answers:
                if db.execute("select 1 from answers where key = ?", (key,)).fetchone():
                    continue
                db.execute(
                    load_sql("llm/keep"),
                    kept_answer(key, answer),
                )
                pay(db, self._account, Payment(1, answer.prompt_tokens, answer.completion_tokens, cost))
            db.executemany(
                "insert or replace into failures values (?, ?, ?)",
                [(key, reason, time.time()) for key, reason in failures],
            )

        return operation
