"""The report in a real browser: it draws, answers clicks, and asks the network for nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tags_assets.report.render import render_report
from tags_assets_tests.browsing import WAIT_MS, browsers, picture
from tags_assets_tests.report.fixtures import sample_report

pytestmark = pytest.mark.browser

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser(chromium):
    yield from browsers(chromium)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(sample_report(20_000, budget=800, leaves_per_concept=12)), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=[DESK, PHONE], ids=["desk", "phone"])
def loaded(request, browser, report):
    """The report in a window, and everything that it complained of or asked for."""
    page = browser.new_page(viewport=request.param)
    page.set_default_timeout(WAIT_MS)
    heard: list[str] = []
    page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("request", lambda asked: heard.append(f"request: {asked.url}"))
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-ready=yes]", timeout=WAIT_MS)
    yield page, heard
    page.close()


@pytest.fixture
def opened(loaded):
    """The same, as a reader finds it: the whole tree against the target, nothing searched for."""
    page, heard = loaded
    page.evaluate("document.querySelector('input[name=against][value=target]').click()")
    page.fill("#filter", "")
    page.fill("#search", "")
    page.locator("#top").click()
    page.wait_for_function("document.getElementById('concept').dataset.concept === 'root'")
    return page, heard


def test_it_draws_without_a_word_and_asks_nobody(opened, report):
    page, heard = opened
    assert heard == [f"request: {report.as_uri()}"]
    assert page.title() == "Selection for grade_school_math"
    assert page.locator(".js-plotly-plot").count() == 9
    assert page.locator("#treemap .slice").count() > 5
    assert page.locator(".needs-script").inner_text() == ""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    # At once: the page scrolls softly, and a picture of the way there shows something else.
    page.evaluate("document.getElementById('tree').scrollIntoView({behavior: 'instant', block: 'start'})")
    page.wait_for_timeout(300)
    picture(page, "report-tree" if page.viewport_size == DESK else "report-tree-phone")


def test_zoom_goes_in_and_out(opened):
    page, heard = opened
    assert page.locator("#concept").get_attribute("data-concept") == "root"
    # The text lies below the box that takes the click.
    page.locator("#treemap .slice", has_text="mathematics").first.locator("path.surface").click(
        position={"x": 9, "y": 9}
    )
    page.wait_for_function("document.getElementById('concept').dataset.concept === 'd0'")
    assert "rows of the pool" in page.locator("#concept").inner_text()
    page.wait_for_timeout(900)  # plotly's own transition
    assert page.locator("#treemap .slice text", has_text="arithmetic").count() >= 1
    if page.viewport_size == DESK:
        page.evaluate("document.getElementById('tree').scrollIntoView({behavior: 'instant', block: 'start'})")
        page.wait_for_timeout(300)
        picture(page, "report-zoomed")
    page.locator("#top").click()
    page.wait_for_function("document.getElementById('concept').dataset.concept === 'root'")
    assert not heard[1:]


def test_switch_changes_what_the_colours_compare(opened):
    page, heard = opened
    colours = "[...document.querySelectorAll('#treemap .slice path.surface')].map((p) => p.style.fill).join()"
    before = page.evaluate(colours)
    page.get_by_text("the pool", exact=True).click()
    page.wait_for_function("document.getElementById('treemap').dataset.against === 'pool'")
    page.wait_for_timeout(300)
    after = page.evaluate(colours)
    assert before != after
    assert not heard[1:]


def test_search_finds_a_concept_and_goes_there(opened):
    page, _ = opened
    page.fill("#search", "gradient desc")
    hit = page.locator("#hits button").first
    assert "gradient descent" in hit.inner_text()
    assert "mathematics › calculus" in hit.inner_text()  # noqa: RUF001
    page.keyboard.press("Enter")
    page.wait_for_function("document.getElementById('concept').innerText.includes('gradient descent')")
    page.fill("#search", "no such concept")
    assert "No concept" in page.locator("#hits").inner_text()


def test_hostile_concept_is_found_by_its_text_and_does_nothing(opened):
    page, heard = opened
    page.fill("#search", "<img src")
    page.locator("#hits button").first.click()
    page.wait_for_timeout(600)
    assert page.title() == "Selection for grade_school_math"
    assert page.locator("img").count() == 0
    assert not heard[1:]


def test_rows_are_filtered_and_shown_in_portions(opened):
    page, _ = opened
    shown = "document.querySelectorAll('#rows .row:not([hidden])').length"
    assert page.evaluate(shown) == 20
    page.locator("#more").click()
    assert page.evaluate(shown) == 60
    page.fill("#filter", "NUL")
    assert page.evaluate(shown) < 200
    assert "of these 200 rows" in page.locator("#count").inner_text()


def test_without_javascript_every_figure_is_still_there(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert "need JavaScript" in page.locator(".needs-script").inner_text()
    assert "800 rows of 20,000" in page.inner_text("body")
    assert page.locator("table").count() > 5
    context.close()


def overlaps(page, selector):
    """Pairs of texts that run into each other, of those that the selector finds."""
    return page.evaluate(
        """selector => {
            const shown = [...document.querySelectorAll(selector)].filter(one => one.textContent.trim());
            const boxes = shown.map(one => [one.textContent.trim(), one.getBoundingClientRect()]);
            const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1
                && a.top < b.bottom - 1 && b.top < a.bottom - 1;
            return boxes.flatMap(([text, box], at) =>
                boxes.slice(at + 1).filter(([, other]) => meet(box, other)).map(([other]) => [text, other]));
        }""",
        selector,
    )


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize(("floor", "kl"), [(0.0, 0.13), (0.05, 0.06), (0.3, 0.35), (0.55, 0.58), (0.6, 0.61)])
def test_labels_do_not_run_into_each_other(browser, tmp_path, viewport, floor, kl):
    """A limit near the random rows, a selection near both, and a knee near the budget."""
    sample = sample_report()
    figures = {**sample.figures, "kl": kl, "kl_floor": floor, "kl_random": 0.61, "rows_selected": 48}
    rows = np.arange(1, 97)
    curve = pl.DataFrame({"rows": rows, "value": np.minimum(rows, 37) + 0.4 * np.maximum(rows - 37.0, 0)})
    path = tmp_path / "report.html"
    path.write_text(render_report(replace(sample, figures=figures, gain_curve=curve)), encoding="utf-8")
    page = browser.new_page(viewport=viewport)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=yes]", timeout=WAIT_MS)
    page.locator("#chart-gain").scroll_into_view_if_needed()
    page.wait_for_selector("#chart-gain .textpoint text")
    assert overlaps(page, ".ruler .tag") == []
    assert overlaps(page, "#chart-gain .textpoint text") == []
    assert page.locator(".ruler .reach").count() == int(floor > 0)
    assert ("hatched" in page.locator("#short").inner_text()) == (floor > 0)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.close()


def test_notes_stand_above_the_figures(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_report(replace(sample_report(), messages=["Worse than random rows: x"])), "utf-8")
    page = browser.new_page(viewport=DESK)
    page.goto(path.as_uri())
    note, figures = page.locator(".warnings").bounding_box(), page.locator(".numbers").bounding_box()
    assert note["y"] < figures["y"]
    page.close()
