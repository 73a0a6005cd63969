"""Plots of the benchmarks' page, as figures of plotly.js (plain dictionaries). ``render.py`` draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Figure = dict[str, Any]

INK, GRID, QUIET = "#2b3138", "#e6e8eb", "#9aa3ad"
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
"""Okabe and Ito's palette, told apart with the common colour-vision deficiencies; shapes differ as well."""
SHAPES = ["circle", "diamond", "square", "triangle-up", "cross", "x"]


@dataclass(frozen=True)
class Plot:
    """A plot by its name, which is that of its SVG file."""

    alt: str
    needs: str
    draw: Callable[[Mapping[str, Any]], Figure]


PLOTS: dict[str, Plot] = {}


def plot(name: str, alt: str, *, needs: str) -> Callable[..., Callable[..., Figure]]:
    """Register a function that makes a figure of the result `needs`.

    Parameters
    ----------
    alt
        What the picture shows, in a sentence, for those who do not see it.
    """

    def register(draw: Callable[..., Figure]) -> Callable[..., Figure]:
        PLOTS[name] = Plot(alt, needs, draw)
        return draw

    return register


def records(result: Mapping[str, Any], title: str) -> list[dict[str, Any]]:
    """Give a table's rows by header; of ``[mean, half]`` the mean, and the half-width as "HEADER ±"."""
    table = result["tables"][title]
    found = []
    for row in table["rows"]:
        record = {}
        for (header, _), cell in zip(table["columns"], row, strict=True):
            record[header] = cell[0] if isinstance(cell, list) else cell
            record[f"{header} ±"] = cell[1] if isinstance(cell, list) else 0.0
        found.append(record)
    return found


def layout(x: str, y: str, *, height: int = 420, width: int = 760, **more: Any) -> Figure:
    """Axes with their titles; `more` is merged over it (``xaxis={...}`` over its axis)."""
    axis = {"gridcolor": GRID, "linecolor": QUIET, "zeroline": False, "ticks": "outside", "tickcolor": QUIET}
    base = {
        "width": width,
        "height": height,
        "margin": {"l": 68, "r": 24, "t": 36, "b": 56},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "font": {"family": "Helvetica, Arial, sans-serif", "size": 13, "color": INK},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "xaxis": {"title": {"text": x}, **axis},
        "yaxis": {"title": {"text": y}, **axis},
    }
    for key, value in more.items():
        base[key] = {**base[key], **value} if isinstance(base.get(key), dict) else value
    return base


def points(
    rows: list[dict[str, Any]],
    x: str,
    y: str,
    *,
    label: str = "",
    emphasised: Callable[[str], bool] = lambda name: name.startswith("ours"),
    place: Mapping[str, str] | None = None,
) -> list[Figure]:
    """Draw labelled points with their intervals, ours in blue.

    Parameters
    ----------
    label
        Header of the names.
    place
        Where a name stands about its point ("top center" unless told).
    """
    traces = []
    for index, ours in enumerate((False, True)):
        some = [row for row in rows if emphasised(row[label]) == ours]
        colour = COLOURS[0] if ours else QUIET
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": [row[x] for row in some],
                "y": [row[y] for row in some],
                "error_x": _bars([row[f"{x} ±"] for row in some], colour),
                "error_y": _bars([row[f"{y} ±"] for row in some], colour),
                "text": [row[label] for row in some],
                "textposition": [(place or {}).get(row[label], "top center") for row in some],
                "textfont": {"size": 12, "color": COLOURS[0] if ours else INK},
                "marker": {"size": 10, "color": colour, "symbol": SHAPES[index]},
                "cliponaxis": False,
                "showlegend": False,
            }
        )
    return traces


def _bars(halves: list[float], colour: str) -> Figure:
    return {
        "type": "data",
        "array": halves,
        "visible": any(halves),
        "color": colour,
        "thickness": 1,
        "width": 3,
    }


def line(name: str, x: list[float], y: list[float], nth: int = 0, **more: Any) -> Figure:
    """Draw one line with marks; `nth` chooses its colour and shape."""
    colour = COLOURS[nth % len(COLOURS)]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": x,
        "y": y,
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "symbol": SHAPES[nth % len(SHAPES)], "size": 8},
        **more,
    }


@plot(
    "front",
    "Share of the picks of the target's domain against the effective number of its sub-domains among them, "
    "both over eight targets: the lines that breadth and alignment draw, beside the baselines.",
    needs="selection_front",
)
def front(result: Mapping[str, Any]) -> Figure:
    rows = [row for row in records(result, "front") if row["share"] > 0.5]
    first = "50 examples"
    breadth, alignment = "ours, alignment 1, breadth ", "ours, alignment "
    lines = []
    for nth, (title, start, prefix) in enumerate(
        (("ours, breadth at alignment 1", breadth, "breadth "), ("ours, alignment", alignment, "alignment "))
    ):
        some = [row for row in rows if row[first].startswith(start)]
        if start == alignment:
            some = [row for row in some if "breadth" not in row[first]]
            some = sorted(
                [*some, *(row for row in rows if "the defaults" in row[first])], key=lambda row: -row["share"]
            )
        labels = [
            "the defaults" if "the defaults" in row[first] else prefix + row[first].removeprefix(start)
            for row in some
        ]
        side = "middle right" if start == breadth else "middle left"
        drawn = line(title, [row["share"] for row in some], [row["even"] for row in some], nth)
        lines.append({**drawn, "mode": "lines+markers+text", "text": labels, "textposition": side})
    baselines = [row for row in rows if not row[first].startswith("ours")]
    below = {"nearest to the centred centroid": "bottom center"}
    shares = [row["share"] for row in rows]
    drawn = layout(
        "share of the picks truly of the target's domain, mean of 8 targets",
        "effective sub-domains among them, sum of 8 targets",
        xaxis={"range": [min(shares) - 0.07, max(shares) + 0.06]},
    )
    return {"data": lines + points(baselines, "share", "even", label=first, place=below), "layout": drawn}


@plot(
    "peers-targets",
    "Share of the picks of the target's domain against distinct sub-domains of it among them, both over "
    "eight targets, with 95% intervals over seeds: ours beside its peers.",
    needs="peers",
)
def peers_targets(result: Mapping[str, Any]) -> Figure:
    rows = [row for row in records(result, "targets") if row["share"] > 0.4]
    drawn = layout(
        "share of the picks truly of the target's domain, mean of 8 targets",
        "sub-domains among them, sum of 8 targets",
        xaxis={"range": [min(row["share"] for row in rows) - 0.04, max(row["share"] for row in rows) + 0.05]},
    )
    place = {
        "ours": "bottom right",
        "ours, plain K-Means rounds": "top right",
        "ours, flat tags": "bottom left",
        "centred centroid": "middle left",
    }
    return {"data": points(rows, "share", "sub-domains", place=place), "layout": drawn}


@plot(
    "peers-global",
    "Hidden sub-domains among 5% of the pool against the share of corrupted twins among the picks, with 95% "
    "intervals over seeds: ours beside its peers, no target.",
    needs="peers",
)
def peers_global(result: Mapping[str, Any]) -> Figure:
    rows = records(result, "global")
    drawn = layout(
        "share of the picks that are corrupted (less is better)",
        "hidden sub-domains among the picks",
        xaxis={"range": [-0.015, max(row["twins"] for row in rows) + 0.02]},
    )
    above = {"random", "longest answers", "k-center"}
    place = {row[""]: "top center" if row[""] in above else "middle right" for row in rows}
    place |= {"DEITA": "top right", "highest quality (ours)": "bottom right", "ours": "bottom right"}
    return {"data": points(rows, "twins", "sub-domains", place=place), "layout": drawn}


@plot(
    "language-model",
    "Held-out cross-entropy after training on each method's subset, less that after random rows, paired by "
    "seed, with 95% intervals: without a target, and for two targets.",
    needs="language_model",
)
def language_model(result: Mapping[str, Any]) -> Figure:
    return _beside_random(result)


@plot(
    "small-model",
    "Held-out cross-entropy of a pre-trained small transformer after training on each method's subset, less "
    "that after random rows, paired by seed, with 95% intervals: without a target, and for two targets.",
    needs="small_model",
)
def small_model(result: Mapping[str, Any]) -> Figure:
    return _beside_random(result)


def _beside_random(result: Mapping[str, Any]) -> Figure:
    panels = [
        ("global", "pool", "held-out pool"),
        ("global", "domains alike", "held-out pool, domains alike"),
        ("math_gsm8k_test", "examples", "GSM8K: unseen examples"),
        ("medicine_pubmedqa", "examples", "PubMedQA: unseen examples"),
    ]
    traces, names = [], []
    for nth, (title, column, shown) in enumerate(panels):
        if title not in result["tables"]:
            continue
        rows = [row for row in records(result, title) if row[f"{column} - random"] is not None]
        rows = [row for row in rows if not row[""].startswith("base model")]
        names += [row[""] for row in rows if row[""] not in names]
        halves = [row[f"{column} - random ±"] for row in rows]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": shown,
                "x": [row[f"{column} - random"] for row in rows],
                "y": [row[""] for row in rows],
                "error_x": _bars(halves, COLOURS[nth]),
                "marker": {"size": 10, "color": COLOURS[nth], "symbol": SHAPES[nth]},
            }
        )
    drawn = layout(
        "cross-entropy less that after random rows, nats per token (less is better)",
        "",
        xaxis={"zeroline": True, "zerolinecolor": QUIET},
        yaxis={"categoryorder": "array", "categoryarray": names[::-1]},
        margin={"l": 220, "t": 70},
    )
    return {"data": traces, "layout": drawn}


@plot(
    "scaling",
    "CPU seconds of the method's stages against the number of rows, both on logarithmic axes, with the line "
    "of the largest exponent that is allowed, 1.15.",
    needs="scaling",
)
def scaling(result: Mapping[str, Any]) -> Figure:
    rows = [row for row in records(result, "stages") if row["series"] == "in memory"]
    names = list(dict.fromkeys(row["stage"] for row in rows))
    sizes = sorted({row["rows"] for row in rows})
    traces = []
    for nth, name in enumerate(names):
        own = [row for row in rows if row["stage"] == name]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": [row["rows"] for row in own],
                "y": [max(row["CPU s"], 0.01) for row in own],
                "line": {"color": COLOURS[nth % len(COLOURS)]},
                "marker": {"size": 9, "symbol": SHAPES[nth % len(SHAPES)]},
            }
        )
    start = max(row["CPU s"] for row in rows if row["rows"] == sizes[0])
    traces.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": "exponent 1.15",
            "x": [sizes[0], sizes[-1]],
            "y": [start, start * (sizes[-1] / sizes[0]) ** 1.15],
            "line": {"color": QUIET, "dash": "dash"},
        }
    )
    decades = {"type": "log", "dtick": 1}
    drawn = layout("rows", "CPU seconds", xaxis=decades, yaxis=decades)
    return {"data": traces, "layout": drawn}
