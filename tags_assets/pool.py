"""The pool that the assets read: its files, and the version that they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tags_assets.errors import UserError
from tags_assets.formats.pool import expand_pool, fingerprint_files
from tags_assets.formats.pool_files import names_of
from tags_assets.store.fingerprint import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from tags_assets.home import Home


@dataclass(frozen=True)
class Landed:
    """The files of a pool and the version that they are together.

    Attributes
    ----------
    sources
        The files, in the order in which they are read.
    files
        Name and content hash of each file, in the same order.
    version
        Fingerprint of all of them.
    """

    sources: tuple[Path, ...]
    files: tuple[tuple[str, str], ...]
    version: str


def landed_files(home: Home) -> list[Path]:
    """List the files of the active pool in the order in which they are read.

    Raises
    ------
    UserError
        Where a path does not exist, or there is no file at all.
    """
    sources = expand_pool(home.pool().paths or [str(home.landing)])
    if not sources:
        raise UserError(
            f"the pool {home.active_pool!r} has no file",
            where=str(home.landing),
            mend="Drop files there, or name some: tags-assets select FILE...",
        )
    return sources


def landed(home: Home) -> Landed:
    """Look at the files of the active pool.

    Raises
    ------
    UserError
        Where a path does not exist, or there is no file at all.
    """
    sources = landed_files(home)
    hashes = fingerprint_files(sources, home.cache)
    # By name and in order: of two copies the first is kept, and a folder that was moved holds the same data.
    files = [(name, hashes[str(source)]) for name, source in zip(names_of(sources), sources, strict=True)]
    version = fingerprint("landing", None, "1", {"files": files}, {})
    return Landed(tuple(sources), tuple(files), version)
