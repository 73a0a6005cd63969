"""The mark of a folder of exports: whose the files in it are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tags_assets import __version__
from tags_assets.errors import UserError
from tags_assets.store.durable import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

EXPORT_MARK = "tags-assets-export.json"
_WHAT = "an export of tags-assets: files here may be overwritten by the next one"


def is_export(folder: Path) -> bool:
    """Whether a folder bears the mark."""
    try:
        mark = orjson.loads((folder / EXPORT_MARK).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(mark, dict) and mark.get("what") == _WHAT


def mark_export(folder: Path) -> None:
    """Mark a folder, before anything is written there."""
    if not is_export(folder):
        write_whole(folder / EXPORT_MARK, orjson.dumps({"what": _WHAT, "made_by": __version__}) + b"\n")


def refuse_to_overwrite(files: Iterable[Path], option: str) -> None:
    """Make sure that files which this package is about to write are not somebody else's.

    Raises
    ------
    UserError
        If one of them exists.
    """
    for file in files:
        if file.exists() or file.is_symlink():
            raise UserError(
                "exists and was not written by tags-assets",
                where=str(file),
                mend=f"Name another folder with {option}, or move the file away.",
            )
