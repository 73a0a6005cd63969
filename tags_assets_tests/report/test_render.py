"""The report is one file that holds everything, asks for nothing and trusts no row."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import polars as pl
import pytest

from tags_assets.errors import UserError
from tags_assets.report.content import ReportInput
from tags_assets.report.render import render_report
from tags_assets_tests.report.fixtures import HOSTILE, sample_report

LARGEST = 5_000_000


class Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._script: list[str] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self._script = []

    def handle_data(self, data):
        if self._script is not None:
            self._script.append(data)

    def handle_endtag(self, tag):
        if tag == "script" and self._script is not None:
            self.scripts.append("".join(self._script))
            self._script = None


@pytest.fixture(scope="module")
def text():
    return render_report(sample_report())


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def packed(text: str, name: str) -> bytes:
    found = re.search(rf'id="{name}">([A-Za-z0-9+/=]+)<', text)
    return gzip.decompress(base64.b64decode(found[1]))


def test_equal_input_gives_equal_bytes(text):
    assert render_report(sample_report()) == text


def test_report_of_100_000_rows_stays_below_5_mb():
    big = render_report(sample_report(100_000, budget=5_000, leaves_per_concept=80))
    assert len(big.encode()) < LARGEST


def test_nothing_in_it_points_anywhere(page):
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset", "background", "formaction"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
    assert {tag for tag, _ in page.tags} & {"img", "iframe", "object", "embed", "form", "base"} == set()


def test_policy_allows_its_own_scripts_by_hash_and_no_request(page, text):
    policy = next(a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "connect-src" not in policy
    running = page.scripts[-1]
    for script in (running, packed(text, "plotly").decode()):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_hostile_text_is_shown_and_never_acted_on(page, text):
    kinds = [a.get("type") for tag, a in page.tags if tag == "script"]
    assert kinds == ["application/octet-stream", "application/octet-stream", None]
    assert "document.title=" not in re.sub(r"&#39;|&lt;|&gt;", "", html.escape("".join(page.scripts)))
    assert html.escape(HOSTILE[0]).replace("&#x27;", "&#39;") in text
    assert "{{ 7 * 7 }}" in html.unescape(text)
    for unseen in ("\x00", "\x1b", "\u202e", "\x07"):
        assert unseen not in text


def test_hostile_names_of_concepts_reach_the_script_as_data_alone(text):
    tree = json.loads(packed(text, "data"))["tree"]
    assert HOSTILE[0] in tree["name"]


def test_it_says_what_was_asked_for_and_what_was_reached(text):
    said = html.unescape(text)
    for sentence in (
        "200 rows of 4,000 (5.0%)",
        "The pool as a whole is 2.31 nats from the target",
        "can score more than 0.37% above this one",
        "4,321 rows were read: 88 could not be read, 221 were duplicates and 12 had no tag",
        "12 rows have no tags and cannot be chosen",
        "alignment went from 0.4 to 0.5",
        "171 rows kept",
    ):
        assert sentence in said
    assert re.search(r"The pool has [\d.]+ rows? on “[^”]+”, the target needs [\d.]+ rows", said)


def test_every_plot_has_its_place_and_every_place_its_plot(page, text):
    places = {a["id"] for _, a in page.tags if (a.get("id") or "").startswith("chart-")}
    assert places == set(json.loads(packed(text, "data"))["charts"])


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for tag, a in page.tags if tag == "a"} <= set(ids)


def test_report_without_a_target_has_no_switch(text):
    plain = render_report(sample_report(with_target=False))
    assert 'name="against"' in text
    assert 'name="against"' not in plain
    assert "Selection from the whole pool" in plain


def test_the_pool_as_target_is_no_target():
    pool = replace(sample_report(), target="pool")
    assert 'name="against"' not in render_report(pool)


def test_report_of_the_least_input_is_whole():
    full = sample_report()
    least = ReportInput(target="maths", nodes=full.nodes, masses=full.masses, figures={})
    plain = render_report(least)
    for words in ("contains no rows", "no attribution", "first version", "No certificate"):
        assert words in plain
    assert "chart-gain" not in {a.get("id") for _, a in Page(plain).tags}


def test_report_of_an_empty_selection_is_drawn():
    full = sample_report()
    nothing = full.masses.with_columns(pl.lit(0.0).alias("selection"))
    render_report(
        replace(
            full,
            masses=nothing,
            rows=full.rows.clear(),
            pool=full.pool.with_columns(selected=pl.lit(value=False)),
        )
    )


def test_nulls_in_rows_are_drawn():
    full = sample_report()
    gone = full.rows.with_columns(
        *(
            pl.lit(None, dtype=full.rows.schema[name]).alias(name)
            for name in ("id", "source", "prompt", "response", "tags")
        )
    )
    render_report(replace(full, rows=gone))


def test_empty_tree_is_one_clear_line():
    full = sample_report()
    with pytest.raises(UserError, match="the knowledge tree is empty"):
        render_report(replace(full, nodes=full.nodes.clear()))


def test_inferred_concepts_are_marked():
    sample = sample_report()
    text = render_report(sample)
    driver = sample.drivers.filter(pl.col("inferred") > 0).row(0, named=True)
    assert f"inferred in {driver['inferred']:,} of {driver['rows']:,} rows" in text
    assert "discount <i>inferred</i>" in text
    assert "Only what rows name is listed" in render_report(replace(sample, inferred_shown=False))
