"""The mark of a home: nothing is removed from a folder that does not bear it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import orjson

from tags_assets import __version__
from tags_assets.errors import UserError
from tags_assets.store.durable import write_whole
from tags_assets.store.layout import Layout
from tags_assets.store.versions import version_from_header

if TYPE_CHECKING:
    from pathlib import Path

MARK = "tags-assets-home.json"
_WHAT = "a home of tags-assets: artifacts, caches and settings"


def mark_home(home: Path) -> None:
    """Mark a folder as a home; nothing happens where it is one already."""
    if not is_marked(home):
        write_whole(home / MARK, orjson.dumps({"what": _WHAT, "made_by": __version__}) + b"\n")


def is_marked(home: Path) -> bool:
    """Whether a folder bears the mark."""
    try:
        mark = orjson.loads((home / MARK).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(mark, dict) and mark.get("what") == _WHAT


def is_home(home: Path) -> bool:
    """Whether a folder bears the mark, or holds versions of ours, as homes did before there was a mark."""
    return is_marked(home) or _holds_versions(Layout(home))


def require_home(home: Path) -> None:
    """Make sure that a folder is a home before something in it is removed; a home of before is marked.

    Raises
    ------
    UserError
        If it is none.
    """
    if not is_home(home):
        problem = f"is not a home of tags-assets: it has no {MARK} and no version of an asset"
        raise UserError(
            f"{problem}; nothing was removed",
            where=str(home),
            fix="Name the home with --home or TAGS_HOME.",
        )
    with suppress(UserError):  # a read-only home; nothing can be removed there either
        mark_home(home)


def _holds_versions(layout: Layout) -> bool:
    return any(
        _is_version(layout, asset, partition, name)
        for asset in layout.assets()
        for partition in layout.partitions(asset)
        for name in layout.data_versions(asset, partition)
    )


def _is_version(layout: Layout, asset: str, partition: str | None, name: str) -> bool:
    return is_header(layout.header(asset, partition, name))


def is_header(header: Path) -> bool:
    """Whether a file is the header of an artifact version, in the place of that version."""
    try:
        version = version_from_header(header.read_bytes(), header.with_suffix(".duckdb"))
    except (OSError, KeyError, TypeError, ValueError):
        return False
    return version.data_version == header.stem and version.asset == header.parent.parent.name
