"""The Batch API as a transport: files of requests, answered within a day, into the same cache.

A hand-over is recorded before it is begun and named in the batch's metadata, so that a process killed in
its middle finds the batch again and pays for it once. A pending batch is collected by whichever run comes
next.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import orjson

from tags_assets.errors import UserError
from tags_assets.llm.answer_cache import BEAT_S, Elsewhere
from tags_assets.llm.batch_store import COLLECTED, LOST, BatchItem, BatchStore
from tags_assets.llm.dialect import MODES
from tags_assets.llm.faults import Fault, FaultKind, fault_of_status
from tags_assets.llm.online import FILE_TIMEOUT_S, SLOWEST_UPLOAD
from tags_assets.llm.replies import (
    MAX_ANSWER_CHARS,
    UnreadableReplyError,
    read_batch,
    read_batches,
    read_completion,
    read_file_id,
    read_line,
)
from tags_assets.llm.resolver import Answer, Failure
from tags_assets.llm.run import refusal, remember
from tags_assets.llm.scrub import scrub
from tags_assets.llm.settlement import Settlement
from tags_assets.llm.throttle import pause_s, wait_in_words

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
    from typing import IO

    from tags_assets.llm.answer_cache import Stored
    from tags_assets.llm.batch_store import Submission
    from tags_assets.llm.online import Server
    from tags_assets.llm.replies import Batch, Line
    from tags_assets.llm.resolver import Item, Request, Resolver, Scope
    from tags_assets.llm.settlement import Receive
    from tags_assets.llm.status import Status
    from tags_assets.llm.task import Question

T = TypeVar("T")

_MAX_FILE_BYTES = 150 * 2**20
"""OpenAI takes 200 MB."""

_WINDOW_S = 26 * 3600
"""A batch is answered within 24 hours or expires; later than this it is given up."""

_TRIES = 6
_FRUITLESS_ROUNDS = 3
_SUBMISSION = "tags_assets_submission"
_OVER = {"completed", "failed", "expired", "cancelled"}
_KEPT_AT_ONCE = 1000
_LONGEST_LINE = 8 * MAX_ANSWER_CHARS
"""Bytes of a line that are read; a longer line is one that can't be read."""

_MAX_PAGES = 10


class _GoneError(UserError):
    """The server does not have a batch, or its file, any more."""


@dataclass
class _Collected:
    """What is read of one batch: which lines, and what came of them.

    ``refused`` are keys of rows whose lines say that the server refuses (key, address, model).
    """

    share: float
    items: dict[bytes, BatchItem]
    seen: set[bytes] = field(default_factory=set)
    unread: int = 0
    unusable: int = 0
    kept: int = 0
    answers: list[tuple[bytes, Stored, float]] = field(default_factory=list)
    failures: list[tuple[bytes, str]] = field(default_factory=list)
    refused: list[tuple[bytes, Fault]] = field(default_factory=list)


class BatchRun:
    """Answers questions through the Batch API; made for one call of `Client.ask`.

    Parameters are those of `run.Run`, without a throttle: a batch has limits of its own.
    """

    def __init__(
        self,
        resolver: Resolver,
        server: Server,
        *,
        receive: Receive,
        tell: Callable[[Status], None] | None = None,
        failure_limit: float = 0.2,
        retry_failed: bool = False,
    ) -> None:
        self._resolver, self._server, self._tell = resolver, server, tell
        self._settings, self._cache, self._tally = resolver.settings, resolver.cache, resolver.tally
        self._settlement = Settlement(resolver, receive, failure_limit)
        self._store = BatchStore(self._cache, resolver.account)
        self._retry_failed = retry_failed
        self._asked: dict[bytes, tuple[Scope, Request, str]] = {}

    async def go(self, questions: Iterable[Question]) -> None:
        """Settle all questions, in as many rounds of batches as unusable answers ask for.

        Raises
        ------
        UserError
            Where the server refuses, a batch fails or is not to be waited for, the spending cap is reached,
            or another process is at the same.
        """
        lock = b"batches|" + self._settings.endpoint.encode() + b"|" + self._settings.model.encode()
        granted = await self._cache.write(self._cache.claim(lock, self._resolver.account, 0.0, 0.0))
        if isinstance(granted, Elsewhere):
            raise UserError(
                "another process is submitting or collecting batches for this model",
                where=self._settings.endpoint,
                fix="Wait for it: it collects the answers for both.",
            )
        beat = asyncio.create_task(self._show_life())
        try:
            await self._rounds(questions)
            await self._settle_all(questions)
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
            await self._cache.write(self._cache.release(lock, maybe_paid=False))
            await remember(self._resolver)
            if self._tell:
                self._tell(self._tally.status())

    async def _show_life(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await self._cache.write(self._cache.beat)

    async def _rounds(self, questions: Iterable[Question]) -> None:
        await self._recover()
        fruitless = 0
        while fruitless < _FRUITLESS_ROUNDS:
            kept = await self._collect_all()
            handed_over = await self._hand_over_missing(questions)
            if handed_over == 0:
                return
            kept += await self._collect_all()
            fruitless = 0 if kept else fruitless + 1
            self._retry_failed = False  # what failed now has failed anew

    async def _settle_all(self, questions: Iterable[Question]) -> None:
        self._tally.unusable = 0  # counted anew
        stream, start = iter(questions), 0
        while chunk := await asyncio.to_thread(self._resolver.look_up, stream, start, retry_failed=False):
            start += len(chunk)
            for item, outcome in chunk:
                settled = outcome or Failure("the batches returned no answers")
                if isinstance(settled, Answer) and self._resolver.key(item) in self._asked:
                    settled = replace(settled, cached=False)
                self._settlement.settle(item, settled)
            self._settlement.check()

    # Handing over

    async def _hand_over_missing(self, questions: Iterable[Question]) -> int:
        pending = await asyncio.to_thread(self._store.pending_keys)
        stream, start, handed_over = iter(questions), 0, 0
        lines: list[bytes] = []
        items: list[BatchItem] = []
        reserve, n_bytes = 0.0, 0
        while chunk := await asyncio.to_thread(
            self._resolver.look_up, stream, start, retry_failed=self._retry_failed
        ):
            start += len(chunk)
            for item, outcome in chunk:
                key = self._resolver.key(item)
                if outcome is not None or key in pending:
                    continue
                pending.add(key)
                line, cut, price = self._line(item, key)
                if len(lines) >= self._settings.batch_rows or n_bytes + len(line) > _MAX_FILE_BYTES:
                    await self._hand_over(lines, items, reserve)
                    handed_over += len(lines)
                    lines, items, reserve, n_bytes = [], [], 0.0, 0
                lines.append(line)
                items.append(BatchItem(key, item.key, cut))
                reserve += price
                n_bytes += len(line) + 1
        if lines:
            await self._hand_over(lines, items, reserve)
        return handed_over + len(lines)

    def _line(self, item: Item, key: bytes) -> tuple[bytes, bool, float]:
        scope = self._resolver.scope(item.question.task)
        mode = scope.dialect.mode or MODES[0]
        request = self._resolver.request(item, mode)
        self._asked[key] = (scope, request, mode)
        line = {"custom_id": key.hex(), "method": "POST", "url": "/v1/chat/completions", "body": request.body}
        factor = self._settings.price.batch_factor if self._settings.price else 1.0
        return orjson.dumps(line), request.cut, request.reserve * factor

    async def _hand_over(self, lines: Sequence[bytes], items: Sequence[BatchItem], reserve: float) -> None:
        self._check_cap(reserve)
        name = os.urandom(8).hex()
        await self._cache.write(self._store.begin(name, items, reserve))
        content = b"\n".join(lines) + b"\n"
        # Where one of these fails for good, `_recover` finds out next time what became of it.
        timeout_s = self._settings.timeout_s + len(content) / SLOWEST_UPLOAD
        file_id = await self._try(partial(self._upload, f"{name}.jsonl", content), timeout_s)
        batch = await self._try(partial(self._create, file_id, name))
        await self._cache.write(self._store.handed_over(name, batch.id))
        self._tally.calls += len(lines)

    async def _upload(self, name: str, content: bytes) -> str:
        files = self._server.api.files.with_raw_response
        reply = await files.create(file=(name, content), purpose="batch", timeout=FILE_TIMEOUT_S)
        return read_file_id(reply.http_response.content)

    async def _create(self, file_id: str, name: str) -> Batch:
        # A reply that was lost may have made the batch: it is looked for before it is made again.
        known = await self._find(name)
        if known is not None:
            return known
        reply = await self._server.api.batches.with_raw_response.create(
            input_file_id=file_id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={_SUBMISSION: name},
        )
        return read_batch(reply.http_response.content)

    async def _find(self, name: str) -> Batch | None:
        after: str | None = None
        for _ in range(_MAX_PAGES):
            lists = self._server.api.batches.with_raw_response
            reply = await (lists.list(limit=100, after=after) if after else lists.list(limit=100))
            batches, has_more = read_batches(reply.http_response.content)
            found = next((b for b in batches if (b.metadata or {}).get(_SUBMISSION) == name), None)
            if found is not None or not has_more or not batches or batches[-1].id == after:
                return found
            after = batches[-1].id
        return None

    async def _retrieve(self, batch_id: str) -> Batch:
        reply = await self._server.api.batches.with_raw_response.retrieve(batch_id)
        return read_batch(reply.http_response.content, batch_id)

    async def _recover(self) -> None:
        """Find out what became of hand-overs whose end is not on record."""
        for submission in self._store.open():
            if submission.batch_id is None:
                name = submission.name
                batch = await self._try(partial(self._find, name))
                done = (
                    self._store.settle(name, LOST)
                    if batch is None
                    else self._store.handed_over(name, batch.id)
                )
                await self._cache.write(done)

    def _check_cap(self, reserve: float) -> None:
        cap, price = self._settings.spending_cap, self._settings.price
        if cap is None or price is None:
            return
        spent = self._cache.spending(self._resolver.account)
        gone = spent.paid + spent.presumed
        if gone + spent.reserved + reserve > cap:
            raise UserError(
                f"the next batch may cost {reserve:.4g} {price.currency}; with {gone:.4g} spent and "
                f"{spent.reserved:.4g} reserved that exceeds the spending cap of {cap:g}",
                where="spending_cap",
                fix="Raise it, or make batch_rows smaller; answers so far are kept.",
            )

    # Collecting

    async def _collect_all(self) -> int:
        """Wait for all open batches and keep what they bring; gives how many answers and failures."""
        kept = 0
        while open_batches := [s for s in self._store.open() if s.batch_id is not None]:
            waiting = []
            for submission in open_batches:
                batch_id = str(submission.batch_id)
                try:
                    batch = await self._try(partial(self._retrieve, batch_id))
                    if batch.status in _OVER:
                        kept += await self._collect(submission, batch)
                    else:
                        waiting.append((submission, batch))
                except _GoneError:
                    if time.time() - submission.submitted_at < _WINDOW_S:
                        raise
                    await self._cache.write(self._lose(submission, submission.requests, LOST))
            if waiting:
                self._show(waiting)
                await asyncio.sleep(self._settings.batch_poll_s)
        return kept

    def _show(self, waiting: Sequence[tuple[Submission, Batch]]) -> None:
        done = sum(min(b.done, s.requests) for s, b in waiting)
        total = sum(s.requests for s, _ in waiting)
        ids = ", ".join(b.id for _, b in waiting[:3])
        if self._tell:
            self._tell(self._tally.status(f"batch {ids}: {done:,} of {total:,}"))
        if not self._settings.batch_wait:
            raise UserError(
                f"{len(waiting)} batches are pending ({ids}: {done:,} of {total:,} requests done)",
                where=self._settings.endpoint,
                fix="Run again to collect them; nothing is paid for twice.",
            )
        oldest = min(s.submitted_at for s, _ in waiting)
        if time.time() - oldest > _WINDOW_S:
            raise UserError(
                f"a batch ({ids}) is pending for more than {_WINDOW_S / 3600:.0f} h",
                where=self._settings.endpoint,
                fix="Cancel it at the provider and run again.",
            )

    async def _collect(self, submission: Submission, batch: Batch) -> int:
        collected = _Collected(submission.share, self._store.items(submission.name))
        for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
            with tempfile.TemporaryFile() as file:
                await self._try(partial(self._server.download, file_id, file), FILE_TIMEOUT_S)
                file.seek(0)
                await self._keep_lines(file, collected)
        if batch.status == "failed" and collected.kept == 0:
            await self._cache.write(self._store.settle(submission.name, LOST))
            self._tally.calls -= submission.requests
            self._explain_failed(batch)
            return 0
        # A row without a line that can be read costs what was reserved for it: it may have been answered.
        silent = len(collected.items) - len(collected.seen)
        lost = silent if batch.status == "completed" else min(silent, collected.unread)
        lost += collected.unusable
        await self._cache.write(self._lose(submission, lost, COLLECTED))
        if collected.refused and not collected.kept:
            raise refusal(collected.refused[0][1], self._settings)
        refused = [(key, f"the server refuses the request: {fault}") for key, fault in collected.refused]
        await self._cache.write(self._store.keep([], refused))
        return collected.kept + len(collected.refused)

    def _lose(self, submission: Submission, n: int, state: str) -> Callable[[sqlite3.Connection], None]:
        """Settle a batch of which so many answers are lost, though they may be charged."""
        cost = n * submission.share
        if n:
            self._tally.faults[FaultKind.BROKEN.value] += n
            self._tally.enter(0, 0, cost, estimated=True)
        return self._store.settle(submission.name, state, lost=n, presumed_cost=cost)

    def _explain_failed(self, batch: Batch) -> None:
        reasons = batch.reasons
        if any(code == "token_limit_exceeded" for code, _ in reasons) and len(self._store.open()):
            return  # handed over again when the batches before it are done
        cause = scrub(reasons[0][1] if reasons else "no reason given", self._server.key)
        raise UserError(
            f"the batch {batch.id} failed: {cause}",
            where=self._settings.endpoint,
            fix="Fix the cause (see batch_rows for limits on size) and run again; answers so far are kept.",
        )

    async def _keep_lines(self, file: IO[bytes], collected: _Collected) -> None:
        for content in _lines(file):
            line = read_line(content)
            key = _key_of(line)
            if line is None or key not in collected.items:
                collected.unread += 1  # a line that can't be read, or that answers nothing of ours
                continue
            if key in collected.seen:
                continue
            collected.seen.add(key)
            self._take(line, collected.items[key], collected)
            if len(collected.answers) + len(collected.failures) >= _KEPT_AT_ONCE:
                await self._keep(collected)
        await self._keep(collected)

    async def _keep(self, collected: _Collected) -> None:
        await self._cache.write(self._store.keep(collected.answers, collected.failures))
        collected.kept += len(collected.answers) + len(collected.failures)
        collected.answers, collected.failures = [], []

    def _take(self, line: Line, item: BatchItem, collected: _Collected) -> None:
        try:
            collected.answers.append(self._answer(line, item, collected.share))
        except Fault as fault:
            self._tally.faults[fault.kind.value] += 1
            collected.unusable += fault.maybe_paid
            if fault.kind is FaultKind.REFUSED:
                collected.refused.append((item.first_key, fault))
                return
            reason = self._reason(fault, item)
            if reason:
                collected.failures.append((item.first_key, reason))

    def _answer(self, line: Line, item: BatchItem, share: float) -> tuple[bytes, Stored, float]:
        if line.error or line.status != 200:
            raise fault_of_status(line.status, line.error or line.body, {}, self._server.key)
        try:
            completion = self._server.without_key(read_completion(line.body))
        except UnreadableReplyError as error:
            reason = scrub(str(error), self._server.key)
            raise Fault(FaultKind.BROKEN, reason, maybe_paid=error.maybe_paid) from None
        scope, request, mode = self._asked.get(item.key, (None, None, ""))
        factor = self._settings.price.batch_factor if self._settings.price else 1.0
        charge = self._resolver.charge(completion, request, factor=factor, share=share)
        if scope and request:
            scope.dialect.mode = mode
            if not charge.estimated:
                scope.dialect.observe(request.estimate, charge.prompt_tokens, charge.completion_tokens)
        return item.key, self._resolver.stored(item.cut, completion, charge), charge.cost

    def _reason(self, fault: Fault, item: BatchItem) -> str | None:
        """Why a line failed for good; None where the next round may do better."""
        if fault.is_transient:
            return None
        asked = self._asked.get(item.key)
        if asked is None:
            return None  # handed over by another run: this one asks anew and sees for itself
        scope, _, mode = asked
        fix = scope.dialect.fix(fault, mode)
        if fix is None or fix.cut:
            return f"the server refuses the request: {fault.reason}"
        if fix.mode != mode:
            scope.dialect.mode = fix.mode
        return None

    async def _try(self, call: Callable[[], Awaitable[T]], timeout_s: float | None = None) -> T:
        """Call the server, again after transient faults.

        Raises
        ------
        UserError
            Where it refuses, fails each time, or asks to wait for longer than is patiently waited.
        """
        fault = None
        for n in range(_TRIES):
            try:
                return await self._server.call(call, timeout_s)
            except Fault as raised:
                fault = raised
            if not fault.is_transient:
                error = refusal(fault, self._settings)
                if fault.reason.startswith(("404", "410")):
                    raise _GoneError(error.problem, where=error.where, fix=error.fix)
                raise error
            self._tally.faults[fault.kind.value] += 1
            wait = fault.retry_after_s or pause_s(n)
            if wait > self._settings.patience_s:
                raise UserError(
                    f"asks to wait {wait_in_words(wait)} ({fault})",
                    where=self._settings.endpoint,
                    fix="Run again then: submitted batches are found again.",
                )
            await asyncio.sleep(wait)
        raise UserError(
            f"failed {_TRIES} times: {fault}",
            where=self._settings.endpoint,
            fix="Run again later: submitted batches are found again.",
        )


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Read the lines of a file; of one that is too long, its beginning."""
    while line := file.readline(_LONGEST_LINE):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(_LONGEST_LINE)
        if line.strip():
            yield line


def _key_of(line: Line | None) -> bytes:
    try:
        return bytes.fromhex(line.custom_id) if line else b""
    except ValueError:
        return b""
