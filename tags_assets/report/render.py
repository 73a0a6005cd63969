"""The report: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import gzip
import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import orjson
import polars as pl
from markupsafe import Markup

from tags_assets.errors import UserError, printable
from tags_assets.report import charts
from tags_assets.report import sentences as words
from tags_assets.report.concepts import concept_shares, partition
from tags_assets.report.ruler import ruler
from tags_assets.report.sections import (
    asked_section,
    before_section,
    changes_section,
    curve_section,
    diversity_section,
    drivers_section,
    key_figures,
    nearly_section,
    rows_section,
    shortages_section,
)
from tags_assets.report.treemap import treemap

if TYPE_CHECKING:
    from tags_assets.report.content import ReportInput

SAID_ELSEWHERE = frozenset({"n_eligible"})
"""Figures that stand among the known ones under another name."""

NOT_A_TARGET = 1e-6
"""KL(T, pool) in nats below which the target asks for nothing but the pool."""


def render_report(report: ReportInput) -> str:
    """Render one selection's report as a single HTML document.

    The document carries its style, its script, its data and plotly.js, and a content security policy that
    forbids every request and every script but its own two (by hash): text of the rows cannot run, whatever it
    holds. It is a function of its input alone: equal input, equal bytes.

    Parameters
    ----------
    report
        See `tags_assets.report.content.ReportInput`.

    Returns
    -------
    str
        UTF-8 encodable HTML, about 2.2 MB, of which plotly.js is 2.0.

    Raises
    ------
    UserError
        Where the nodes are not one tree, or hold no node at all.
    """
    if report.nodes.is_empty():
        raise UserError(
            "the knowledge tree is empty, there is nothing to report on",
            where=f"report of target {report.target}",
            fix="Check that rows have tags.",
        )
    shares = concept_shares(report.nodes, _masses(report))
    parts = partition(shares)
    tree = treemap(shares)
    has_target = bool(shares["target"].is_not_null().any())
    plots: dict[str, charts.Chart] = {}
    context: dict[str, object] = {
        "target": report.target,
        "title": "Selection from the whole pool" if report.target == "pool" else report.target,
        "headline": words.headline(report.figures, report.target),
        "key_figures": key_figures(report, shares),
        "messages": list(report.messages),
        "in_short": [
            line
            for line in (
                words.intake(report.figures),
                " ".join(words.closeness(report.figures, report.target)),
            )
            if line
        ],
        "ruler": ruler(report.figures),
        "certificate": words.certificate(report.figures),
        "request": [
            (name, words.exact(value)) for name, value in report.request.items() if value is not None
        ],
        "has_target": has_target,
        "gradient": ", ".join(charts.UNDER_TO_OVER),
        "tree_note": _tree_note(shares, tree),
        "figures": _figures(report),
        "made": report.made,
        "version": report.version,
        "product_version": _product_version(),
    }
    context |= asked_section(parts, plots)
    context |= shortages_section(report, shares)
    context |= curve_section(report, plots)
    context |= drivers_section(report)
    context |= rows_section(report)
    context |= before_section(report, plots)
    context |= diversity_section(report, plots)
    context |= nearly_section(report)
    context |= changes_section(report, shares)
    context["contents"] = _contents(context)
    library, script = _plotly(), _asset("report.js")
    data = {
        "tree": tree,
        "charts": plots,
        "colours": charts.COLOUR_SCALE,
    }
    packed = _packed(orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY))
    page = _environment().get_template("report.html.jinja")
    return page.render(
        context,
        css=Markup(_asset("report.css")),  # noqa: S704 (our own file)
        script=Markup(script),  # noqa: S704 (our own file)
        data=packed,
        plotly=_packed_plotly(),
        policy=_policy(script, library),
    )


def clean(value: object) -> object:
    """Make text of rows safe to look at: no control characters and none that turn the line's direction.

    HTML itself is escaped by the template; what is left are characters that browsers draw as nothing or that
    make one line run over another.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return printable(value)


def _masses(report: ReportInput) -> pl.DataFrame:
    """Leave the target out where it is the pool: a comparison with both would say the same twice."""
    kl_pool = words.real(report.figures.get("kl_pool"))
    if report.target == "pool" or (kl_pool is not None and kl_pool < NOT_A_TARGET):
        return report.masses.with_columns(pl.lit(None, dtype=pl.Float64).alias("target"))
    return report.masses


def _tree_note(shares: pl.DataFrame, tree: dict[str, list[object]]) -> str:
    leaves, levels = shares.filter(pl.col("level") == 0).height, shares["level"].n_unique()
    note = f"The tree has {shares.height:,} nodes, {leaves:,} of them leaves, on {levels} levels."
    folded = sum(str(node_id).endswith("/rest") for node_id in tree["id"])
    if folded:
        drawn = len(tree["id"]) - folded
        note += (
            f" The map draws the {drawn:,} with most rows and puts the rest together as “smaller concepts”."
        )
    return note


def _figures(report: ReportInput) -> list[tuple[str, str]]:
    known = [
        (label, words.exact(report.figures[name]))
        for name, label in words.FIGURES.items()
        if report.figures.get(name) is not None
    ]
    others = [
        (name.replace("_", " "), words.exact(value))
        for name, value in sorted(report.figures.items())
        if name not in {*words.FIGURES, *SAID_ELSEWHERE}
        and value is not None
        and isinstance(value, str | int | float)
    ]
    return known + others


def _contents(context: dict[str, object]) -> list[tuple[str, str]]:
    return [
        (anchor, label)
        for anchor, label, shown in (
            ("short", "In short", True),
            ("tree", "Tree", True),
            ("asked", "Asked and reached" if context["has_target"] else "Pool and selection", True),
            ("budget", "Budget", bool(context["curve_rows"])),
            ("drivers", "Drivers", True),
            ("selected", "Rows", True),
            ("before", "Before and after", bool(context["has_pool"])),
            ("diversity", "Diversity", bool(context["diversity_rows"] or context["saturation_rows"])),
            ("nearly", "Nearly picked", True),
            ("changed", "What changed", True),
            ("figures", "All figures", True),
        )
        if shown
    ]


def _policy(*scripts: str) -> str:
    """Content security policy: no request to anywhere, and no script but these."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")


@cache
def _plotly() -> str:
    # Found without importing plotly: its Python side takes a second to load and nothing of it is needed.
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("the plotting library is not installed", fix="Install plotly.")
    source = Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
    # A browser reads the text of a script with its line ends made one, and the policy's hash is of that.
    return source.read_text(encoding="utf-8").replace("\r\n", "\n").replace("\r", "\n")


@cache
def _packed_plotly() -> str:
    return _packed(_plotly().encode())


@cache
def _asset(name: str) -> str:
    return (files("tags_assets.report") / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("tags_assets", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=clean,
        trim_blocks=False,
    )


def _product_version() -> str:
    try:
        return version("tags-assets")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "(not installed)"
