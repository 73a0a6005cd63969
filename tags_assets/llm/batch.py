"""The Batch API as a transport: files of requests, answered within a day, into the same cache.

A hand-over is recorded before it is begun and named in the batch's metadata, so that a process killed in
its middle finds the batch again and pays for it once. A pending batch is collected by whichever run comes
next.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
import openai
import orjson

from tags_assets.errors import UserError
from tags_assets.llm.batch_store import COLLECTED, LOST, BatchItem, BatchStore
from tags_assets.llm.cache import BEAT_S, Elsewhere
from tags_assets.llm.dialect import MODES
from tags_assets.llm.faults import Fault, FaultKind, fault_of, fault_of_status
from tags_assets.llm.online import read_completion
from tags_assets.llm.resolver import Answer, Failure
from tags_assets.llm.run import refusal, remember
from tags_assets.llm.settlement import Settlement
from tags_assets.llm.throttle import pause_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from openai.types import Batch

    from tags_assets.llm.batch_store import Submission
    from tags_assets.llm.online import Server
    from tags_assets.llm.resolver import Item, Resolver, Scope
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
        self._asked: dict[bytes, tuple[Scope, float, str]] = {}

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
                "another process is handing over or collecting batches for this model",
                where=self._settings.endpoint,
                mend="Wait for it; it collects for both.",
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
                settled = outcome or Failure("the batches brought no answer")
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
        self._asked[key] = (scope, request.estimate, mode)
        line = {"custom_id": key.hex(), "method": "POST", "url": "/v1/chat/completions", "body": request.body}
        factor = self._settings.price.batch_factor if self._settings.price else 1.0
        return orjson.dumps(line), request.cut, request.reserve * factor

    async def _hand_over(self, lines: Sequence[bytes], items: Sequence[BatchItem], reserve: float) -> None:
        self._check_cap(reserve)
        name = os.urandom(8).hex()
        await self._cache.write(self._store.begin(name, items, reserve))
        content = b"\n".join(lines) + b"\n"
        api = self._server.api
        # Where one of these fails for good, `_recover` finds out next time what became of it.
        file = await self._try(
            lambda: api.files.create(file=(f"{name}.jsonl", content), purpose="batch", timeout=3600)
        )
        batch = await self._try(lambda: self._create(file.id, name))
        await self._cache.write(self._store.handed_over(name, batch.id))
        self._tally.calls += len(lines)

    async def _create(self, file_id: str, name: str) -> Batch:
        # A reply that was lost may have made the batch: it is looked for before it is made again.
        known = await self._find(name)
        if known is not None:
            return known
        return await self._server.api.batches.create(
            input_file_id=file_id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={_SUBMISSION: name},
        )

    async def _find(self, name: str) -> Batch | None:
        seen = 0
        async for batch in self._server.api.batches.list(limit=100):
            if (batch.metadata or {}).get(_SUBMISSION) == name:
                return batch
            seen += 1
            if seen >= 1000:
                break
        return None

    async def _recover(self) -> None:
        """Find out what became of hand-overs whose end is not on record."""
        for submission in self._store.open():
            if submission.batch_id is None:
                name = submission.name
                batch = await self._try(lambda name=name: self._find(name))  # type: ignore[misc]
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
                mend="Raise it, or make batch_rows smaller; answers so far are kept.",
            )

    # Collecting

    async def _collect_all(self) -> int:
        """Wait for all open batches and keep what they bring; gives how many answers and failures."""
        kept = 0
        while open_batches := [s for s in self._store.open() if s.batch_id is not None]:
            waiting = []
            for submission in open_batches:
                batch_id = str(submission.batch_id)
                batch = await self._try(lambda i=batch_id: self._server.api.batches.retrieve(i))  # type: ignore[misc]
                if batch.status in _OVER:
                    kept += await self._collect(submission, batch)
                else:
                    waiting.append((submission, batch))
            if waiting:
                self._show(waiting)
                await asyncio.sleep(self._settings.batch_poll_s)
        return kept

    def _show(self, waiting: Sequence[tuple[Submission, Batch]]) -> None:
        done = sum(
            b.request_counts.completed + b.request_counts.failed for _, b in waiting if b.request_counts
        )
        total = sum(s.requests for s, _ in waiting)
        ids = ", ".join(b.id for _, b in waiting[:3])
        if self._tell:
            self._tell(self._tally.status(f"batch {ids}: {done:,} of {total:,}"))
        if not self._settings.batch_wait:
            raise UserError(
                f"{len(waiting)} batches are pending ({ids}: {done:,} of {total:,} requests done)",
                where=self._settings.endpoint,
                mend="Run again to collect them; nothing is paid for twice.",
            )
        oldest = min(s.submitted_at for s, _ in waiting)
        if time.time() - oldest > _WINDOW_S:
            raise UserError(
                f"a batch ({ids}) is pending for more than {_WINDOW_S / 3600:.0f} h",
                where=self._settings.endpoint,
                mend="Cancel it at the provider and run again.",
            )

    async def _collect(self, submission: Submission, batch: Batch) -> int:
        items = self._store.items(submission.name)
        kept = 0
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id:
                content = await self._try(lambda f=file_id: self._content(f))  # type: ignore[misc]
                kept += await self._keep_lines(content.splitlines(), items)
        if batch.status == "failed" and kept == 0:
            await self._cache.write(self._store.settle(submission.name, LOST))
            self._tally.calls -= submission.requests
            self._explain_failed(batch)
            return 0
        await self._cache.write(self._store.settle(submission.name, COLLECTED))
        return kept

    def _explain_failed(self, batch: Batch) -> None:
        errors = (batch.errors.data if batch.errors else None) or []
        said = errors[0].message if errors else "no reason given"
        if any(e.code == "token_limit_exceeded" for e in errors) and len(self._store.open()):
            return  # handed over again when the batches before it are done
        raise UserError(
            f"the batch {batch.id} failed: {said}",
            where=self._settings.endpoint,
            mend="Mend the cause (see batch_rows for limits on size) and run again; answers so far are kept.",
        )

    async def _content(self, file_id: str) -> bytes:
        return (await self._server.api.files.content(file_id, timeout=3600)).content

    async def _keep_lines(self, lines: Sequence[bytes], items: dict[bytes, BatchItem]) -> int:
        answers, failures = [], []
        kept = 0
        for line in lines:
            try:
                reply = orjson.loads(line)
                item = items[bytes.fromhex(reply["custom_id"])]
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                continue  # a line that answers nothing of ours
            try:
                answers.append(self._answer(reply, item))
            except Fault as fault:
                self._tally.faults[fault.kind.value] += 1
                reason = self._reason(fault, item)
                if reason:
                    failures.append((item.first_key, reason))
            if len(answers) + len(failures) >= _KEPT_AT_ONCE:
                await self._cache.write(self._store.keep(answers, failures))
                kept += len(answers) + len(failures)
                answers, failures = [], []
        await self._cache.write(self._store.keep(answers, failures))
        return kept + len(answers) + len(failures)

    def _answer(self, reply: dict[str, Any], item: BatchItem) -> tuple[bytes, Any, float]:
        response = reply.get("response") or {}
        status = int(response.get("status_code") or 0)
        if reply.get("error") or status != 200:
            said = reply.get("error") or response.get("body") or {}
            raise fault_of_status(status or 500, said, {}, self._settings.api_key)
        completion = read_completion(response.get("body") or {})
        asked = self._asked.get(item.key)
        if asked:
            scope, estimate, mode = asked
            scope.dialect.mode = mode
            scope.dialect.observe(estimate, completion.prompt_tokens, completion.completion_tokens)
        factor = self._settings.price.batch_factor if self._settings.price else 1.0
        cost = self._resolver.count(completion, factor)
        return item.key, self._resolver.stored(item.cut, completion), cost

    def _reason(self, fault: Fault, item: BatchItem) -> str | None:
        """Why a line failed for good; None where the next round may do better."""
        if fault.kind is FaultKind.REFUSED:
            raise refusal(fault, self._settings)
        if fault.is_transient:
            return None
        asked = self._asked.get(item.key)
        if asked is None:
            return None  # handed over by another run: this one asks anew and sees for itself
        scope, _, mode = asked
        mend = scope.dialect.mend(fault, mode)
        if mend is None or mend.cut:
            return f"the server refuses the request: {fault.reason}"
        if mend.mode != mode:
            scope.dialect.mode = mend.mode
        return None

    async def _try(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the server, again after transient faults.

        Raises
        ------
        UserError
            Where it refuses, or fails each time.
        """
        fault = None
        for n in range(_TRIES):
            try:
                return await call()
            except (openai.OpenAIError, httpx2.HTTPError, TimeoutError, OSError) as error:
                fault = fault_of(error, self._settings.api_key)
            if not fault.is_transient:
                raise refusal(fault, self._settings)
            self._tally.faults[fault.kind.value] += 1
            await asyncio.sleep(fault.retry_after_s or pause_s(n))
        raise UserError(
            f"failed {_TRIES} times: {fault}",
            where=self._settings.endpoint,
            mend="Run again later; what was handed over is found again.",
        )
