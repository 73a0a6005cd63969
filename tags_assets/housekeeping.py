"""What a home holds beside its versions and need not: exports of versions that are gone, old parsed files."""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import psutil

from tags_assets.store.durable import total_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tags_assets.home import Home
    from tags_assets.store.artifacts import ArtifactStore

_PARSED = re.compile(r"[0-9a-f]{32}")
_BESIDE = re.compile(r"\..+\.(\d+)")
_HALF_WRITTEN_S = 3_600.0
"""Age from which a half-written folder has no writer any more."""


@dataclass(frozen=True)
class Rubbish:
    """Something that may go, and why."""

    path: Path
    why: str
    file_bytes: int


def rubbish(
    home: Home, store: ArtifactStore, *, unused_days: float = inf, going: Collection[str] = ()
) -> list[Rubbish]:
    """Look for what may go, without touching it.

    Parameters
    ----------
    home, store
        Where.
    unused_days
        Parsed files that no run has read for so long go: they can be made again from the files of the pool.
    going
        Data versions of selections that are about to go, and their exports with them.
    """
    found = [
        *((path, "export of a version that is gone") for path in _orphaned_exports(home, store, going)),
        *((path, f"parsed file, unused for {unused_days:g} days") for path in _old_parsed(home, unused_days)),
        *((path, "left by a process that was killed") for path in _left_beside(home)),
    ]
    return [Rubbish(path, why, _size(path)) for path, why in found]


def sweep(found: list[Rubbish]) -> int:
    """Remove it; returns the bytes freed."""
    for one in found:
        if one.path.is_dir():
            # Out of its name first: a reader finds it whole or not at all.
            away = one.path.with_name(f".going-{one.path.name}-{os.getpid()}")
            with suppress(OSError):
                one.path.rename(away)
                shutil.rmtree(away, ignore_errors=True)
        else:
            one.path.unlink(missing_ok=True)
    return sum(one.file_bytes for one in found)


def _orphaned_exports(home: Home, store: ArtifactStore, going: Collection[str]) -> Iterator[Path]:
    for target in _folders(home.exports):
        with suppress(ValueError):  # a folder of the user's own, whose name no target can have
            known = {*store.layout.data_versions("selected_subset", target.name)} - {*going}
            yield from (folder for folder in _folders(target) if folder.name not in known)


def _old_parsed(home: Home, unused_days: float) -> Iterator[Path]:
    before = time.time() - unused_days * 86_400
    for folder in _folders(home.cache):
        summary = folder / "summary.json"
        if _PARSED.fullmatch(folder.name) and summary.exists() and summary.stat().st_mtime < before:
            yield folder


def _left_beside(home: Home) -> Iterator[Path]:
    """Small files that were being written, and folders on their way out, when their process was killed."""
    for folder in (home.path, home.path / "pools", home.dagster):
        for path in sorted(folder.glob(".*")) if folder.is_dir() else ():
            match = _BESIDE.fullmatch(path.name)
            if match and path.is_file() and not psutil.pid_exists(int(match[1])):
                yield path
    before = time.time() - _HALF_WRITTEN_S
    for folder in (home.cache, *_folders(home.exports)):
        for path in sorted(folder.glob(".going-*")) if folder.is_dir() else ():
            if path.stat().st_mtime < before:
                yield path
    for path in sorted(home.exports.glob("*/*/.*.part")):
        if path.stat().st_mtime < before:
            yield path


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def _size(path: Path) -> int:
    return total_bytes(path.rglob("*")) if path.is_dir() else total_bytes([path])
