"""The one client for everything that is asked of a language model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tags_assets.llm.answer_cache import Account, AnswerCache
from tags_assets.llm.blocking import run_blocking
from tags_assets.llm.resolver import Answer, Resolver
from tags_assets.llm.run import Run
from tags_assets.llm.status import Tally
from tags_assets.llm.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tags_assets.llm.settings import ClientSettings
    from tags_assets.llm.settlement import Receive
    from tags_assets.llm.status import Status
    from tags_assets.llm.task import Question

    Progress = Callable[[int, int], None]


_COUNTED = 20_000
"""Questions whose tokens are counted for an estimate, at least; of more, an even sample."""


@dataclass(frozen=True)
class CostEstimate:
    """What a run will take, before its first call.

    Attributes
    ----------
    questions, cached, to_ask
        Asked for in all; answered or failed already; left.
    prompt_tokens, completion_tokens
        Of those left.
    cost, currency
        None without a price.
    seconds
        Least time that the limits on rates leave; None without limits.
    basis
        What the estimate rests on.
    """

    questions: int
    cached: int
    to_ask: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    currency: str | None
    seconds: float | None
    basis: str

    def __str__(self) -> str:
        money = "no price stated" if self.cost is None else f"{self.cost:,.2f} {self.currency}"
        least = (
            "" if self.seconds is None else f", at least {self.seconds / 60:,.0f} min within the rate limits"
        )
        return (
            f"{self.to_ask:,} of {self.questions:,} questions to ask ({self.cached:,} are settled): "
            f"{self.prompt_tokens:,} prompt and {self.completion_tokens:,} completion tokens, "
            f"{money}{least} ({self.basis})"
        )

    def __add__(self, other: CostEstimate) -> CostEstimate:
        def total(a: float | None, b: float | None) -> float | None:
            return None if a is None or b is None else a + b

        return CostEstimate(
            self.questions + other.questions,
            self.cached + other.cached,
            self.to_ask + other.to_ask,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            total(self.cost, other.cost),
            self.currency,
            total(self.seconds, other.seconds),
            self.basis if self.basis == other.basis else f"{self.basis}; {other.basis}",
        )


class Client:
    """Asks a language model, with every answer kept and none paid for twice.

    Parameters
    ----------
    settings
        Server, model and limits.
    cache
        File of the answers, or an open cache (which the caller closes).

    Raises
    ------
    UserError
        Where the key is missing or the cache can't be opened.
    """

    def __init__(self, settings: ClientSettings, cache: str | Path | AnswerCache) -> None:
        settings.check_key()
        self.settings = settings
        self._owns_cache = not isinstance(cache, AnswerCache)
        self.cache = cache if isinstance(cache, AnswerCache) else AnswerCache(cache)
        self.account = Account(
            settings.endpoint, settings.model, settings.spending_cap, settings.spending_window_h
        )

    def close(self) -> None:
        """Close the cache where the client opened it."""
        if self._owns_cache:
            self.cache.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fingerprint_config(self) -> dict[str, object]:
        """What of the client changes answers; never the key."""
        s = self.settings
        return {
            "endpoint": s.endpoint,
            "model": s.model,
            "parameters": dict(s.parameters),
            "row_tokens": s.row_tokens,
            "answers": s.answers,
        }

    def ask(
        self,
        questions: Iterable[Question],
        total: int,
        receive: Receive,
        *,
        progress: Progress | None = None,
        status: Callable[[Status], None] | None = None,
        failure_limit: float = 0.2,
        retry_failed: bool = False,
    ) -> dict[str, object]:
        """Settle questions, from the cache or by the server; works where an event loop runs, too.

        Parameters
        ----------
        questions
            Read once, a chunk at a time (each round of the batch transport reads them again).
        total
            How many they are.
        receive
            Called with (index, question, outcome) once for each, in the order in which they are settled.
        progress
            Called as (done, total).
        status
            Called with a `Status` several times a second.
        failure_limit
            Share that may fail before the run stops; 1 for no limit.
        retry_failed
            Whether to ask again what failed for good before.

        Returns
        -------
        Figures of the run.

        Raises
        ------
        UserError
            Where the server refuses or is away for too long, where the spending cap is reached, where too
            many questions fail, where a batch is pending and is not to be waited for.
        """
        tally = Tally(total, self.settings.price.currency if self.settings.price else None)
        resolver = Resolver(self.settings, self.cache, self.account, tally)

        def tell(state: Status) -> None:
            if progress:
                progress(state.done, state.total)
            if status:
                status(state)

        async def go() -> None:
            from tags_assets.llm.batch import BatchRun  # noqa: PLC0415  # takes a second, and most commands call no model
            from tags_assets.llm.online import Server  # noqa: PLC0415

            async with Server(self.settings) as server:
                if self.settings.transport == "batch":
                    run: BatchRun | Run = BatchRun(
                        resolver, server, receive=receive, tell=tell,
                        failure_limit=failure_limit, retry_failed=retry_failed,
                    )  # fmt: skip
                else:
                    run = Run(
                        resolver, server, Throttle(self.settings), receive=receive, tell=tell,
                        failure_limit=failure_limit, retry_failed=retry_failed,
                    )  # fmt: skip
                await run.go(questions)

        if total:
            run_blocking(go)
        return {
            **tally.figures(),
            "model": self.settings.model,
            "endpoint": self.settings.endpoint,
            "transport": self.settings.transport,
            "prompts": [s.task.prompt.label for s in resolver.scopes],
            "modes": {s.task.name: s.dialect.mode for s in resolver.scopes},
        }

    def estimate(
        self, questions: Iterable[Question], total: int, *, retry_failed: bool = False
    ) -> CostEstimate:
        """Count what a run would take, without a call.

        Cached answers cost nothing. Of many questions, every so-manieth is counted, at least `_COUNTED`.
        Tokens of prompts are estimated and, where this server has answered before, corrected by its own
        counts; answers are taken to be as long as they were, else as the task expects.
        """
        tally = Tally(total, None)
        resolver = Resolver(self.settings, self.cache, self.account, tally)
        cached = to_ask = counted = 0
        prompt_tokens = completion_tokens = 0.0
        every = max(total // _COUNTED, 1)
        stream, start = iter(questions), 0
        while chunk := resolver.look_up(stream, start, retry_failed=False):
            start += len(chunk)
            for item, outcome in chunk:
                if isinstance(outcome, Answer) or (outcome is not None and not retry_failed):
                    cached += 1
                    continue
                to_ask += 1
                if (to_ask - 1) % every == 0:
                    task = item.question.task
                    counted += 1
                    prompt_tokens += resolver.request(item, "json_schema").prompt_tokens
                    completion_tokens += (
                        resolver.scope(task).dialect.completion_tokens or task.expected_tokens
                    )
        if counted:
            prompt_tokens *= to_ask / counted
            completion_tokens *= to_ask / counted
        observed = [s.dialect.n_observed for s in resolver.scopes if s.dialect.n_observed]
        s = self.settings
        cost = None
        if s.price:
            factor = s.price.batch_factor if s.transport == "batch" else 1.0
            cost = factor * s.price.of(prompt_tokens, completion_tokens)
        minutes = [
            to_ask / s.requests_per_minute if s.requests_per_minute else None,
            (prompt_tokens + completion_tokens) / s.tokens_per_minute if s.tokens_per_minute else None,
        ]
        bounds = [60 * m for m in minutes if m is not None]
        return CostEstimate(
            questions=start,
            cached=cached,
            to_ask=to_ask,
            prompt_tokens=math.ceil(prompt_tokens),
            completion_tokens=math.ceil(completion_tokens),
            cost=cost,
            currency=s.price.currency if s.price else None,
            seconds=max(bounds) if bounds else None,
            basis=f"corrected by {min(observed):,} answers"
            if observed
            else "estimated, no answer of this server yet",
        )
