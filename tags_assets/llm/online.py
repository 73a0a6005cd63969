"""One call to the server, through the ``openai`` package."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import httpx2
import openai
import orjson

from tags_assets.llm.faults import Fault, FaultKind, fault_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from tags_assets.llm.settings import ClientSettings

MAX_REPLY_BYTES = 32 * 2**20
"""A longer reply is a fault of the server, not an answer."""

MAX_FILE_BYTES = 2**30
"""The same for a batch's file of answers."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    ``cached_tokens`` are prompt tokens that the provider had in its own cache.
    """

    content: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


class _Bounded(httpx2.AsyncByteStream):
    """A response's body that ends in an error where it does not end in time."""

    def __init__(self, stream: httpx2.AsyncByteStream, limit: int) -> None:
        self._stream, self._limit = stream, limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        n_bytes = 0
        async for part in self._stream:
            n_bytes += len(part)
            if n_bytes > self._limit:
                raise httpx2.ReadError(f"the reply is longer than {self._limit} bytes")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _bound(response: httpx2.Response) -> None:
    if isinstance(response.stream, httpx2.AsyncByteStream):
        is_file = response.request.url.path.endswith("/content")
        response.stream = _Bounded(response.stream, MAX_FILE_BYTES if is_file else MAX_REPLY_BYTES)


@cache
def _tls() -> ssl.SSLContext:
    """Read the trusted certificates once: that takes longer than many a run."""
    return httpx2.create_ssl_context()


class Server:
    """An open connection pool to the server, for one event loop."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self._key = settings.check_key()
        limits = httpx2.Limits(
            max_connections=settings.concurrency + 4, max_keepalive_connections=settings.concurrency + 4
        )
        timeout = httpx2.Timeout(settings.timeout_s, connect=settings.connect_timeout_s, pool=None)
        self.api = openai.AsyncOpenAI(
            base_url=settings.base_url,
            api_key=self._key,
            max_retries=0,  # retries are ours: they know of rows, spending and the breaker
            timeout=timeout,
            http_client=openai.DefaultAsyncHttpxClient(
                verify=_tls(), limits=limits, timeout=timeout, event_hooks={"response": [_bound]}
            ),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.close()

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request and read the JSON that comes back.

        Raises
        ------
        Fault
            Where none comes.
        """
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                # The library's typed models cost as much time again as the call; its plain `post` keeps
                # authentication, errors and connections.
                response = await self.api.post(path, cast_to=httpx2.Response, body=body)
                content = response.content
        except (openai.OpenAIError, TimeoutError, httpx2.HTTPError, OSError) as error:
            raise fault_of(error, self._key) from None
        try:
            reply = orjson.loads(content)
        except orjson.JSONDecodeError:
            raise Fault(FaultKind.BROKEN, "the reply is not JSON", maybe_paid=True) from None
        if not isinstance(reply, dict):
            raise Fault(FaultKind.BROKEN, "the reply is not an object", maybe_paid=True)
        return reply

    async def chat(self, body: dict[str, Any]) -> Reply:
        """Ask for a completion.

        Raises
        ------
        Fault
            Where none comes.
        """
        return read_completion(await self.post("/chat/completions", body))


def read_completion(reply: dict[str, Any]) -> Reply:
    """Read a chat completion.

    Raises
    ------
    Fault
        Where it is an error in disguise, or no completion.
    """
    error = reply.get("error")
    if error:
        said = error.get("message") if isinstance(error, dict) else error
        raise Fault(FaultKind.BROKEN, f"an error inside a reply: {str(said)[:200]}")
    try:
        choice = reply["choices"][0]
        message = choice.get("message") or {}
        content, refusal = message.get("content"), message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Fault(FaultKind.BROKEN, "the reply holds no choice", maybe_paid=True) from None
    usage = reply.get("usage") or {}
    finish = str(choice.get("finish_reason") or "stop")
    if refusal:
        content, finish = refusal, "refusal"
    return Reply(
        content=content if isinstance(content, str) else "",
        finish=finish,
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        cached_tokens=_count((usage.get("prompt_tokens_details") or {}).get("cached_tokens")),
    )


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) and value >= 0 else 0
