"""The Python API: a dozen functions for notebooks and scripts, on what is stored in a home.

All are importable from `tags_assets` itself. Every one takes ``home``: a folder, what `open_home` returned,
or nothing for ``$TAGS_HOME``, else ``.tags`` here. None of them needs Dagster, and none writes anything but
the warehouse's views.
"""

from tags_assets.api.plots import plot_concepts, plot_gain, plot_tree
from tags_assets.api.reading import load, open_home, query, tree, versions
from tags_assets.api.selections import (
    compare,
    explain,
    explain_concept,
    select,
    what_if,
    why_not,
)

__all__ = [
    "compare",
    "explain",
    "explain_concept",
    "load",
    "open_home",
    "plot_concepts",
    "plot_gain",
    "plot_tree",
    "query",
    "select",
    "tree",
    "versions",
    "what_if",
    "why_not",
]
