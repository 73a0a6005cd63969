"""The Dagster UI in a real browser: a target is materialized by clicks, and its page says why."""

from __future__ import annotations

import re
import shutil

import pytest

from tags_assets.commands.ui import GRAPH
from tags_assets.graph.runner import run_target
from tags_assets.settings.home import Home
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets_tests.browsing import WAIT_MS, browsers, picture
from tags_assets_tests.requirements_of_tests import CHECKOUT
from tags_assets_tests.ui.served import served

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Silent:
    def step(self, task, done, total):
        pass


@pytest.fixture(scope="module")
def browser(chromium):
    yield from browsers(chromium)


TARGET = "grade_school_math"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The sample pool with a rule of the user's and a target; its selection was taken away again.

    A pool of a few dozen rows would do for the clicks. The pictures are of pages that a reader will meet.
    """
    folder = tmp_path_factory.mktemp("ui")
    variables = {"TAGS_TARGETS": str(folder / "targets"), "TAGS_HOME": str(folder / "home")}
    shutil.copytree(CHECKOUT / "sample" / "pool", folder / "data")
    (folder / "targets").mkdir()
    for file in (CHECKOUT / "targets").glob(f"{TARGET}.*"):
        shutil.copy(file, folder / "targets")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        home = Home.resolve().prepare()
        pool = {"paths": [str(folder / "data")], "filters": {"long_answer": "response_tokens > 110"}}
        home.save_pool("default", home.pool("default").model_copy(update=pool))
        TargetRegistry(home).name(TARGET, "10%")
        run_target(home, TARGET, Silent())
    shutil.rmtree(home.path / "artifacts" / "selected_subset")
    return home, variables


@pytest.fixture(scope="module")
def server(project, tmp_path_factory):
    """``tags-assets ui`` on a free port of loopback; gives its address."""
    home, variables = project
    log = tmp_path_factory.mktemp("log") / "ui.log"
    with served(home.path, home.path, log, variables) as (address, _):
        yield address


@pytest.fixture
def page(browser, server):
    page = browser.new_page(viewport={"width": 1500, "height": 1100}, base_url=server)
    page.set_default_timeout(WAIT_MS)
    page.asked = []
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    page.close()


def test_a_target_is_selected_by_clicks_and_its_page_says_why(page, server):
    page.goto("/assets/selected_subset")
    page.get_by_role("button", name="Materialize").first.click()  # its name begins with its icon's
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All", exact=True).click()  # of the targets: one was named
    dialog.locator("button", has_text="Launch 1 run").click()

    # The notice that the run was launched leads to it.
    page.locator("a[href*='/runs/']", has_text="View").click()
    page.wait_for_url("**/runs/*")
    page.get_by_text("Success", exact=True).first.wait_for()

    page.goto("/assets/selected_subset")
    why = page.locator("table", has=page.get_by_text("of its gain")).last
    why.wait_for()
    assert re.search(r"\d+%", why.inner_text())
    assert "school_math-" in why.inner_text()
    main = page.locator("body").inner_text()
    assert re.search(r"\d\d rows of \d\d\d", main)
    assert f"reports/{TARGET}.html" in main
    page.get_by_text("Open selected_subset.py").first.wait_for()
    why.evaluate("table => table.scrollIntoView({block: 'start'})")
    picture(page, "ui-why")
    # Nothing outside of this machine was asked for.
    assert {url.split("/")[2] for url in page.asked if url.startswith("http")} == {server.split("/")[2]}


@pytest.mark.parametrize(
    ("asset", "answer"),
    [
        ("raw_instances", "rows came in from 8 files"),
        ("rejected_rows", "rows could not be read, in 1 of 8 files"),
        ("filtered_rows", "were taken out and cannot be selected"),
        ("quality_judgements", "No judge is set"),
        ("tag_vocabulary", "This is the first version: every tag is new."),
        ("knowledge_tree", "Built for the first time"),
        ("instance_scores", "Half of the rows are above"),
        ("target_distribution", "Half of what it asks lies in"),
    ],
)
def test_a_page_answers_its_first_question(page, asset, answer):
    page.goto(f"/assets/{asset}")
    said = page.get_by_text(answer).first
    said.wait_for()
    said.scroll_into_view_if_needed()
    picture(page, f"ui-{asset.replace('_', '-')}")


def test_the_graph_is_drawn(browser, server):
    # Twice the dots: the names in the boxes are small, and a picture is enlarged by who wants to read them.
    page = browser.new_page(viewport={"width": 1500, "height": 1100}, device_scale_factor=2, base_url=server)
    page.set_default_timeout(WAIT_MS)
    page.goto(GRAPH)
    page.get_by_text("sampling", exact=True).first.wait_for()
    page.get_by_text("knowledge_tree", exact=True).first.wait_for()  # the groups are unfolded
    page.wait_for_timeout(2000)  # the graph glides into its place
    picture(page, "ui-graph")
    page.close()


def test_the_report_that_a_page_names_opens(browser, project):
    home, _ = project
    page = browser.new_page(viewport={"width": 1280, "height": 1960})
    page.set_default_timeout(WAIT_MS)
    page.goto(home.report(TARGET).as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    assert page.get_by_role("heading", name=TARGET).count() == 1
    page.wait_for_timeout(500)
    picture(page, "report")
    page.close()
