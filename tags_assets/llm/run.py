"""A run: many questions through one server, each answered once or failed with a reason."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tags_assets.errors import UserError
from tags_assets.llm.answer_cache import BEAT_S, Elsewhere, Granted, OverCap, Stored
from tags_assets.llm.dialect import MODES, dialect_name
from tags_assets.llm.faults import Fault, FaultKind
from tags_assets.llm.resolver import CHUNK, Failure
from tags_assets.llm.settings import KEY_VARIABLE
from tags_assets.llm.settlement import Settlement
from tags_assets.llm.throttle import pause_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tags_assets.llm.online import Server
    from tags_assets.llm.resolver import Item, Outcome, Request, Resolver, Scope
    from tags_assets.llm.settings import ClientSettings
    from tags_assets.llm.settlement import Receive
    from tags_assets.llm.status import Status
    from tags_assets.llm.task import Question
    from tags_assets.llm.throttle import Throttle

_TELL_S = 0.2
_FACTS_S = 10.0
_HOLD_S = 0.5
"""Pause before a look at a call that is under way elsewhere."""

_GRACE_S = 20.0
_MAX_CUTS = 6
_MAX_MENDS = 20
_MAX_BUSY = 200
"""Replies of 429 for one row: more mean that it is the row (one that exceeds the rate by itself)."""

_SECOND_CHANCE_S = 2.0


class Run:
    """Answers questions online; made for one call of `Client.ask`.

    Parameters
    ----------
    resolver, server, throttle
        Its surroundings.
    receive
        Called with (index, question, outcome) once for every question, in the order in which they are
        settled.
    tell
        Called with a `Status` several times a second.
    failure_limit
        Share of the questions that may fail.
    retry_failed
        Whether to ask again what failed before.
    """

    def __init__(
        self,
        resolver: Resolver,
        server: Server,
        throttle: Throttle,
        *,
        receive: Receive,
        tell: Callable[[Status], None] | None = None,
        failure_limit: float = 0.2,
        retry_failed: bool = False,
    ) -> None:
        self._resolver, self._server, self._throttle = resolver, server, throttle
        self._settings: ClientSettings = resolver.settings
        self._cache, self._tally = resolver.cache, resolver.tally
        self._tell = tell
        self._settlement = Settlement(resolver, receive, failure_limit)
        self._retry_failed = retry_failed
        self._queue: asyncio.Queue[Item | None] = asyncio.Queue()
        self._taken = asyncio.Event()
        self._open = 0
        self._calling = 0
        self._all_read = False
        self._stopping = False

    async def go(self, questions: Iterable[Question]) -> None:
        """Settle all questions.

        Raises
        ------
        UserError
            Where the run as a whole can't go on.
        """
        work = [asyncio.create_task(self._read(iter(questions)))]
        work += [asyncio.create_task(self._work()) for _ in range(self._settings.concurrency)]
        watch = asyncio.create_task(self._watch())
        try:
            done, pending = await asyncio.wait(work, return_when=asyncio.FIRST_EXCEPTION)
            error = next((e for t in done if (e := t.exception()) is not None), None)
            if error is not None:
                await self._wind_up(pending)
                raise error
        finally:
            for task in (watch, *work):
                task.cancel()
            await asyncio.gather(watch, *work, return_exceptions=True)
            await remember(self._resolver)
            if self._tell:
                self._tell(self._tally.status())

    async def _wind_up(self, pending: set[asyncio.Task[None]]) -> None:
        """Let calls that are under way end: they are paid for."""
        self._stopping = True
        deadline = time.monotonic() + min(_GRACE_S, self._settings.timeout_s)
        while pending and self._calling and time.monotonic() < deadline:
            await asyncio.wait(pending, timeout=0.05)

    async def _read(self, questions: Iterator[Question]) -> None:
        start = 0
        ahead = max(2 * self._settings.concurrency, CHUNK // 2)
        while chunk := await asyncio.to_thread(
            self._resolver.look_up, questions, start, retry_failed=self._retry_failed
        ):
            start += len(chunk)
            for item, outcome in chunk:
                if outcome is None:
                    self._open += 1
                    self._queue.put_nowait(item)
                else:
                    self._settlement.settle(item, outcome, before=True)
            self._settlement.check()
            # No more than a chunk or two wait at a time, so memory does not grow with the number of rows.
            while self._queue.qsize() > ahead:
                self._taken.clear()
                await self._taken.wait()
        self._all_read = True
        self._finish_if_done()

    def _finish_if_done(self) -> None:
        if self._all_read and self._open == 0:
            for _ in range(self._settings.concurrency):
                self._queue.put_nowait(None)

    async def _work(self) -> None:
        while (item := await self._queue.get()) is not None:
            self._taken.set()
            if self._stopping:
                return
            outcome = await self._pursue(item)
            if outcome is None:
                continue
            if isinstance(outcome, Failure):
                await self._cache.write(self._cache.fail(item.key, outcome.reason))
            self._open -= 1
            self._settlement.settle(item, outcome)
            self._settlement.check()
            self._finish_if_done()

    async def _pursue(self, item: Item) -> Outcome | None:
        """Ask until there is a usable answer or a reason to give up; None where it is put off."""
        for _ in range(self._settings.answers):
            got = await self._obtain(item)
            if not isinstance(got, Stored):
                return got
            item.stored = got
            outcome = self._resolver.use(item)
            if outcome is not None:
                return outcome
        return Failure("no usable answer")

    async def _obtain(self, item: Item) -> Stored | Failure | None:
        scope = self._resolver.scope(item.question.task)
        if scope.dialect.mode is None:
            # Until it is known how to speak to the server, one call at a time finds out.
            async with scope.pilot:
                if scope.dialect.mode is None:
                    return await self._ask(item, scope)
        return await self._ask(item, scope)

    async def _ask(self, item: Item, scope: Scope) -> Stored | Failure | None:
        """Get the answer of the present attempt: from the cache, or by a call; None where it is put off."""
        mode = scope.dialect.mode or MODES[0]
        cuts = 0
        for _ in range(_MAX_MENDS):
            got = await self._call(item, scope, self._resolver.request(item, mode, cuts))
            if isinstance(got, Stored):
                scope.dialect.mode = mode
            if not isinstance(got, Fault):
                return got
            self._tally.faults[got.kind.value] += 1
            if got.kind is FaultKind.REFUSED:
                raise refusal(got, self._settings)
            if got.is_transient:
                return self._later(item, got)
            fix = scope.dialect.fix(got, mode)
            if fix is None:
                return Failure(f"the server refuses the request: {got.reason}")
            cuts += fix.cut
            if cuts > _MAX_CUTS or (fix.cut and isinstance(item.question.subject, str)):
                return Failure(f"too long for the context even when cut: {got.reason}")
            mode = fix.mode
        return Failure("the server refuses the request in every form")

    async def _call(self, item: Item, scope: Scope, request: Request) -> Stored | Fault | None:
        """Claim the call, make it, keep what it brings."""
        key = self._resolver.key(item)
        tokens = request.prompt_tokens + request.max_tokens
        account = self._resolver.account
        await self._throttle.enter(tokens)
        try:
            granted = await self._claim(key, request)
            if isinstance(granted, Stored):
                return granted
            if isinstance(granted, OverCap) and not self._calling:
                raise self._over_cap(granted)
            if isinstance(granted, Elsewhere | OverCap):
                self._put_back(item, _HOLD_S)
                return None
            item.calls += 1
            self._calling += 1
            self._tally.calls += 1
            try:
                reply = await self._server.chat(request.body)
            except Fault as fault:
                await self._cache.write(self._cache.release(key, maybe_paid=fault.maybe_paid))
                if fault.is_transient:
                    self._throttle.failed(fault, item.index)
                return fault
            except BaseException:
                # Interrupted: the server may have worked for it.
                self._cache.write_later(self._cache.release(key, maybe_paid=True))
                raise
            finally:
                self._calling -= 1
            charge = self._resolver.charge(reply, request)
            stored = self._resolver.stored(request.cut, reply, charge)
            await self._cache.write(self._cache.keep(key, account, stored, charge.cost))
        finally:
            self._throttle.leave()
        self._throttle.succeeded()
        self._throttle.settle(tokens, charge.prompt_tokens + charge.completion_tokens)
        if not charge.estimated:
            scope.dialect.observe(request.estimate, charge.prompt_tokens, charge.completion_tokens)
        return stored

    async def _claim(self, key: bytes, request: Request) -> Stored | Granted | Elsewhere | OverCap:
        cache = self._cache
        try:
            return await cache.write(
                cache.claim(key, self._resolver.account, request.reserve, request.prompt_tokens)
            )
        except asyncio.CancelledError:
            # The claim is made all the same, and given back right after it; another's is not touched.
            cache.write_later(cache.release(key, maybe_paid=False))
            raise

    def _later(self, item: Item, fault: Fault) -> Failure | None:
        """Put a row back after a transient fault; give up where the row itself seems to be the cause."""
        if fault.kind is FaultKind.BUSY:
            item.busy += 1
            if item.busy > _MAX_BUSY:
                return Failure(f"refused {item.busy} times: {fault.reason}")
            self._put_back(item, 0.0)
            return None
        # That nobody answers is never the row's doing; that all hang while the server is ill, neither.
        if fault.kind is FaultKind.BROKEN or (fault.kind is FaultKind.SLOW and not self._throttle.is_open):
            item.faults += 1
        if item.faults < self._settings.attempts:
            self._put_back(item, pause_s(item.faults))
            return None
        if not item.second_chance:
            # The server may have been ill rather than the row: once more, when the others are done.
            item.second_chance = True
            item.faults = max(self._settings.attempts - 2, 0)
            self._put_back(item, _SECOND_CHANCE_S)
            return None
        return Failure(f"{fault.reason} (in {item.calls} calls)")

    def _put_back(self, item: Item, delay_s: float) -> None:
        if delay_s <= 0:
            self._queue.put_nowait(item)
        else:
            asyncio.get_running_loop().call_later(delay_s, self._queue.put_nowait, item)

    def _over_cap(self, over: OverCap) -> UserError:
        price, cap, tally = self._settings.price, self._settings.spending_cap, self._tally
        currency = price.currency if price else ""
        return UserError(
            f"the spending cap of {cap:g} {currency} is reached: {over.spent:.4g} {currency} were spent on "
            f"{self._settings.model} in the last {self._settings.spending_window_h:g} h; "
            f"{tally.done - tally.failed:,} of {tally.total:,} questions are answered and kept",
            where="spending_cap",
            fix="Raise it, or run again later.",
        )

    async def _watch(self) -> None:
        """Show how things stand, and show other processes that this one lives."""
        n = 0
        while True:
            await asyncio.sleep(_TELL_S)
            n += 1
            if self._tell:
                self._tell(self._tally.status("server down" if self._throttle.is_open else ""))
            if n % round(BEAT_S / _TELL_S) == 0 and self._calling:
                await self._cache.write(self._cache.beat)
            if n % round(_FACTS_S / _TELL_S) == 0:
                await remember(self._resolver)


async def remember(resolver: Resolver) -> None:
    """Keep what was found out about the server."""
    for scope in resolver.scopes:
        if scope.dialect.n_observed:
            learn = resolver.cache.learn(resolver.account, dialect_name(scope.task), scope.dialect.dump())
            await resolver.cache.write(learn)


def refusal(fault: Fault, settings: ClientSettings) -> UserError:
    """Say what a refusal asks of the user."""
    fix = "See base_url, key and model"
    if fault.reason.startswith("401"):
        fix = f"Set {KEY_VARIABLE} to a key that the server knows"
    elif fault.reason.startswith("3"):
        fix = "If you trust the address that it redirects to, give that one as base_url"
    elif fault.reason.startswith("404"):
        fix = f"Check that the address is complete (often it ends in /v1) and has {settings.model!r}"
    return UserError(
        f"refuses: {fault.reason}",
        where=settings.endpoint,
        fix=f"{fix}; then run again, answers so far are kept.",
    )
