"""The list of what was exported to a folder: the mark of the folder, and of whose the files in it are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tags_assets import __version__
from tags_assets.errors import UserError
from tags_assets.formats.folders import EXPORTS_FILE
from tags_assets.store.durable import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def is_export(folder: Path) -> bool:
    """Whether a folder bears the mark."""
    return _listed(folder) is not None


def mark_export(folder: Path, written: Iterable[Path] = ()) -> None:
    """List files as written here, beside those of before; so they are overwritten and never read as data."""
    before = _listed(folder)
    files = sorted({*(before or ()), *(str(path.relative_to(folder)) for path in written)})
    if files != before:
        content = orjson.dumps({"tags_assets": __version__, "files": files}, option=orjson.OPT_INDENT_2)
        write_whole(folder / EXPORTS_FILE, content + b"\n")


def _listed(folder: Path) -> list[str] | None:
    try:
        listing = orjson.loads((folder / EXPORTS_FILE).read_bytes())
        files = listing["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return sorted(map(str, files)) if "tags_assets" in listing and isinstance(files, list) else None


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
                fix=f"Name another folder with {option}, or move the file away.",
            )
