"""What a home no longer needs: exports of removed versions, old parsed files, half-written files.

Only files that this package wrote are removed, and only in a folder marked as a home. A name or a mark
identifies them.
"""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING

import psutil

from tags_assets.formats.export.mark import is_export
from tags_assets.formats.parsed_file import PARTS, SUMMARY, is_sound, remove_parsed
from tags_assets.llm.answer_cache import ANSWERS, AnswerCache
from tags_assets.settings.run_record import records
from tags_assets.store.content_cache import ContentCache
from tags_assets.store.durable import is_unfinished, random_name, total_bytes
from tags_assets.store.mark import require_home
from tags_assets.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from tags_assets.settings.home import Home
    from tags_assets.store.artifacts import ArtifactStore

_DIGEST = re.compile(r"[0-9a-f]{32}")
_BESIDE = re.compile(r"\.(?:active|[\w-]+\.yaml)\.(\d+)")
"""Names of unfinished files written before `random_name` existed."""
_EXPORT_BESIDE = re.compile(r"\..+\.[0-9a-z_]{8}\.part")
_GOING_BEFORE = re.compile(r"\.going-[0-9a-f]{32}-\d+")
_HALF_WRITTEN_S = 3_600.0
"""Age in seconds after which a half-written file has no writer."""


@dataclass(frozen=True)
class Rubbish:
    """Something that can be removed, and why."""

    path: Path
    why: str
    file_bytes: int


def rubbish(
    home: Home, store: ArtifactStore, *, unused_days: float = inf, going: Collection[str] = ()
) -> list[Rubbish]:
    """Find what can be removed, without touching it.

    Parameters
    ----------
    home, store
        Where.
    unused_days
        Days after which parsed files that no run has read are removed; they can be made again from the pool's
        files. Records of runs follow the same limit, with at least one day.
    going
        Data versions of selections that are about to be removed; their exports are removed as well.

    Raises
    ------
    UserError
        If the folder is not a home.
    """
    require_home(home.path)
    found = [
        *((path, "export of a removed version") for path in _orphaned_exports(home, store, going)),
        *((path, f"parsed file, unused for {unused_days:g} days") for path in _old_parsed(home, unused_days)),
        *(
            (path, f"record of a run, older than {unused_days:g} days")
            for path in _old_records(home, unused_days)
        ),
        *((path, "left by a killed process") for path in _left_beside(home)),
    ]
    return [Rubbish(path, why, _size(path)) for path, why in found]


def sweep(found: list[Rubbish]) -> int:
    """Remove it; returns the bytes freed."""
    for one in found:
        with suppress(FileNotFoundError):
            if not one.path.is_dir():
                one.path.unlink()
                continue
            # Out of its name first: a reader finds it whole or not at all.
            away = one.path.with_name(random_name())
            one.path.rename(away)
            if (away / SUMMARY).exists():
                remove_parsed(away)
            else:
                shutil.rmtree(away, ignore_errors=True)
    return sum(one.file_bytes for one in found)


@dataclass(frozen=True)
class DamagedCache:
    """Entries of a cache that do not match their checksums."""

    path: Path
    entries: int
    is_paid: bool
    """Whether they are answers of a language model, which are paid for again."""
    remove: Callable[[], None]

    def __str__(self) -> str:
        again = "requested and paid for again" if self.is_paid else "rebuilt"
        entries = counted(self.entries, "damaged entry")
        return f"{self.path}: {entries}, which repair --deep removes; then {again}"


def damaged_caches(home: Home) -> Iterator[DamagedCache]:
    """Check every cache against its checksums."""
    for path in sorted(home.cache.glob("*.sqlite")):
        if path.name == ANSWERS:
            with AnswerCache(path) as answers:
                entries = sum(map(len, answers.damaged().values()))
            if entries:
                yield DamagedCache(path, entries, is_paid=True, remove=partial(_forget, path))
            continue
        with ContentCache(path) as cache:
            entries = cache.damaged()
        if entries:
            yield DamagedCache(path, entries, is_paid=False, remove=cache.remove_damaged)
    for folder in _folders(home.cache):
        if _DIGEST.fullmatch(folder.name) and (folder / SUMMARY).exists() and not is_sound(folder):
            yield DamagedCache(folder, 1, is_paid=False, remove=partial(remove_parsed, folder))


def _forget(path: Path) -> None:
    with AnswerCache(path) as answers:
        answers.remove_damaged()


def _orphaned_exports(home: Home, store: ArtifactStore, going: Collection[str]) -> Iterator[Path]:
    targets = store.layout.partitions("selected_subset")
    for target in _folders(home.exports):
        if target.name in targets:
            known = {*store.layout.data_versions("selected_subset", target.name)} - {*going}
            # Exports older than the mark are recognised by their place and their version's name.
            yield from (
                folder
                for folder in _folders(target)
                if folder.name not in known and (is_export(folder) or _DIGEST.fullmatch(folder.name))
            )


def _old_parsed(home: Home, unused_days: float) -> Iterator[Path]:
    before = time.time() - unused_days * 86_400
    for folder in _folders(home.cache):
        summary = folder / SUMMARY
        if (
            _DIGEST.fullmatch(folder.name)
            and {path.name for path in folder.iterdir()} == {SUMMARY, *PARTS}
            and summary.stat().st_mtime < before
        ):
            yield folder


def _old_records(home: Home, unused_days: float) -> Iterator[Path]:
    before = time.time() - max(unused_days, 1.0) * 86_400
    yield from (path for path in records(home) if path.stat().st_mtime < before)


def _left_beside(home: Home) -> Iterator[Path]:
    """Files and folders that a process was writing or removing when it was killed."""
    pools, reports = home.path / "pools", home.path / "reports"
    exports = [target / version for target in _folders(home.exports) for version in _folders(target)]
    versions = (home.path / "artifacts").glob("*/*")
    folders = (home.path, pools, reports, home.dagster, home.cache, *_folders(home.exports), *exports)
    for folder in (*folders, *(one for export in exports for one in _folders(export)), *versions):
        yield from (path for path in _hidden(folder) if is_unfinished(path))
    for folder in (home.path, pools, home.dagster):
        for path in _hidden(folder):
            match = _BESIDE.fullmatch(path.name)
            if match and path.is_file() and not psutil.pid_exists(int(match[1])):
                yield path
    before = time.time() - _HALF_WRITTEN_S
    for folders_of, name in (
        ((home.cache, *_folders(home.exports)), _GOING_BEFORE),
        (exports, _EXPORT_BESIDE),
    ):
        for path in (path for folder in folders_of for path in _hidden(folder)):
            if name.fullmatch(path.name) and path.lstat().st_mtime < before:
                yield path


def _hidden(folder: Path) -> list[Path]:
    return sorted(folder.glob(".*")) if folder.is_dir() and not folder.is_symlink() else []


def _folders(parent: Path) -> list[Path]:
    """Subfolders; links are skipped because they lead out of the home."""
    if not parent.is_dir() or parent.is_symlink():
        return []
    return sorted(
        path
        for path in parent.iterdir()
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    )


def _size(path: Path) -> int:
    return total_bytes(path.rglob("*")) if path.is_dir() else total_bytes([path])
