"""Controllable data selection for LLM instruction tuning: TAGS as versioned Dagster assets over DuckDB.

The Python API is here: ``from tags_assets import select, explain``. See ``docs/python.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tags_assets.api import (
        compare,
        explain,
        explain_concept,
        load,
        open_home,
        plot_concepts,
        plot_gain,
        plot_tree,
        query,
        select,
        tree,
        versions,
        what_if,
        why_not,
    )

__version__ = "0.1.0"

__all__ = [
    "__version__",
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


def __getattr__(name: str) -> object:
    """Import the Python API when it is asked for: the command line and Dagster need not wait for it."""
    if name in __all__:
        from tags_assets import api  # noqa: PLC0415

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
