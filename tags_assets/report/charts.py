"""Plots as plotly.js figures: plain dictionaries, so that no plotting code runs in Python."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tags_assets.report.sentences import number
from tags_assets.text import clipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNDER_TO_OVER = ("#8a4500", "#cf7d2c", "#f0c99d", "#f3f3f0", "#b3d2e8", "#4f97c8", "#084a86")
"""From an eighth to eight times: orange to blue, which every common colour-vision deficiency tells apart,
with equal lightness at equal distance from the middle."""

COLOUR_SCALE = [[place / (len(UNDER_TO_OVER) - 1), colour] for place, colour in enumerate(UNDER_TO_OVER)]
"""The same as plotly takes it: every treemap has this one scale."""

Chart = dict[str, Any]
"""``data`` and ``layout`` of plotly.js, and ``narrow``: what changes in the layout on a phone."""

# Okabe and Ito's palette: told apart with any of the common colour-vision deficiencies. Marks differ in shape
# as well.
POOL, SELECTION, TARGET, INK, GRID = "#9aa3ad", "#0072b2", "#d55e00", "#2b3138", "#e6e8eb"
POOL_FILL, SELECTION_FILL = "rgba(154,163,173,.35)", "rgba(0,114,178,.12)"
STEPS = ["#eceef0", "#cfe3f1", "#8fbfe0", "#3f93c9", "#00568a"]
"""A sequence in one hue for ordered classes, light to dark."""

LEGEND = {"orientation": "h", "xref": "container", "yref": "container", "x": 0, "y": 1.0, "yanchor": "top"}

CLOSE = 0.35
"""Share of the width of a plot within which the labels of two points run into each other."""

BARS_SHOWN = 12
LEAST_BAR = 0.002
"""Share of pool or selection from which a value has a bar of its own: a smaller one is not seen."""
LONGEST_LABEL = 34


def axis_label(text: str, length: int = LONGEST_LABEL) -> str:
    """Cut a label and escape it: plotly.js reads labels as a kind of HTML, and names come from the rows."""
    return escape(clipped(" ".join(text.split()), length), quote=False)


def gain_curve(
    curve: pl.DataFrame, budget: int | None, *, with_knee: bool = True
) -> tuple[Chart, list[tuple[int, float]]]:
    """Plot value against budget, dashed beyond the selection's own, with the knee marked where it has one.

    Returns
    -------
    The chart, and (rows, share of the value at the budget) pairs for a table.
    """
    curve = curve.filter(pl.col("value").is_finite()).sort("rows")
    n, value = curve["rows"].to_numpy().astype(np.float64), curve["value"].to_numpy().astype(np.float64)
    at = float(budget or n[-1])
    whole = float(np.interp(at, np.r_[0.0, n], np.r_[0.0, value])) or 1.0
    n, share = np.r_[0.0, n], np.r_[0.0, value / whole]
    bend = int(np.rint(knee(n, share)))
    points, further = thinned(n[n <= at], share[n <= at]), (n[n >= at], share[n >= at])
    marks = sorted({*(max(1, round(at * part)) for part in (0.1, 0.25, 0.5, 0.75, 1.0))})
    marks = sorted({*marks, bend}) if with_knee else marks
    beyond = [round(at * part) for part in (1.25, 1.5, 2.0, 4.0) if at * part <= n[-1]]
    table = [(mark, float(np.interp(mark, n, share))) for mark in [*marks, *beyond] if mark > 0]
    at_bend = float(np.interp(bend, n, share))
    # Near the budget's label, the knee's stands on the other side of the curve.
    apart = abs(at - bend) > CLOSE * float(n[-1])
    at_knee = "bottom right" if apart else "top left" if beyond else "bottom left"
    chart: Chart = {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": np.round(points[0], 1).tolist(),
                "y": np.round(points[1], 5).tolist(),
                "line": {"color": SELECTION, "width": 2.5},
                "fill": "tozeroy",
                "fillcolor": SELECTION_FILL,
                "hovertemplate": "a budget of %{x:,.0f} rows<br>gives %{y:.1%} of the value<extra></extra>",
                "showlegend": False,
            },
            {
                "type": "scatter",
                "mode": "lines",
                "x": np.round(further[0], 1).tolist(),
                "y": np.round(further[1], 5).tolist(),
                "line": {"color": SELECTION, "width": 2.5, "dash": "dot"},
                "hovertemplate": "a budget of %{x:,.0f} rows<br>would give %{y:.1%}<extra></extra>",
                "showlegend": False,
            },
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": [at, bend][: 1 + with_knee],
                "y": [1.0, at_bend][: 1 + with_knee],
                "text": [f"budget: {round(at):,} rows", f"knee: {bend:,} rows, {at_bend:.0%}"],
                "textposition": ["bottom right" if beyond else "top left", at_knee],
                "textfont": {"color": INK, "size": 12},
                "marker": {
                    "color": [SELECTION, "#ffffff"],
                    "symbol": ["circle", "diamond"],
                    "size": 11,
                    "line": {"color": SELECTION, "width": 2.5},
                },
                "hoverinfo": "skip",
                "showlegend": False,
                "cliponaxis": False,
            },
        ],
        "layout": _layout(
            height=340,
            xaxis={"title": {"text": "rows picked"}, "tickformat": ",d", "rangemode": "tozero"},
            yaxis={
                "title": {"text": "share of the value"},
                "tickformat": ".0%",
                "range": [0, 1.14 * float(share[-1])],
            },
            hovermode="x",
        ),
    }
    return chart, table


def knee(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Find where a concave curve bends most: the point farthest above its chord.

    Satopaa et al., "Finding a 'Kneedle' in a Haystack" (2011), for a curve without noise.
    """
    if len(x) < 3:
        return float(x[-1])
    across, up = (x - x[0]) / ((x[-1] - x[0]) or 1.0), (y - y[0]) / ((y[-1] - y[0]) or 1.0)
    return float(x[int(np.argmax(up - across))])


def knee_of(curve: pl.DataFrame) -> tuple[int, float]:
    """Find the knee of a gain curve: its rows, and how far above the chord it lies, as a share."""
    curve = curve.filter(pl.col("value").is_finite()).sort("rows")
    n = np.r_[0.0, curve["rows"].to_numpy().astype(np.float64)]
    value = np.r_[0.0, curve["value"].to_numpy().astype(np.float64)]
    bend = knee(n, value)
    whole = value[-1] or 1.0
    return round(bend), float(np.interp(bend, n, value) / whole - bend / (n[-1] or 1.0))


def thinned(
    x: NDArray[np.float64], y: NDArray[np.float64], most: int = 400
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Keep at most ``most`` points of a curve, denser near its start where it bends."""
    if len(x) <= most:
        return x, y
    places = np.unique(np.rint((np.linspace(0, 1, most) ** 1.6) * (len(x) - 1)).astype(np.int64))
    return x[places], y[places]


def asked_and_reached(parts: pl.DataFrame) -> Chart:
    """Plot, per concept, the share of pool, selection and target on one line."""
    has_target = bool(parts["target"].is_not_null().any())
    order = "target" if has_target else "selection_share"
    parts = parts.sort([order, "path"], descending=[False, True], nulls_last=False)
    names = [axis_label(name) for name in told_apart(parts["path"].to_list())]
    short = [axis_label(name, 19) for name in told_apart(parts["path"].to_list())]
    places = list(range(parts.height))
    columns = ["pool_share", "selection_share"] + (["target"] if has_target else [])
    low = parts.select(pl.min_horizontal(columns)).to_series().to_list()
    high = parts.select(pl.max_horizontal(columns)).to_series().to_list()
    series = [
        ("pool", "pool_share", POOL, "line-ns-open", 12),
        ("target", "target", TARGET, "diamond-open", 12),
        ("selection", "selection_share", SELECTION, "circle", 11),
    ]
    between = {
        "type": "scatter",
        "mode": "lines",
        "x": [x for pair in zip(low, high, strict=True) for x in (*pair, None)],
        "y": [y for place in places for y in (place, place, None)],
        "line": {"color": GRID, "width": 5},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    marks = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": parts[column].round(6).to_list(),
            "y": places,
            "customdata": names,
            "marker": {"color": color, "symbol": symbol, "size": size, "line": {"width": 3, "color": color}},
            "cliponaxis": False,
            "hovertemplate": "%{customdata}<br>" + name + ": %{x:.2%}<extra></extra>",
        }
        for name, column, color, symbol, size in series
        if name != "target" or has_target
    ]
    return {
        "narrow": {"yaxis.ticktext": short, "xaxis.nticks": 4},
        "data": [between, *marks],
        "layout": _layout(
            height=90 + 27 * parts.height,
            xaxis={"tickformat": ".0%", "rangemode": "tozero", "side": "top", "zeroline": False},
            yaxis={
                "tickvals": places,
                "ticktext": names,
                "range": [-0.7, parts.height - 0.3],
                "showgrid": False,
                "zeroline": False,
            },
            margin={"l": 8, "r": 16, "t": 64, "b": 8},
        ),
    }


def told_apart(paths: list[str]) -> list[str]:
    """Name concepts by the last step of their paths, by the last two where that names several alike."""
    last = [last_steps(path, 1) for path in paths]
    return [
        name if last.count(name) == 1 else last_steps(path) for name, path in zip(last, paths, strict=True)
    ]


def last_steps(path: str, steps: int = 2) -> str:
    """Shorten a path to its last steps: "mathematics > algebra > quadratic formula" to the last two."""
    return " > ".join(path.split(" > ")[-steps:])


def shares(counts: pl.DataFrame, value: str) -> tuple[Chart, pl.DataFrame]:
    """Plot the make-up of pool and selection by one attribute, the largest values by name.

    Parameters
    ----------
    counts
        One row per eligible instance with ``selected`` and the column ``value``.

    Returns
    -------
    The chart, and the frame ``value, pool, selection`` (shares) that it shows.
    """
    table = (
        counts.group_by(pl.col(value).fill_null("unknown").alias("value"))
        .agg(pl.len().alias("pool"), pl.col("selected").sum().alias("selection"))
        .sort(["selection", "pool", "value"], descending=[True, True, False])
        .with_columns(
            pl.col("pool") / max(counts.height, 1),
            pl.col("selection") / max(int(counts["selected"].sum()), 1),
        )
    )
    seen = table.filter(pl.max_horizontal("pool", "selection") >= LEAST_BAR).height
    shown = min(table.height, BARS_SHOWN, max(seen, 1) + 1)
    if table.height > shown:
        rest = table[shown - 1 :]
        others = rest.select(
            pl.lit(f"{rest.height:,} others").alias("value"), pl.col("pool", "selection").sum()
        ).head(1)
        table = pl.concat([table[: shown - 1], others])
    names = [axis_label(name, 22) for name in table["value"]]
    places = list(range(table.height))
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": table[name].round(6).to_list(),
            "y": places,
            "customdata": names,
            "marker": {"color": color},
            "hovertemplate": "%{customdata}<br>" + name + ": %{x:.2%}<extra></extra>",
        }
        for name, color in (("pool", POOL), ("selection", SELECTION))
    ]
    chart: Chart = {
        "data": bars,
        "layout": _layout(
            height=84 + 34 * table.height,
            barmode="group",
            bargap=0.3,
            bargroupgap=0.08,
            xaxis={"tickformat": ".0%", "rangemode": "tozero"},
            yaxis={
                "tickvals": places,
                "ticktext": names,
                "autorange": "reversed",
                "showgrid": False,
                "zeroline": False,
            },
        ),
    }
    return chart, table


def histogram(
    pool: NDArray[np.float64],
    selection: NDArray[np.float64],
    *,
    title: str,
    logarithmic: bool = False,
    most_bins: int = 32,
) -> Chart:
    """Plot how a quantity is distributed in pool and selection, each as shares of its own rows."""
    pool, selection = pool[np.isfinite(pool)], selection[np.isfinite(selection)]
    everything = np.concatenate([pool, selection])
    # About three rows of the selection to a bin at the least, or the outline is noise.
    bins = int(np.clip(np.sqrt(len(selection)) * 1.1, 12, most_bins))
    if logarithmic:
        top = max(float(everything.max(initial=1.0)), 2.0)
        edges = np.unique(np.rint(np.geomspace(1.0, top + 1.0, bins + 1)))
    else:
        low, high = float(everything.min(initial=1.0)), float(everything.max(initial=0.0))
        edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    traces = []
    for name, values, color, fill in (
        ("pool", pool, POOL, POOL_FILL),
        ("selection", selection, SELECTION, SELECTION_FILL),
    ):
        held = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)[0] / max(len(values), 1)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": np.round(np.repeat(edges, 2), 4).tolist(),
                "y": np.round(np.r_[0.0, np.repeat(held, 2), 0.0], 6).tolist(),
                "line": {"color": color, "width": 2},
                "fill": "tozeroy",
                "fillcolor": fill,
                "hovertemplate": name + ": %{y:.1%} of the rows near %{x:,.4~g}<extra></extra>",
            }
        )
    axis: dict[str, Any] = {"title": {"text": title}, "showgrid": False}
    if logarithmic:
        ticks = [t for t in (1, 10, 100, 1000, 10_000, 100_000) if t <= edges[-1]]
        axis |= {"type": "log", "tickvals": ticks, "ticktext": [f"{t:,}" for t in ticks]}
    return {
        "data": traces,
        "layout": _layout(
            height=300, xaxis=axis, yaxis={"tickformat": ".0%", "rangemode": "tozero", "nticks": 5}
        ),
    }


def coverage(diversity: pl.DataFrame) -> Chart:
    """Plot, per level of the tree, which share of its concepts pool and selection touch."""
    levels = diversity.sort("level", descending=True)
    names = [f"level {level}" if level else "leaves" for level in levels["level"]]
    bars = []
    for name, color in (("pool", POOL), ("selection", SELECTION)):
        touched = levels[f"covered_{name}"].to_list()
        bars.append(
            {
                "type": "bar",
                "name": name,
                "x": names,
                "y": (levels[f"covered_{name}"] / levels["nodes"].clip(lower_bound=1)).round(5).to_list(),
                "text": [number(n) for n in touched],
                "textposition": "auto",
                "marker": {"color": color},
                "customdata": levels["nodes"].to_list(),
                "hovertemplate": name
                + " touches %{text} of %{customdata:,} concepts (%{y:.1%})<extra></extra>",
            }
        )
    return {
        "data": bars,
        "layout": _layout(
            height=300,
            barmode="group",
            bargap=0.3,
            yaxis={"tickformat": ".0%", "range": [0, 1.02], "title": {"text": "concepts covered"}},
            xaxis={"type": "category"},
        ),
    }


SATURATION_CLASSES = ("untouched", "under ¼ full", "¼ to 1 full", "1 to 4 times full", "beyond 4 times")


def saturation_classes(saturation: pl.DataFrame) -> pl.DataFrame:
    """Count the concepts of each level by how full the selection makes them.

    Returns
    -------
    ``level``, ``nodes`` and one column per name of `SATURATION_CLASSES`, sorted from the top level down.
    """
    fullness = pl.col("mass") / pl.col("capacity").clip(lower_bound=1e-12)
    step = (
        pl.when(pl.col("mass") <= 1e-9)
        .then(0)
        .when(fullness < 0.25)
        .then(1)
        .when(fullness < 1)
        .then(2)
        .when(fullness < 4)
        .then(3)
        .otherwise(4)
    )
    return (
        saturation.with_columns(step.alias("step"))
        .group_by("level")
        .agg(
            pl.len().alias("nodes"),
            *((pl.col("step") == i).sum().alias(name) for i, name in enumerate(SATURATION_CLASSES)),
        )
        .sort("level", descending=True)
    )


def saturation_bars(classes: pl.DataFrame) -> Chart:
    """Plot, per level, the share of concepts that the selection leaves empty, starts and fills."""
    names = [f"level {level}" if level else "leaves" for level in classes["level"]]
    bars = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": (classes[name] / classes["nodes"]).round(5).to_list(),
            "y": names,
            "customdata": classes[name].to_list(),
            "marker": {"color": color, "line": {"color": "#ffffff", "width": 1}},
            "hovertemplate": name + ": %{customdata:,} concepts (%{x:.1%})<extra>%{y}</extra>",
        }
        for name, color in zip(SATURATION_CLASSES, STEPS, strict=True)
    ]
    return {
        "data": bars,
        "layout": _layout(
            height=110 + 34 * classes.height,
            barmode="stack",
            bargap=0.25,
            xaxis={"tickformat": ".0%", "range": [0, 1]},
            yaxis={"type": "category", "autorange": "reversed", "showgrid": False},
            legend=LEGEND | {"traceorder": "normal"},
            margin={"l": 8, "r": 12, "t": 56, "b": 8},
        ),
    }


def _layout(height: int, xaxis: Chart, yaxis: Chart, **more: Any) -> Chart:  # noqa: ANN401 (plotly's own options)
    axis = {
        "ticklabelstandoff": 6,
        "tickangle": 0,
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "automargin": True,
        "fixedrange": True,  # a finger that scrolls the page must not zoom the plot
        "ticks": "",
    }
    for given in (xaxis, yaxis):
        if "title" in given:
            given["title"] = {"standoff": 10, "font": {"size": 13}} | given["title"]
    layout: Chart = {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 36, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "inherit", "size": 13, "color": INK},
        "xaxis": axis | xaxis,
        "yaxis": axis | yaxis,
        "legend": LEGEND,
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": "#c9ced4", "font": {"color": INK}},
    }
    return layout | more
