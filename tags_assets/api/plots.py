"""The report's plots as figures of plotly, for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import polars as pl

from tags_assets.api.reading import HomeLike, open_home
from tags_assets.explanation.lineage import Lineage
from tags_assets.report.charts import COLOUR_SCALE, Chart, asked_and_reached, gain_curve
from tags_assets.report.concepts import concept_shares, partition
from tags_assets.report.content import MASS_SCHEMA
from tags_assets.report.treemap import treemap
from tags_assets.selection.selected_targets import selected_target

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from tags_assets.store.artifacts import ArtifactStore

DOUBLINGS = 3
"""Over- and under-representation is coloured up to eight times."""


def plot_tree(
    target: str | None = None,
    *,
    against: Literal["pool", "target"] = "pool",
    levels: int = 3,
    home: HomeLike = None,
) -> Figure:
    """Draw the knowledge tree as a treemap: size is the pool, colour how the selection differs.

    Parameters
    ----------
    target
        A target that has a selection; the only one unless said.
    against
        Colour by the selection's share over that of the ``pool`` or of the ``target``, in the report's
        colours: blue has more, orange less.
    levels
        Levels to draw at once; a click goes down.
    """
    columns = treemap(_shares(Lineage.of(*_target(home, target))))
    ratios = columns["by_target" if against == "target" else "by_pool"]
    parents = ["" if parent == -1 else str(parent) for parent in columns["parent"]]
    trace = {
        "type": "treemap",
        "ids": [str(place) for place in range(len(parents))],
        "labels": columns["name"],
        "parents": parents,
        "values": columns["size"],
        "branchvalues": "total",
        "maxdepth": levels,
        "text": columns["about"],
        "textinfo": "label",
        "customdata": [list(row) for row in zip(columns["pool"], columns["selection"], ratios, strict=True)],
        "hovertemplate": "%{label}<br>%{customdata[0]:,.1f} rows of the pool<br>%{customdata[1]:,.1f} "
        "selected<br>2^%{customdata[2]:.2f} times the " + against + "'s share<extra></extra>",
        "marker": {
            "colors": ratios,
            "colorscale": COLOUR_SCALE,
            "cmin": -DOUBLINGS,
            "cmid": 0,
            "cmax": DOUBLINGS,
            "colorbar": {"title": {"text": f"doublings against the {against}"}},
        },
    }
    return _figure({"data": [trace], "layout": {"margin": {"l": 8, "r": 8, "t": 8, "b": 8}}})


def plot_gain(target: str | None = None, *, home: HomeLike = None) -> Figure:
    """Plot what share of the value every smaller budget reaches, with the curve's knee.

    Parameters
    ----------
    target
        A target that has a selection; the only one unless said.
    """
    lineage = Lineage.of(*_target(home, target))
    curve = lineage.store.read_version(lineage.selection, "frontier", columns=["rows", "value"])
    chart, _ = gain_curve(curve, lineage.selection.rows)
    return _figure(chart)


def plot_concepts(target: str | None = None, *, most: int = 16, home: HomeLike = None) -> Figure:
    """Plot what pool, target and selection hold of each concept, side by side.

    Parameters
    ----------
    target
        A target that has a selection; the only one unless said.
    most
        About how many concepts; together they are the whole tree.
    """
    return _figure(asked_and_reached(partition(_shares(Lineage.of(*_target(home, target))), most)))


def _target(home: HomeLike, target: str | None) -> tuple[ArtifactStore, str]:
    store = open_home(home)
    return store, selected_target(store, target)


def _shares(lineage: Lineage) -> pl.DataFrame:
    """Read each concept's share of pool, target and selection; see `concept_shares`."""
    read = lineage.store.read_version
    nodes = read(lineage.versions["knowledge_tree"]).drop("vector")
    masses = read(lineage.selection, "nodes").rename(
        {"pool_mass": "pool", "selection_mass": "selection", "target_share": "target"}
    )
    leaves = nodes.filter(pl.col("level") == 0)
    return concept_shares(nodes, masses.join(leaves, on="node_id", how="semi").select(list(MASS_SCHEMA)))


def _figure(chart: Chart) -> Figure:
    from plotly.graph_objects import Figure  # noqa: PLC0415 - a second that only plots need

    figure = Figure(data=chart["data"], layout=chart["layout"])
    # In the report the font is the page's; a figure has no page.
    return figure.update_layout(font_family="sans-serif", paper_bgcolor="white", plot_bgcolor="white")
