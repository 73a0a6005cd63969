"""The pool that the assets read: its files, and the version that they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tags_assets.errors import UserError, printable
from tags_assets.formats.pool import expand_pool, fingerprint_files
from tags_assets.formats.pool_files import find_pool, names_of
from tags_assets.store.fingerprint import fingerprint
from tags_assets.text import listed

if TYPE_CHECKING:
    from pathlib import Path

    from tags_assets.settings.home import Home, PoolSettings


_SHOWN = 3


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


def not_read(home: Home, pool: PoolSettings) -> list[str]:
    """Say what lies among the files of a pool and is not read: a line for each reason."""
    try:
        unread = find_pool(pool.paths or [str(home.landing)]).unread
    except UserError:  # what was removed since is told when it is read
        return []
    groups: dict[str, list[str]] = {}
    for each in unread:
        groups.setdefault(each.reason, []).append(printable(each.path.name))
    return [
        f"{len(names):,} not read ({reason}): {listed(names, _SHOWN)}" for reason, names in groups.items()
    ]


def landed_files(home: Home, pool: PoolSettings | None = None) -> list[Path]:
    """List the files of a pool (the active one if None) in the order in which they are read.

    Raises
    ------
    UserError
        Where a path does not exist, or there is no file at all.
    """
    paths = (pool or home.pool()).paths
    if not paths and not (home.landing.is_dir() and any(home.landing.iterdir())):
        raise UserError(
            "there is no data to select from",
            fix="Name it: tags-assets select DATA..., where DATA is files, folders or globs "
            f"(or put files into {home.landing}).",
        )
    return expand_pool(paths or [str(home.landing)])


def landed(home: Home, pool: PoolSettings | None = None) -> Landed:
    """Look at the files of a pool; the active one if None.

    Raises
    ------
    UserError
        Where a path does not exist, or there is no file at all.
    """
    sources = landed_files(home, pool)
    hashes = fingerprint_files(sources, home.cache)
    # By name and in order: of two copies the first is kept, and a folder that was moved holds the same data.
    files = [(name, hashes[str(source)]) for name, source in zip(names_of(sources), sources, strict=True)]
    version = fingerprint("landing", None, "1", {"files": files}, {})
    return Landed(tuple(sources), tuple(files), version)
