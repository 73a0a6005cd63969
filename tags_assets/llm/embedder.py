"""Embeddings over an OpenAI-compatible API, each text paid for once."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from tags_assets.errors import UserError
from tags_assets.llm.blocking import run_blocking
from tags_assets.llm.cache import Elsewhere, OverCap
from tags_assets.llm.conversation import clean
from tags_assets.llm.faults import Fault, FaultKind
from tags_assets.llm.online import Server
from tags_assets.llm.throttle import Throttle, pause_s
from tags_assets.llm.tokens import count_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tags_assets.llm.client import Client

_PER_CALL = 64
_PER_ROUND = 4096
"""Texts that are looked up and sent before the next are: memory does not grow with their number."""

_MAX_CHARS = 24_000
"""Characters of a text that are embedded: about the 8,000 tokens that embedding models read."""

_MAX_TRIES = 200
_MAX_CUTS = 4


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
        self.calls = 0

    def fingerprint_config(self) -> dict[str, object]:
        """What changes the vectors: server, model, length; never the key."""
        settings = self.client.settings
        return {
            "embedder": "api",
            "endpoint": settings.endpoint,
            "model": settings.model,
            "dimensions": self.dimensions,
        }

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
            Where the server refuses, is away for too long, or gives something else than vectors; where the spending
            cap is reached.
        """
        rounds = []
        for start in range(0, len(texts), _PER_ROUND):
            rounds.append(
                self._embed_round([clean(t)[:_MAX_CHARS] for t in texts[start : start + _PER_ROUND]])
            )
            if progress:
                progress(min(start + _PER_ROUND, len(texts)), len(texts))
        if len({v.shape[1] for v in rounds}) > 1:
            raise UserError(
                "the server gives vectors of different lengths", where=self.client.settings.endpoint
            )
        vectors = np.concatenate(rounds) if rounds else np.zeros((0, self.dimensions or 0), dtype=np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(norms > 0, norms, 1), dtype=np.float32)

    def _embed_round(self, texts: list[str]) -> NDArray[np.float32]:
        head = orjson.dumps(self.fingerprint_config(), option=orjson.OPT_SORT_KEYS)
        keys = [blake2b(head + t.encode(), digest_size=20).digest() for t in texts]
        known = self.client.cache.known_vectors(keys)
        missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in known}
        if missing:
            known |= run_blocking(lambda: self._fetch(missing))
        return np.stack([np.frombuffer(known[k], dtype="<f4") for k in keys])

    async def _fetch(self, missing: dict[bytes, str]) -> dict[bytes, bytes]:
        pairs = list(missing.items())
        parts = iter([dict(pairs[i : i + _PER_CALL]) for i in range(0, len(pairs), _PER_CALL)])
        out: dict[bytes, bytes] = {}
        throttle = Throttle(self.client.settings)
        async with Server(self.client.settings) as server:

            async def work() -> None:
                for part in parts:
                    out.update(await self._fetch_part(server, throttle, part))

            tasks = [asyncio.create_task(work()) for _ in range(self.client.settings.concurrency)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return out

    async def _fetch_part(
        self, server: Server, throttle: Throttle, part: dict[bytes, str]
    ) -> dict[bytes, bytes]:
        client, faults, share = self.client, 0, 1.0
        claim_key = blake2b(b"".join(part), digest_size=20).digest()
        price = client.settings.price
        for _ in range(_MAX_TRIES):
            texts = [t[: max(int(len(t) * share), 1)] or " " for t in part.values()]
            tokens = float(count_tokens(texts).sum())
            reserve = price.of(1.5 * tokens, 0) if price else 0.0
            await throttle.enter(tokens)
            try:
                granted = await client.cache.write(
                    client.cache.claim(claim_key, client.account, reserve, tokens)
                )
                if isinstance(granted, OverCap):
                    raise UserError(
                        f"the spending cap of {client.settings.spending_cap:g} is reached ({granted.spent:.4g} spent)",
                        where="spending_cap",
                        mend="Raise it, or run again later; vectors so far are kept.",
                    )
                if isinstance(granted, Elsewhere):
                    known = client.cache.known_vectors(list(part))
                    if len(known) == len(part):
                        return known
                    fault = None
                else:
                    self.calls += 1
                    try:
                        vectors, used = self._read(
                            await server.post("/embeddings", self._body(texts)), len(texts)
                        )
                        found = dict(zip(part, vectors, strict=True))
                        cost = price.of(used, 0) if price else 0.0
                        await client.cache.write(
                            client.cache.keep_vectors(claim_key, client.account, found, used, cost)
                        )
                        throttle.succeeded()
                        return found
                    except Fault as caught:
                        fault = caught
                        await client.cache.write(client.cache.release(claim_key, maybe_paid=fault.maybe_paid))
            finally:
                await throttle.leave()
            if fault is None:
                await asyncio.sleep(0.5)
                continue
            if fault.kind is FaultKind.TOO_LONG and share > 0.6**_MAX_CUTS:
                share *= 0.6
                continue
            if not fault.is_transient:
                raise UserError(
                    f"refuses to embed: {fault.reason}",
                    where=client.settings.endpoint,
                    mend=f"See base_url and key, and that {client.settings.model!r} is an embedding model.",
                )
            throttle.failed(fault)
            if fault.kind not in {FaultKind.BUSY, FaultKind.DOWN} and not throttle.is_open:
                faults += 1
                await asyncio.sleep(pause_s(faults))
            if faults >= client.settings.attempts:
                break
        raise UserError(
            f"gives no vectors: {fault.reason if fault else 'under way elsewhere'} (in {client.settings.attempts} calls)",
            where=client.settings.endpoint,
            mend="Run again later; vectors so far are kept.",
        )

    def _body(self, texts: list[str]) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.client.settings.model,
            "input": texts,
            "encoding_format": "float",
        }
        if self.dimensions:
            body["dimensions"] = self.dimensions
        return body

    @staticmethod
    def _read(reply: dict[str, Any], n: int) -> tuple[list[bytes], int]:
        try:
            rows = sorted(reply["data"], key=lambda row: row["index"])
            vectors = [np.asarray(row["embedding"], dtype="<f4") for row in rows]
            used = int((reply.get("usage") or {}).get("prompt_tokens") or 0)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise Fault(FaultKind.BROKEN, "the reply holds no vectors", maybe_paid=True) from None
        if len(vectors) != n or any(v.ndim != 1 or not len(v) or not np.isfinite(v).all() for v in vectors):
            raise Fault(
                FaultKind.BROKEN, f"{len(vectors)} vectors for {n} texts, or not finite", maybe_paid=True
            )
        return [v.tobytes() for v in vectors], used
