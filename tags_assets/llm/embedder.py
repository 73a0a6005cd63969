"""Embeddings over an OpenAI-compatible API, each text paid for once."""

from __future__ import annotations

import asyncio
import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from tags_assets.errors import UserError
from tags_assets.llm.answer_cache import Elsewhere, OverCap
from tags_assets.llm.blocking import run_blocking
from tags_assets.llm.client import CostEstimate
from tags_assets.llm.conversation import clean
from tags_assets.llm.faults import Fault, FaultKind
from tags_assets.llm.replies import read_vectors
from tags_assets.llm.throttle import Throttle, pause_s
from tags_assets.llm.token_estimate import count_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tags_assets.llm.client import Client
    from tags_assets.llm.online import Server

_PER_CALL = 64
_PER_ROUND = 4096
"""Texts that are looked up and sent before the next are: memory does not grow with their number."""

_MAX_CHARS = 24_000
"""Characters of a text that are embedded: about the 8,000 tokens that embedding models read."""

_RESERVE_FACTOR = 1.5
"""Tokens reserved, and charged where the server does not count, for each that is estimated."""

_LEAST_COUNTED = 0.1
"""Share of the estimated tokens below which a server's count is not believed."""

_MAX_TRIES = 200
_HOLD_S = 0.5
_GRACE_S = 20.0
_LEAST_SHARE = 0.1


class APIEmbedder:
    """Embeds texts through a `Client` whose model is an embedding model.

    Parameters
    ----------
    client
        The server and the cache.
    dimensions
        Length of the vectors, where the model offers a choice.
    """

    def __init__(self, client: Client, *, dimensions: int | None = None) -> None:
        self.client = client
        self.dimensions = dimensions
        self.calls = self.tokens = self.estimated_calls = 0
        self.cost = 0.0
        self._length = dimensions

    def fingerprint_config(self) -> dict[str, object]:
        """What changes the vectors: server, model, length; never the key."""
        settings = self.client.settings
        return {
            "embedder": "api",
            "endpoint": settings.endpoint,
            "model": settings.model,
            "dimensions": self.dimensions,
        }

    @property
    def figures(self) -> dict[str, object]:
        """Calls, tokens and cost so far, for the metadata."""
        price = self.client.settings.price
        return {
            "calls": self.calls,
            "prompt_tokens": self.tokens,
            "calls_with_estimated_cost": self.estimated_calls,
            "cost": round(self.cost, 6) if price else None,
            "currency": price.currency if price else None,
        }

    def __call__(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Embed texts; as `embed`."""
        return self.embed(texts, progress)

    def estimate(self, texts: Sequence[str]) -> CostEstimate:
        """Count tokens and cost of embedding these texts, without a call."""
        settings, head = self.client.settings, self._head()
        kept = [clean(t)[:_MAX_CHARS] for t in texts]
        keys = [_key(head, text) for text in kept]
        known = self.client.cache.known_vectors(keys)
        left = {key: text for key, text in zip(keys, kept, strict=True) if key not in known}
        tokens = int(count_tokens(list(left.values())).sum()) if left else 0
        return CostEstimate(
            questions=len(texts),
            cached=len(texts) - len(left),
            to_ask=len(left),
            prompt_tokens=tokens,
            completion_tokens=0,
            cost=settings.price.of(tokens, 0) if settings.price else None,
            currency=settings.price.currency if settings.price else None,
            seconds=60 * tokens / settings.tokens_per_minute if settings.tokens_per_minute else None,
            basis="estimated",
        )

    def _head(self) -> bytes:
        return orjson.dumps(self.fingerprint_config(), option=orjson.OPT_SORT_KEYS)

    def embed(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """Embed texts.

        Returns
        -------
        Vectors of unit norm, float32 (n, n_dims).

        Raises
        ------
        UserError
            Where the server refuses, is away for too long, or gives something else than vectors; where the
            spending cap is reached.
        """
        rounds = []
        for start in range(0, len(texts), _PER_ROUND):
            rounds.append(
                self._embed_round([clean(t)[:_MAX_CHARS] for t in texts[start : start + _PER_ROUND]])
            )
            if progress:
                progress(min(start + _PER_ROUND, len(texts)), len(texts))
        vectors = np.concatenate(rounds) if rounds else np.zeros((0, self.dimensions or 0), dtype=np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)

    def _embed_round(self, texts: list[str]) -> NDArray[np.float32]:
        head = self._head()
        keys = [_key(head, text) for text in texts]
        known = self.client.cache.known_vectors(keys)
        if known:
            self._check_length(known)
        missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in known}
        if missing:
            known |= run_blocking(lambda: self._fetch(missing))
            self._check_length(known)
        return np.stack([np.frombuffer(known[k], dtype="<f4") for k in keys])

    def _check_length(self, known: dict[bytes, bytes]) -> None:
        """Note how long the vectors are; all must be alike."""
        lengths = {len(vector) // 4 for vector in known.values()} | (
            {self._length} if self._length else set()
        )
        if len(lengths) > 1:
            raise UserError(
                f"gives vectors of {min(lengths):,} and of {max(lengths):,} numbers under the name "
                f"{self.client.settings.model!r}",
                where=self.client.settings.endpoint,
                fix=f"See which model the server runs; vectors of before are in {self.client.cache.path}.",
            )
        self._length = lengths.pop()

    async def _fetch(self, missing: dict[bytes, str]) -> dict[bytes, bytes]:
        pairs = list(missing.items())
        parts = iter([dict(pairs[i : i + _PER_CALL]) for i in range(0, len(pairs), _PER_CALL)])
        out: dict[bytes, bytes] = {}
        throttle = Throttle(self.client.settings)
        from tags_assets.llm.online import Server  # noqa: PLC0415  # takes a second, and most commands call no model

        async with Server(self.client.settings) as server:

            async def work() -> None:
                for part in parts:
                    out.update(await self._fetch_part(server, throttle, part))

            tasks = [asyncio.create_task(work()) for _ in range(self.client.settings.concurrency)]
            try:
                await asyncio.gather(*tasks)
            except UserError:
                for _ in parts:
                    pass  # nothing more is asked; what is under way is paid for, and kept
                await asyncio.wait(tasks, timeout=min(_GRACE_S, self.client.settings.timeout_s))
                raise
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return out

    async def _fetch_part(
        self, server: Server, throttle: Throttle, part: dict[bytes, str]
    ) -> dict[bytes, bytes]:
        faults, share = 0, 1.0
        got: dict[bytes, bytes] | Fault | None = None
        for _ in range(_MAX_TRIES):
            got = await self._call(server, throttle, part, share)
            if isinstance(got, dict):
                return got
            if got is None:  # under way in another process
                await asyncio.sleep(_HOLD_S)
            elif got.kind is FaultKind.TOO_LONG and share > _LEAST_SHARE:
                share *= 0.6
            elif not got.is_transient:
                model = self.client.settings.model
                raise UserError(
                    f"refuses to embed: {got.reason}",
                    where=self.client.settings.endpoint,
                    fix=f"See base_url and key, and that {model!r} is an embedding model.",
                )
            elif got.kind not in {FaultKind.BUSY, FaultKind.DOWN} and not throttle.is_open:
                faults += 1
                if faults >= self.client.settings.attempts:
                    break
                await asyncio.sleep(pause_s(faults))
        raise UserError(
            f"gives no vectors: {got or 'asked for by another process that does not end'}",
            where=self.client.settings.endpoint,
            fix="Run again later; vectors so far are kept.",
        )

    async def _call(
        self, server: Server, throttle: Throttle, part: dict[bytes, str], share: float
    ) -> dict[bytes, bytes] | Fault | None:
        """Claim a call, make it, keep what it brings; None where it is under way elsewhere."""
        cache, account, price = self.client.cache, self.client.account, self.client.settings.price
        key = blake2b(b"".join(part), digest_size=20).digest()
        texts = [t[: max(int(len(t) * share), 1)] or " " for t in part.values()]
        tokens = float(count_tokens(texts).sum())
        await throttle.enter(tokens)
        try:
            reserve = price.of(_RESERVE_FACTOR * tokens, 0) if price else 0.0
            granted = await cache.write(cache.claim(key, account, reserve, tokens))
            if isinstance(granted, OverCap):
                raise UserError(
                    f"the spending cap of {account.cap:g} is reached ({granted.spent:.4g} spent)",
                    where="spending_cap",
                    fix="Raise it, or run again later; vectors so far are kept.",
                )
            if isinstance(granted, Elsewhere):
                known = cache.known_vectors(list(part))
                return known if len(known) == len(part) else None
            self.calls += 1
            try:
                vectors, counted = await server.post(
                    "/embeddings",
                    self._body(texts),
                    lambda content: read_vectors(content, len(texts), self._length),
                )
            except Fault as fault:
                await cache.write(cache.release(key, maybe_paid=fault.maybe_paid))
                if fault.is_transient:
                    throttle.failed(fault, hash(key))
                return fault
            except BaseException:
                cache.write_later(cache.release(key, maybe_paid=True))
                raise
            self._length = len(vectors[0]) // 4
            found = dict(zip(part, vectors, strict=True))
            # Without a count that can be believed, what was reserved is charged.
            believed = counted is not None and counted >= _LEAST_COUNTED * tokens
            used = counted if counted is not None and believed else math.ceil(_RESERVE_FACTOR * tokens)
            self.estimated_calls += not believed
            cost = price.of(used, 0) if price else 0.0
            self.tokens += used
            self.cost += cost
            await cache.write(cache.keep_vectors(key, account, found, used, cost))
        finally:
            throttle.leave()
        throttle.succeeded()
        return found

    def _body(self, texts: list[str]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.client.settings.model,
            "input": texts,
            "encoding_format": "float",
        }
        if self.dimensions:
            body["dimensions"] = self.dimensions
        return body


def _key(head: bytes, text: str) -> bytes:
    return blake2b(head + text.encode(), digest_size=20).digest()
