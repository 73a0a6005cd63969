"""Which of an asset's numbers the UI plots over time, and what they are called there.

Dagster draws a plot for every number of a materialization. The few that a person follows from version to
version get a name and a unit; the others stand together in one table below them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from tags_assets.assets.previews import as_metadata, table

if TYPE_CHECKING:
    from collections.abc import Mapping


def figures_shown(names: Mapping[str, str], figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Dagster shows of a version's figures: those to plot by name, then a table of the rest."""
    shown: dict[str, Any] = {}
    for name, label in names.items():
        figure = figures.get(name)
        if isinstance(figure, float):
            shown[label] = float(f"{figure:.6g}")
        elif isinstance(figure, int):
            shown[label] = figure
    rest = {name: figure for name, figure in figures.items() if name not in names and _says(figure)}
    further = {name: figure for name, figure in rest.items() if not isinstance(figure, dict | list)}
    if further:
        rows = pl.DataFrame({"figure": _words(further), "is": [_written(one) for one in further.values()]})
        shown["further figures"] = as_metadata(table(rows, len(rows)))
    for name in rest.keys() - further.keys():
        shown[name.replace("_", " ")] = dg.MetadataValue.json(rest[name])
    return shown


def _says(figure: object) -> bool:
    return figure is not None and figure not in ([], {}, "")


def _words(figures: Mapping[str, Any]) -> list[str]:
    return [name.replace("_", " ") for name in figures]


def _written(figure: object) -> str:
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    if isinstance(figure, int):
        return f"{figure:,}"
    return f"{figure:.5g}" if isinstance(figure, float) else str(figure)
