"""Files that are there whole or not at all, and one clear line where the disk refuses them."""

from __future__ import annotations

import errno
import os
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb

from tags_assets.errors import UserError
from tags_assets.store.lock import try_lock, unlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}
# DuckDB passes the system's own words on.
_FULL_WORDS = tuple(os.strerror(code) for code in _FULL)
_REFUSED_WORDS = tuple(os.strerror(code) for code in _REFUSED)


def sync(path: Path) -> None:
    """Make a file's content, or a folder's list of names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes, *, scratch: Path) -> None:
    """Write a small file so that readers see the old content or the new, never a part.

    So it is after a power cut too, but which of the two is not promised; sync the folder where it must be.
    `scratch` is a folder on the same file system.
    """
    with scratch_file(scratch, ".part") as beside:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)


@contextmanager
def scratch_file(folder: Path, suffix: str) -> Iterator[Path]:
    """Give a name in `folder` for a file under construction; what is left there afterwards is removed.

    The name carries the process id for people to read. What decides whether the file is garbage is a lock
    held beside it: it vanishes with the process, on whatever machine or in whatever container that ran.
    """
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        stem = f"{os.getpid()}-{uuid4().hex[:12]}"
        lock = folder / f"{stem}.lock"
        if (held := try_lock(lock)) is not None:
            break  # else a collector took it in the instant between creation and locking
    try:
        yield folder / f"{stem}{suffix}"
    finally:
        _remove_all(folder, stem)
        unlock(held)


def abandoned(folder: Path) -> list[Path]:
    """Scratch files whose writers are gone, without touching them."""
    return [
        path for stem in _stems(folder) if _is_abandoned(folder, stem) for path in folder.glob(f"{stem}.*")
    ]


def collect_abandoned(folder: Path) -> int:
    """Remove the scratch files whose writers are gone; returns the bytes freed."""
    freed = 0
    for stem in _stems(folder):
        lock = folder / f"{stem}.lock"
        held = try_lock(lock)  # also where only the data is left, by a collector that died here
        if held is None:
            continue
        try:
            freed += total_bytes(folder.glob(f"{stem}.*"))
            _remove_all(folder, stem)
        finally:
            unlock(held)
    return freed


def collect_spill(spill: Path, *, older_than: float = 86_400.0) -> None:
    """Remove what killed processes moved out of memory (DuckDB tidies up after the living)."""
    for path in spill.parent.glob(f"{spill.name}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > older_than:
                shutil.rmtree(path)


def total_bytes(paths: Iterable[Path]) -> int:
    """Return the size of the files that are (still) there."""
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _stems(folder: Path) -> set[str]:
    return {path.name.split(".", 1)[0] for path in folder.glob("[!.]*")} if folder.is_dir() else set()


def _is_abandoned(folder: Path, stem: str) -> bool:
    lock = folder / f"{stem}.lock"
    if not lock.exists():
        return True
    held = try_lock(lock, create=False)
    if held is None:
        return False
    unlock(held)
    return True


def _remove_all(folder: Path, stem: str) -> None:
    # The lock goes last: while it is there, a second collector knows whose the other files are.
    for path in sorted(folder.glob(f"{stem}.*"), key=lambda path: path.suffix == ".lock"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def disk_errors(home: Path) -> Iterator[None]:
    """Turn a full disk, a folder that refuses writes and too little memory into one line each.

    Raises
    ------
    UserError
        That names the home and says what to do. Other errors pass through unchanged.
    """
    try:
        yield
    except (OSError, duckdb.Error) as error:
        number = error.errno if isinstance(error, OSError) else None
        words = str(error)
        if number in _FULL or any(text in words for text in _FULL_WORDS):
            raise UserError(
                f"the disk is full ({_free(home)} free now), nothing half-written was kept",
                where=str(home),
                mend="Free some space (`tags-assets doctor` shows what is in use), then run again.",
            ) from error
        if number in _REFUSED or any(text in words for text in _REFUSED_WORDS):
            raise UserError(
                f"the system does not allow it ({words.splitlines()[0]})",
                where=str(home),
                mend="Change its permissions, or name another with --home or TAGS_HOME.",
            ) from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise UserError(
                f"not enough memory: {words.splitlines()[0]}",
                where=str(home),
                mend="Raise the store's memory_limit, or close other programs, then run again.",
            ) from error
        raise


def _free(home: Path) -> str:
    existing = next((folder for folder in (home, *home.parents) if folder.exists()), home)
    try:
        return f"{shutil.disk_usage(existing).free / 1e6:.1f} MB"
    except OSError:
        return "unknown"
