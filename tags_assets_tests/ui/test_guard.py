"""No page but the UI's own can drive the UI: attacked from a real browser."""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tags_assets.settings.home import Home
from tags_assets_tests.browsing import ARGUMENTS, WAIT_MS
from tags_assets_tests.hostile_folder import make_hostile
from tags_assets_tests.ui.served import served

ADD = """mutation {{ addDynamicPartition(
  partitionsDefName: "targets", partitionKey: "{key}",
  repositorySelector: {{repositoryName: "__repository__", repositoryLocationName: "tags_assets"}}
) {{ __typename }} }}"""

PAGE = """<!doctype html><title>hostile</title><body><script>
const at = "UI/graphql", done = [];
const add = key => `ADD`.replace("KEY", key);
const q = key => at + "?query=" + encodeURIComponent(add(key));
const note = (what, why) => { done.push(what + ": " + why); document.title = done.length; };
new Image().src = q("img");
for (const tag of ["script", "iframe", "embed"]) {
  const one = document.createElement(tag); one.src = q(tag); document.body.append(one);
}
for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
  const frame = document.createElement("iframe"); frame.name = type; document.body.append(frame);
  const form = document.createElement("form");
  Object.assign(form, {action: q("form"), method: "post", enctype: type, target: type});
  const field = document.createElement("input");
  field.name = '{"query": ' + JSON.stringify(add("form-body")) + ', "x": "'; field.value = '"}';
  form.append(field); document.body.append(form); form.submit();
}
const asks = [
  ["get", q("get"), {mode: "no-cors"}],
  ["get-cors", q("get-cors"), {}],
  ["plain", at, {method: "POST", mode: "no-cors", body: JSON.stringify({query: add("plain")})}],
  ["plain-json", at, {method: "POST", mode: "no-cors", body: JSON.stringify({query: add("plain-json")}),
                      headers: {"Content-Type": "text/plain; application/json"}}],
  ["json", at, {method: "POST", headers: {"Content-Type": "application/json"},
                body: JSON.stringify({query: add("json")})}],
  ["put", q("put"), {method: "PUT"}],
  ["report", "UI/report_asset_materialization/landing?data_version=evil", {method: "POST", mode: "no-cors"}],
];
for (const [name, url, how] of asks)
  fetch(url, how).then(r => r.text()).then(t => note(name, t || "opaque")).catch(e => note(name, e.message));
navigator.sendBeacon(q("beacon"), "x");
const socket = new WebSocket("UI".replace("http", "ws") + "/graphql", "graphql-ws");
socket.onopen = () => note("websocket", "OPEN");
socket.onerror = () => note("websocket", "refused");
</script>"""


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """The UI on an empty home, started in a folder where every file is hostile."""
    base = tmp_path_factory.mktemp("guard")
    make_hostile(base / "data", base / "marks", ours=True)
    home = Home(base / "home").prepare()
    with served(home.path, base / "data", base / "terminal.log") as (address, _):
        wait_until_loaded(address)
        yield address, base


def graphql(address, query, **headers):
    request = urllib.request.Request(  # noqa: S310 (loopback)
        f"{address}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 (loopback)
        return json.load(answer)["data"]


def wait_until_loaded(address):
    for _ in range(180):
        found = graphql(address, "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }")
        if found["repositoriesOrError"].get("nodes"):
            return
        time.sleep(1)
    pytest.fail("the code location was not loaded")


def partitions(address):
    query = """{ assetNodeOrError(assetKey: {path: ["selected_subset"]}) {
      ... on AssetNode { partitionKeys } } }"""
    return graphql(address, query)["assetNodeOrError"]["partitionKeys"]


@pytest.fixture(scope="module")
def hostile(ui):
    """A server of another port with a page that tries everything; gives its address."""
    address, _ = ui
    page = PAGE.replace("ADD", ADD.format(key="KEY")).replace("UI", address).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    rebinding = "--host-resolver-rules=MAP rebound.example 127.0.0.1"
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=[*ARGUMENTS, rebinding])
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.slow
def test_a_hostile_page_on_another_port_changes_nothing(ui, hostile, browser):
    address, _ = ui
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(hostile)
    page.wait_for_function("done.length >= 8")
    page.wait_for_timeout(2000)  # what leaves no trace in the page: images, forms, beacons
    told = page.evaluate("done")
    assert "websocket: refused" in told
    assert not any("addDynamicPartition" in one for one in told)
    # Last of all it goes there itself, in its own tab and in a new one.
    query = urllib.parse.quote(ADD.format(key="navigated"))
    with page.expect_popup() as opened:
        page.evaluate(f"open('{address}/graphql?query={query}')")
    opened.value.wait_for_load_state()
    assert "refused" in opened.value.locator("body").inner_text()
    page.evaluate(f"location = '{address}/graphql?query={query}'")
    page.wait_for_url(f"{address}/**")
    page.get_by_text("refused").first.wait_for()
    page.close()
    assert partitions(address) == []


@pytest.mark.browser
@pytest.mark.slow
def test_a_name_that_is_made_to_point_here_reaches_nothing(ui, browser):
    address, _ = ui
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)
    rebound = address.replace("127.0.0.1", "rebound.example")
    answer = page.goto(rebound)
    assert answer.status == 403
    body = json.dumps({"query": ADD.format(key="rebound")})
    status = page.evaluate(
        "async body => (await fetch('/graphql', {method: 'POST', body, "
        "headers: {'Content-Type': 'application/json'}})).status",
        body,
    )
    assert status == 403
    page.close()
    assert partitions(address) == []


@pytest.mark.browser
@pytest.mark.slow
def test_the_ui_itself_changes_things_and_hears_of_them_by_its_websocket(ui, hostile, browser):
    address, _ = ui
    heard = []
    page = browser.new_page()
    page.set_default_timeout(WAIT_MS)

    def hear(frame):
        heard.append(frame)

    page.on("websocket", lambda socket: socket.on("framereceived", hear))
    page.goto(hostile)
    page.evaluate(f"location = '{address}/deployment/locations'")  # a link from elsewhere may open a page
    page.get_by_text("tags_assets").first.wait_for()
    status = page.evaluate(
        "async body => (await fetch('/graphql', {method: 'POST', body, "
        "headers: {'Content-Type': 'application/json'}})).status",
        json.dumps({"query": ADD.format(key="mine")}),
    )
    assert status == 200
    assert partitions(address) == ["mine"]
    for _ in range(60):
        if heard:
            break
        page.wait_for_timeout(500)
    assert heard
    graphql(
        address,
        """mutation { deleteDynamicPartitions(
          partitionsDefName: "targets", partitionKeys: ["mine"],
          repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "tags_assets"}
        ) { __typename } }""",
    )
    page.close()


@pytest.mark.slow
def test_nothing_that_lies_where_the_ui_is_started_is_run_or_read(ui):
    address, base = ui
    assert graphql(address, "{ version }")["version"]
    assert not (base / "marks").exists(), (base / "marks").read_text()
    assert not (base / "data" / "stolen").exists()
    assert ".env" not in (base / "home" / "dagster" / "ui.log").read_text(errors="replace")
    said = (base / "terminal.log").read_text()
    assert said.rstrip().splitlines()[-2].startswith(f"{address}/asset-groups")
