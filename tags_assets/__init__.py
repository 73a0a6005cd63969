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
    from tags_assets.errors import InvalidInputError, NotFoundError, UserError

__version__ = "0.1.0"

__all__ = [
    "InvalidInputError",
    "NotFoundError",
    "UserError",
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

_ERRORS = ("InvalidInputError", "NotFoundError", "UserError")


def __getattr__(name: str) -> object:
    """Import the Python API on first use, so that the command line and Dagster start without it."""
    if name in __all__:
        from tags_assets import api, errors  # noqa: PLC0415

        return getattr(errors if name in _ERRORS else api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
