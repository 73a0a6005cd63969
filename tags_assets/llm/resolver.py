"""From a question to its request, and from a stored answer to its outcome: the same for every transport."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from tags_assets.llm.answer_cache import Stored
from tags_assets.llm.dialect import Dialect, dialect_name
from tags_assets.llm.faults import InvalidAnswerError
from tags_assets.llm.token_estimate import count_tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from tags_assets.llm.answer_cache import Account, AnswerCache
    from tags_assets.llm.replies import Reply
    from tags_assets.llm.settings import ClientSettings
    from tags_assets.llm.status import Tally
    from tags_assets.llm.task import Question, Task

CHUNK = 512
"""Questions that are looked up in the cache together."""

_DECLINED = {"refusal", "content_filter"}

_RETRY_TEMPERATURE = 0.3
"""Least temperature of a second attempt: at 0 a model would say the same again."""

_CUT_FACTOR = 0.6
"""What is left of the room for a row each time that the server says it is still too long."""

_MARGIN_TOKENS = 32
_LEAST_ROW_TOKENS = 64
_UNKNOWN_CONTEXT = 8192

_RESERVE_FACTOR = 1.5
"""Prompt tokens reserved under a cap for each that is estimated: a row's estimate may be off by a third."""

_LEAST_COUNTED = 0.1
"""Share of the estimated prompt tokens below which a server's count is not believed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that can be used."""

    value: BaseModel
    cut: bool
    cached: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A question that was not answered, and will not be asked again unless that is wanted."""

    reason: str


Outcome = Answer | Failure


@dataclass(slots=True)
class Item:
    """A question on its way.

    Attributes
    ----------
    index
        Its position.
    key
        Key of its first attempt; failures are recorded under it.
    attempt
        Answers so far that could not be used.
    cut_off
        How many of them were cut off at the token limit.
    calls, faults, busy
        Calls made for it in this run, those that ended in a fault that may be the row's, and in 429.
    second_chance
        Whether it was put off to the end of the run.
    stored
        Answer of the present attempt.
    """

    index: int
    question: Question
    key: bytes
    attempt: int = 0
    cut_off: int = 0
    calls: int = 0
    faults: int = 0
    busy: int = 0
    second_chance: bool = False
    stored: Stored | None = None


@dataclass
class Scope:
    """What all questions of a task share: the start of their keys, and the server's dialect."""

    task: Task
    head: bytes
    dialect: Dialect
    pilot: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Request:
    """A request ready to be sent.

    ``estimate`` counts prompt tokens as `count_tokens` does, ``prompt_tokens`` as the server will, about.
    """

    body: dict[str, Any]
    cut: bool
    estimate: float
    prompt_tokens: float
    max_tokens: int
    reserve: float


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call is entered with: as the server counted, else (``estimated``) what it may be at most."""

    prompt_tokens: int
    completion_tokens: int
    cost: float
    estimated: bool


class Resolver:
    """Turns questions into requests and answers into outcomes."""

    def __init__(self, settings: ClientSettings, cache: AnswerCache, account: Account, tally: Tally) -> None:
        self.settings, self.cache, self.account, self.tally = settings, cache, account, tally
        self._scopes: dict[int, Scope] = {}

    def scope(self, task: Task) -> Scope:
        """What is known of a task at this server."""
        scope = self._scopes.get(id(task))
        if scope is None:
            dialect = Dialect.load(self.cache.fact(self.account, dialect_name(task)))
            scope = self._scopes[id(task)] = Scope(task, self._key_head(task), dialect)
        return scope

    @property
    def scopes(self) -> list[Scope]:
        return list(self._scopes.values())

    def _key_head(self, task: Task) -> bytes:
        """Write endpoint, model, task and parameters as the start of every key."""
        s = self.settings
        inputs = [s.endpoint, s.model, task.fingerprint(), dict(s.parameters), s.row_tokens]
        return orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)

    def key(self, item: Item) -> bytes:
        """Key of the item's present attempt."""
        return item.question.key(self.scope(item.question.task).head, item.attempt)

    def look_up(
        self, questions: Iterator[Question], start: int, *, retry_failed: bool
    ) -> list[tuple[Item, Outcome | None]]:
        """Take the next chunk of questions and settle what the cache can settle, with all attempts."""
        chunk = list(islice(questions, CHUNK))
        items = [Item(start + i, q, q.key(self.scope(q.task).head)) for i, q in enumerate(chunk)]
        keys = [item.key for item in items]
        failed = self.cache.failed(keys)
        if failed and retry_failed:
            self._forgive([item for item in items if item.key in failed])
            failed = {}
        outcomes: dict[int, Outcome | None] = {}
        waiting = []
        for item in items:
            if item.key in failed:
                outcomes[item.index] = Failure(failed[item.key])
            else:
                waiting.append(item)
        while waiting:
            known = self.cache.known([self.key(item) for item in waiting])
            found = [item for item in waiting if self.key(item) in known]
            waiting = []
            for item in found:
                item.stored = known[self.key(item)]
                outcome = self.use(item)
                outcomes[item.index] = outcome
                if outcome is None:
                    waiting.append(item)
        return [(item, outcomes.get(item.index)) for item in items]

    def _forgive(self, items: list[Item]) -> None:
        keys = [
            item.question.key(self.scope(item.question.task).head, attempt)
            for item in items
            for attempt in range(self.settings.answers)
        ]
        self.cache.write_now(self.cache.forgive([item.key for item in items], keys))

    def use(self, item: Item) -> Outcome | None:
        """Read the stored answer; None where it can't be used and the next attempt may do better."""
        stored, item.stored = item.stored, None
        if stored is None:
            return None
        if stored.finish in _DECLINED:
            return Failure(f"the model declined ({stored.finish})")
        try:
            value = item.question.parse(stored.content)
        except InvalidAnswerError as error:
            self.tally.unusable += 1
            item.attempt += 1
            item.cut_off += stored.finish == "length"
            if item.attempt < self.settings.answers:
                return None
            cut_off = "; cut off at the token limit" if stored.finish == "length" else ""
            return Failure(f"no usable answer in {item.attempt} attempts: {error}{cut_off}")
        return Answer(value, stored.cut, cached=item.calls == 0)

    def request(self, item: Item, mode: str, cuts: int = 0) -> Request:
        """Write the request for the item's present attempt, the row cut harder with each of ``cuts``."""
        question, task = item.question, item.question.task
        dialect = self.scope(task).dialect
        per_estimate = dialect.tokens_per_estimate
        known = [size for size in (self.settings.context_tokens, dialect.context_tokens) if size]
        context = min(known, default=_UNKNOWN_CONTEXT)
        max_tokens = min(task.max_tokens * 2**item.cut_off, max(context // 2, task.max_tokens))
        room = context - task.opening_tokens * per_estimate - max_tokens - _MARGIN_TOKENS
        # The limit of one's own counts estimated tokens: what is shown of a row must not hang on how many
        # answers had come, and corrected the estimate, when its turn came.
        limit = max(min(room / per_estimate, self.settings.row_tokens), _LEAST_ROW_TOKENS)
        rendered = question.render(limit * _CUT_FACTOR**cuts)
        estimate = task.opening_tokens + count_tokens_of(rendered.text)
        prompt_tokens = estimate * per_estimate
        price = self.settings.price
        body = dialect.body(
            task,
            rendered.text,
            mode,
            max_tokens=max_tokens,
            temperature=max(task.temperature, _RETRY_TEMPERATURE) if item.attempt else task.temperature,
            seed=task.seed + question.sample * 1000 + item.attempt,
        )
        return Request(
            body={"model": self.settings.model, **body, **self.settings.parameters},
            cut=rendered.cut,
            estimate=estimate,
            prompt_tokens=prompt_tokens,
            max_tokens=max_tokens,
            reserve=price.of(_RESERVE_FACTOR * prompt_tokens, max_tokens) if price else 0.0,
        )

    def charge(
        self, reply: Reply, request: Request | None, *, factor: float = 1.0, share: float = 0.0
    ) -> Charge:
        """Settle what a reply costs, and enter it into the tally.

        A count of tokens that is missing or can't be true is replaced by the bound that was reserved, so that
        the spending cap holds for a server that does not count.

        Parameters
        ----------
        reply
            What came.
        request
            What was asked; None where that is not known any more.
        factor
            Of the price.
        share
            What was reserved for it, for the case that the request is not known.
        """
        prompt_tokens, completion_tokens = reply.prompt_tokens, reply.completion_tokens
        estimate = request.prompt_tokens if request else 0.0
        prompt_missing = prompt_tokens is None or prompt_tokens < _LEAST_COUNTED * estimate
        if prompt_missing:
            prompt_tokens = math.ceil(_RESERVE_FACTOR * estimate)
        completion_missing = completion_tokens is None
        if completion_missing:
            completion_tokens = request.max_tokens if request else math.ceil(count_tokens_of(reply.content))
        estimated = prompt_missing or completion_missing
        cost, price = 0.0, self.settings.price
        if price is not None:
            cost = factor * price.of(prompt_tokens or 0, completion_tokens or 0, reply.cached_tokens)
            if estimated and request is None:
                cost = max(cost, share)
        charge = Charge(prompt_tokens or 0, completion_tokens or 0, cost, estimated)
        self.tally.enter(charge.prompt_tokens, charge.completion_tokens, cost, estimated=estimated)
        return charge

    @staticmethod
    def stored(request_cut: bool, reply: Reply, charge: Charge) -> Stored:  # noqa: FBT001
        """What of a reply is kept."""
        return Stored(
            reply.content, reply.finish, request_cut, charge.prompt_tokens, charge.completion_tokens
        )
