"""One call to the server, through the ``openai`` package."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx2
import openai

from tags_assets.errors import UserError
from tags_assets.llm.address import is_loopback, public_address
from tags_assets.llm.faults import Fault, FaultKind, fault_of
from tags_assets.llm.replies import Reply, UnreadableReplyError, read_completion
from tags_assets.llm.scrub import hide_key, scrub

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import IO

    from tags_assets.llm.settings import ClientSettings

T = TypeVar("T")

MAX_REPLY_BYTES = 4 * 2**20
"""A longer reply is a fault of the server, not an answer."""

MAX_VECTORS_BYTES = 32 * 2**20
"""The same for a reply with vectors."""

MAX_FILE_BYTES = 2**30
"""The same for a batch's file of answers."""

MAX_ERROR_BYTES = 64 * 2**10
"""What is read of an error; the rest is left unread."""

FILE_TIMEOUT_S = 3600.0
"""For reading a batch's file, from the first byte to the last."""

SLOWEST_UPLOAD = 128 * 2**10
"""Bytes a second at which a batch's file is sent at least."""

_ENCODINGS = ("gzip", "deflate")
_WAITS = ("retry-after", "retry-after-ms")


class _Limited(httpx2.AsyncByteStream):
    """A response's body that ends in a fault where it does not end in time; counts bytes as they are sent."""

    def __init__(self, stream: httpx2.AsyncByteStream, limit: int) -> None:
        self._stream, self._limit = stream, limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        n_bytes = 0
        async for part in self._stream:
            n_bytes += len(part)
            if n_bytes > self._limit:
                raise too_long(self._limit)
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


def too_long(limit: int) -> Fault:
    """Build the fault of a reply that exceeds its limit, sent or decoded."""
    return Fault(
        FaultKind.BROKEN, f"the reply is longer than {limit / 2**20:,.0f} MiB when decoded", maybe_paid=True
    )


class _GuardedClient(httpx2.AsyncClient):
    """Reads replies within limits, and calls no other address than the one it was given.

    A reply is handed on decoded, with nothing of its headers but the wait that it asks for: a server's other
    headers (redirects, cookies, character sets) can do nothing and show up in no log.
    """

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:  # noqa: ANN401  # as the method that it overrides
        options["follow_redirects"] = False
        response = await super().send(request, stream=True, **options)
        try:
            _refuse_redirect(response)
            _refuse_encoding(response)
            if stream and response.is_success:
                response.stream = _Limited(_stream_of(response), MAX_FILE_BYTES)
                return response
            content = await _read(response, request.url.path)
        except BaseException:
            await response.aclose()
            raise
        await response.aclose()
        headers = {name: value for name in _WAITS if (value := response.headers.get(name, "")).isascii()}
        return httpx2.Response(response.status_code, headers=headers, content=content, request=request)


def _stream_of(response: httpx2.Response) -> httpx2.AsyncByteStream:
    if not isinstance(response.stream, httpx2.AsyncByteStream):
        raise TypeError(type(response.stream).__name__)
    return response.stream


async def _read(response: httpx2.Response, path: str) -> bytes:
    limit = MAX_VECTORS_BYTES if path.endswith("/embeddings") else MAX_REPLY_BYTES
    if not response.is_success:
        limit = MAX_ERROR_BYTES
    response.stream = _Limited(_stream_of(response), limit)
    content = bytearray()
    try:
        async for part in response.aiter_bytes():
            content += part
            if len(content) > limit:
                raise too_long(limit)
    except Fault:
        if response.is_success:
            raise
    return bytes(content[:limit])


def _refuse_redirect(response: httpx2.Response) -> None:
    status, place = response.status_code, response.headers.get("location")
    if not 300 <= status < 400:
        return
    try:
        to = f" to {public_address(str(response.request.url.join(place)))}" if place else ""
    except (httpx2.InvalidURL, ValueError):
        to = ""
    raise Fault(
        FaultKind.REFUSED, scrub(f"{status} the server redirects{to}, and no other address is called")
    )


def _refuse_encoding(response: httpx2.Response) -> None:
    value = response.headers.get("content-encoding", "identity")
    encodings = [encoding.strip().lower() for encoding in value.split(",")]
    if len(encodings) > 2 or not {*encodings} <= {*_ENCODINGS, "identity", ""}:
        raise Fault(
            FaultKind.BROKEN,
            scrub(f"the reply is encoded in a way that was not asked for ({value})"),
            maybe_paid=True,
        )


def _shows_no_headers(record: logging.LogRecord) -> bool:
    """Keep the headers of replies out of the log: a server may echo the key in one."""
    return "headers" not in str(record.msg)


@cache
def _tls() -> ssl.SSLContext:
    """Read the trusted certificates once: that takes longer than many a run."""
    return httpx2.create_ssl_context()


class Server:
    """An open connection pool to the server, for one event loop.

    Raises
    ------
    UserError
        If the key can't be sent, or if the environment names a proxy that can't be used.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self.key = settings.api_key
        key = settings.check_key().strip()
        if not key.isascii() or not key.isprintable() or " " in key:
            raise UserError(
                "the API key contains characters that can't be sent in a header",
                where=settings.endpoint,
                fix="Copy it again, without line ends, spaces or quotation marks.",
            )
        limits = httpx2.Limits(
            max_connections=settings.concurrency + 4, max_keepalive_connections=settings.concurrency + 4
        )
        timeout = httpx2.Timeout(settings.timeout_s, connect=settings.connect_timeout_s, pool=None)
        logging.getLogger("httpcore2.http11").addFilter(_shows_no_headers)
        try:
            http_client = _GuardedClient(
                verify=_tls(),
                limits=limits,
                timeout=timeout,
                follow_redirects=False,
                headers={"accept-encoding": ", ".join(_ENCODINGS)},
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                # What is meant for this machine is not sent to a proxy, whatever the environment says.
                trust_env=not is_loopback(settings.base_url),
            )
        except (ImportError, ValueError):
            raise UserError(
                "the proxy that the environment names can't be used",
                where="HTTP_PROXY, HTTPS_PROXY or ALL_PROXY",
                fix="Give an http or https address, or name the server in NO_PROXY.",
            ) from None
        self.api = openai.AsyncOpenAI(
            base_url=settings.base_url,
            api_key=key,
            max_retries=0,  # retries are ours: they know of rows, spending and the breaker
            timeout=timeout,
            http_client=http_client,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.close()

    async def call(self, request: Callable[[], Awaitable[T]], timeout_s: float | None = None) -> T:
        """Make a request; it has until the timeout for all, to the last byte.

        Raises
        ------
        Fault
            Where no reply comes, or one that can't be read.
        """
        try:
            async with asyncio.timeout(timeout_s or self._settings.timeout_s):
                return await request()
        except (openai.OpenAIError, TimeoutError, httpx2.HTTPError, OSError) as error:
            raise fault_of(error, self.key) from None
        except UnreadableReplyError as error:
            raise Fault(FaultKind.BROKEN, scrub(str(error), self.key), maybe_paid=error.maybe_paid) from None

    async def post(self, path: str, body: dict[str, Any], read: Callable[[bytes], T]) -> T:
        """Send a request and read what comes back.

        Raises
        ------
        Fault
            As `call`.
        """

        async def request() -> T:
            # The library's typed models cost as much time again as the call; its plain `post` keeps
            # authentication, errors and connections.
            response = await self.api.post(path, cast_to=httpx2.Response, body=body)
            return read(response.content)

        return await self.call(request)

    async def get(self, path: str, read: Callable[[bytes], T]) -> T:
        """Read what stands at a path.

        Raises
        ------
        Fault
            As `call`.
        """

        async def request() -> T:
            return read((await self.api.get(path, cast_to=httpx2.Response)).content)

        return await self.call(request)

    async def chat(self, body: dict[str, Any]) -> Reply:
        """Ask for a completion.

        Raises
        ------
        Fault
            As `call`.
        """
        return self.without_key(await self.post("/chat/completions", body, read_completion))

    def without_key(self, reply: Reply) -> Reply:
        """Take the key out of an answer: a server that echoes it must not bring it into the cache."""
        content, finish = hide_key(reply.content, self.key), hide_key(reply.finish, self.key)
        if content == reply.content and finish == reply.finish:
            return reply
        return replace(reply, content=content, finish=finish)

    async def download(self, file_id: str, into: IO[bytes]) -> None:
        """Write a file of the server's into one of ours, which is emptied first.

        Raises
        ------
        Fault
            As `call`, and where the file is longer than `MAX_FILE_BYTES`.
        """

        async def request() -> None:
            into.seek(0)
            into.truncate()
            n_bytes = 0
            async with self.api.files.with_streaming_response.content(
                file_id, timeout=FILE_TIMEOUT_S
            ) as file:
                async for part in file.iter_bytes():
                    n_bytes += len(part)
                    if n_bytes > MAX_FILE_BYTES:
                        raise too_long(MAX_FILE_BYTES)
                    into.write(part)

        await self.call(request, FILE_TIMEOUT_S)
