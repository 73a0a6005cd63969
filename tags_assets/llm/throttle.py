"""When a call may be made: rates, concurrency that gives way to 429, a breaker for a server that is down."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from tags_assets.errors import UserError
from tags_assets.llm.faults import Fault, FaultKind
from tags_assets.llm.replies import MAX_WAIT_S

if TYPE_CHECKING:
    from tags_assets.llm.settings import ClientSettings

_BURST_S = 2.0
"""Seconds' worth of a rate that may be used at once."""

_FIRST_PAUSE_S = 0.5
_SHORTEST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 15.0
_LOOK_S = 1.0

_MOST_USED = 4.0
"""Most tokens that a call is taken to have used for each that was expected: no count may stall the run."""

_TRIP_AFTER = 8
"""Faults in a row after which the server counts as down: of any rows where nobody answers, of so many
different rows where it answers with an error (one row may be what breaks it)."""


def pause_s(tries: int, *, first: float = _FIRST_PAUSE_S, longest: float = _LONGEST_PAUSE_S) -> float:
    """Draw a pause before try number ``tries + 1``: exponential with full jitter, never less than a tenth.

    Full jitter spreads the callers that failed together (Brooker, "Exponential backoff and jitter", 2015).
    """
    ceiling = min(longest, first * 2.0 ** min(tries, 30))
    # Jitter wants to differ between processes: the one place where a seed would do harm.
    return max(random.random(), 0.1) * ceiling  # noqa: S311


def wait_in_words(seconds: float) -> str:
    """Say how long a server asks to wait."""
    return f"{seconds:.0f} s" if seconds < MAX_WAIT_S else f"{MAX_WAIT_S / 86_400:.0f} days or more"


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


class Rate:
    """A limit per minute, kept evenly (generic cell rate algorithm) with a small burst."""

    def __init__(self, per_minute: float | None) -> None:
        self._per_s = per_minute / 60 if per_minute else None
        self._spent_until = 0.0

    def take(self, amount: float) -> float:
        """Take so much of the rate; gives the seconds to wait before using it."""
        if self._per_s is None:
            return 0.0
        now = asyncio.get_running_loop().time()
        self._spent_until = max(self._spent_until, now - _BURST_S) + amount / self._per_s
        return max(self._spent_until - now, 0.0)

    def give_back(self, amount: float) -> None:
        """Return what was taken and not used (a negative amount takes more)."""
        if self._per_s is not None:
            self._spent_until -= amount / self._per_s


class Throttle:
    """Lets calls through to one server.

    - At most ``limit`` calls are under way. A 429 cuts the limit (multiplicative decrease, at most once a
      second), successes raise it again to the configured concurrency (additive increase).
    - After `_TRIP_AFTER` faults in a row the breaker opens: one probe at a time, pauses growing, until an
    answer
      comes or patience is used up; then the run stops.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._requests = Rate(settings.requests_per_minute)
        self._tokens = Rate(settings.tokens_per_minute)
        self.limit = float(settings.concurrency)
        self.in_flight = 0
        self.answered = False
        self.opened = 0
        self._absences = 0
        self._broken_rows: set[int] = set()
        self._trouble_since: float | None = None
        self._closed_until = 0.0
        self._last_cut = 0.0
        self._probing = False
        self._tries = 0
        self._last_reason = ""
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open: the server counts as down."""
        return self._absences >= _TRIP_AFTER or len(self._broken_rows) >= _TRIP_AFTER

    def _room(self) -> bool:
        if self.is_open:
            return not self._probing
        return self.in_flight < max(int(self.limit), 1)

    async def enter(self, tokens: float) -> None:
        """Wait until a call of about so many tokens may be made.

        Raises
        ------
        UserError
            Where the server was away for longer than is patiently waited.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._check_patience()
            wait = self._closed_until - loop.time()
            if wait <= 0 and self._room():
                break
            await self._wait(wait if wait > 0 else _LOOK_S)
        # No await since the room was seen, so no other coroutine has taken it.
        self.in_flight += 1
        self._probing = self.is_open
        wait = max(self._requests.take(1), self._tokens.take(tokens))
        if wait > 0:
            try:
                await asyncio.sleep(wait)
            except asyncio.CancelledError:
                self.leave()
                raise

    async def _wait(self, seconds: float) -> None:
        """Wait until somebody leaves, at most so long."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(woken)
        timer = asyncio.get_running_loop().call_later(seconds, _wake, woken)
        try:
            await woken
        finally:
            timer.cancel()
            with suppress(ValueError):
                self._waiting.remove(woken)

    def leave(self) -> None:
        """Say that the call is over, whatever came of it."""
        self.in_flight -= 1
        self._probing = False
        if self._waiting and self._room():
            _wake(self._waiting.popleft())

    def settle(self, reserved_tokens: float, used_tokens: float) -> None:
        """Correct the token rate by what a call really took, as far as a server's count can be believed."""
        self._tokens.give_back(reserved_tokens - min(used_tokens, _MOST_USED * reserved_tokens))

    def succeeded(self) -> None:
        """Note an answer: the server lives."""
        self.answered = True
        was_open = self.is_open
        self._absences = self._tries = 0
        self._broken_rows.clear()
        if was_open:
            while self._waiting:
                _wake(self._waiting.popleft())
        self._trouble_since = None
        self.limit = min(self.limit + 1 / max(self.limit, 1), float(self._settings.concurrency))

    def failed(self, fault: Fault, row: int) -> None:
        """Note a transient fault; ``row`` is any number that tells the rows apart."""
        now = asyncio.get_running_loop().time()
        if self._trouble_since is None:
            self._trouble_since = now
        self._last_reason = fault.reason
        if fault.kind is FaultKind.BUSY:
            self._back_off(fault, now)
            return
        was_open = self.is_open
        if fault.kind is FaultKind.DOWN:
            self._absences += 1
        else:
            self._broken_rows.add(row)
        if self.is_open:
            self.opened += not was_open
            self._tries += 1
            wait = fault.retry_after_s or pause_s(self._tries)
            self._closed_until = max(self._closed_until, now + wait)
        elif fault.retry_after_s:
            self._closed_until = max(self._closed_until, now + fault.retry_after_s)
        self._check_wait(fault.retry_after_s)

    def _back_off(self, fault: Fault, now: float) -> None:
        self._check_wait(fault.retry_after_s)
        if now - self._last_cut > 1.0:
            self._last_cut = now
            self._tries += 1
            self.limit = max(self.limit * 0.6, 1.0)
        asked_s = fault.retry_after_s
        wait = pause_s(self._tries, first=1.0) if asked_s is None else max(asked_s, _SHORTEST_PAUSE_S)
        self._closed_until = max(self._closed_until, now + wait)

    @property
    def patience_s(self) -> float:
        """How long trouble may last."""
        return self._settings.patience_s if self.answered else self._settings.startup_patience_s

    def _check_wait(self, asked_s: float | None) -> None:
        if asked_s is not None and asked_s > self._settings.patience_s:
            raise UserError(
                f"asks to wait {wait_in_words(asked_s)} ({self._last_reason})",
                where=self._settings.endpoint,
                fix="Run again then; answers so far are kept and are not paid for again.",
            )

    def _check_patience(self) -> None:
        throttled = self._closed_until > (self._trouble_since or float("inf"))
        if self._trouble_since is None or not (self.is_open or throttled):
            return
        away = asyncio.get_running_loop().time() - self._trouble_since
        patience = self.patience_s if self.is_open else self._settings.patience_s
        if away > patience:
            never = "" if self.answered else ", and has not answered once"
            raise UserError(
                f"has failed for {away:.0f} s{never}: {self._last_reason}",
                where=self._settings.endpoint,
                fix="See that the server runs, then run again; answers so far are kept.",
            )
