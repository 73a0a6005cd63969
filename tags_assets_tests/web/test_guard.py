"""What passes the guard of the UI and what does not, rule by rule."""

from __future__ import annotations

import asyncio

import pytest

from tags_assets.web.guard import WebGuard

PORT = "127.0.0.1:3000"
OWN = {"host": PORT, "origin": f"http://{PORT}", "content-type": "application/json"}
LINK = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}


async def inner(scope, _receive, send):
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def status(method, path, headers, public=None):
    """Status that the guard gives a request; a websocket is 101 where it may open."""
    url, _, query = path.partition("?")
    scope = {
        "type": "websocket" if method == "WS" else "http",
        "method": method,
        "path": url,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "websocket.connect"}

    asyncio.run(WebGuard(inner, public)(scope, receive, send))
    if method == "WS":
        return 101 if sent[0]["type"] == "websocket.accept" else 403
    return sent[0]["status"]


def changed(**headers):
    found = {**OWN, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return [(name, value) for name, value in found.items() if value is not None]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/graphql", changed()),
        ("POST", "/graphql", changed(origin=None)),  # a program, not a page
        ("POST", "/graphql", changed(content_type="application/json; charset=utf-8")),
        ("POST", "/graphql", changed(host="localhost:8080", origin="http://localhost:8080")),  # an SSH tunnel
        ("POST", "/graphql", changed(host="[::1]:3000", origin="http://[::1]:3000")),
        ("GET", "/runs", changed(origin=None)),
        ("GET", "/graphql", changed(origin=None)),
        ("HEAD", "/", changed(origin=None)),
        (
            "GET",
            "/runs?q=x",
            changed(
                origin=None, sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="document"
            ),
        ),
        ("WS", "/graphql", changed()),
    ],
)
def test_what_the_ui_and_programs_send_passes(method, path, headers):
    assert status(method, path, headers) in {200, 101}


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        *(
            ("POST", "/graphql", changed(host=host, origin=f"http://{host}"))
            for host in (
                "evil.example",
                "evil.example:3000",
                "127.0.0.1.evil.example:3000",
                "localhost.evil.example",
                "127.0.0.1:3000@evil.example",
                "evil.example#127.0.0.1",
                "evil.example/127.0.0.1",
                "evil@127.0.0.1:3000",
                "127.0.0.1:x",
                "[::1",
                "0.0.0.0:3000",
                "",
            )
        ),
        ("POST", "/graphql", changed(host=None)),
        ("POST", "/graphql", [*changed(), ("host", PORT)]),
        *(
            ("POST", "/graphql", changed(origin=origin))
            for origin in (
                "null",
                "http://127.0.0.1:4000",
                "https://127.0.0.1:3000",
                "http://localhost:3000",
                "",
            )
        ),
        ("POST", "/graphql", [*changed(), ("origin", "http://evil.example")]),
        *(
            ("POST", path, changed(content_type=kind))
            for path in ("/graphql", "/graphql?query=mutation", "/report_asset_materialization/landing")
            for kind in (
                None,
                "",
                "text/plain",
                "text/plain; application/json",
                "application/graphql",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=application/json",
            )
        ),
        ("POST", "/graphql", [*changed(), ("content-type", "text/plain")]),
        ("GET", "/graphql?query=mutation{a}", changed(origin=None)),
        ("GET", "/graphql/?query={a}", changed(origin=None)),
        ("HEAD", "/graphql?query=mutation{a}", changed(origin=None)),
        *((method, "/graphql", changed()) for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")),
        ("GET", "/graphql", changed(origin=None, **LINK)),
        ("GET", "/notebook?path=x.ipynb", changed(origin=None, **LINK)),
        ("GET", "/logs/x", changed(origin=None, **LINK)),
        ("GET", "/", changed(origin=None, **{**LINK, "sec_fetch_dest": "iframe"})),
        (
            "GET",
            "/",
            changed(origin=None, **{**LINK, "sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors"}),
        ),
        ("WS", "/graphql", changed(origin=None)),
        ("WS", "/graphql", changed(origin="http://127.0.0.1:4000")),
        ("WS", "/graphql", changed(host="evil.example:3000", origin="http://evil.example:3000")),
    ],
)
def test_what_another_page_can_send_is_refused(method, path, headers):
    assert status(method, path, headers) == 403


def test_a_reverse_proxy_is_let_in_by_its_address_alone():
    public = "https://tags.example.org"
    for host in ("tags.example.org", PORT):
        assert status("POST", "/graphql", changed(host=host, origin=public), public) == 200
        assert status("WS", "/graphql", changed(host=host, origin=public), public) == 101
        assert status("POST", "/graphql", changed(host=host, origin="https://evil.example"), public) == 403
    assert status("POST", "/graphql", changed(host="evil.example", origin=public), public) == 403
    assert status("POST", "/graphql", changed(host="tags.example.org", origin=public)) == 403
