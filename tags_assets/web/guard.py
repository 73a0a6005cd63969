"""The guard in front of Dagster's web app: only the UI's own pages may drive it.

Dagster's webserver has no login and trusts every request: it takes mutations by GET and by forms, and checks
neither Host nor Origin. Any page in the user's browser could launch runs. The guard passes on a request if

- it names this machine by a loopback name: a foreign name that points to 127.0.0.1 is refused;
- it comes from the UI itself, or from no page at all;
- it changes something by POST of JSON alone, which no other page can send unasked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]+)?", re.IGNORECASE)
"""A Host header that names this machine; the port may be another one, as behind an SSH tunnel."""

GRAPHQL = "/graphql"

NO_PAGES = (GRAPHQL, "/logs", "/notebook", "/dagit", "/download_debug", "/report_asset")
"""Paths that are no pages of the UI: a link elsewhere may not lead to them."""

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",  # no clicks lured through a frame
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Added to every response."""


class WebGuard:
    """ASGI app that passes on what the UI itself sends, and answers 403 to the rest.

    Parameters
    ----------
    app
        What is guarded.
    public_origin
        Scheme, host and port of a reverse proxy that serves the UI to others, in lower case.
    """

    def __init__(self, app: ASGIApp, public_origin: str | None = None) -> None:
        self._app, self._public_origin = app, public_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge a request or a websocket by its headers; neither body nor message is read before."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = _refusal(scope, self._public_origin)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
        else:
            answer = PlainTextResponse(f"tags-assets refused this request: {refusal}.\n", status_code=403)
            await answer(scope, receive, _with_headers(send))


def _refusal(scope: Scope, public: str | None) -> str | None:
    """Say why a request is refused; None where it may pass."""
    headers = Headers(scope=scope)
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    allowed = {public} if public else set()
    if len(hosts) == 1 and LOOPBACK_HOST.fullmatch(hosts[0]):
        allowed.add(f"http://{hosts[0]}".lower())
    elif len(hosts) != 1 or public is None or hosts[0].lower() != public.partition("://")[2]:
        return "it names another host; open the UI at http://127.0.0.1 or see --public-address"
    if not allowed.issuperset(origin.lower() for origin in origins):
        return "it comes from another page"
    if scope["type"] == "websocket":
        return None if origins else "a websocket needs an Origin header"
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"} and not _is_link(scope, headers):
        return "it comes from another page"
    return _refusal_of_method(scope, headers)


def _refusal_of_method(scope: Scope, headers: Headers) -> str | None:
    if scope["method"] == "POST":
        types = headers.getlist("content-type")
        if [kind.partition(";")[0].strip().lower() for kind in types] == ["application/json"]:
            return None
        return "a POST must be application/json"
    if scope["method"] not in {"GET", "HEAD"}:
        return "only GET and POST are served"
    if scope["path"].rstrip("/") == GRAPHQL and scope["query_string"]:
        return "GraphQL is answered by POST only"
    return None


def _is_link(scope: Scope, headers: Headers) -> bool:
    """Whether a browser follows a link to a page of the UI, in a tab of its own."""
    return (
        scope["method"] == "GET"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and not scope["path"].startswith(NO_PAGES)
    )


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.append(name, value)
        await send(message)

    return sent
