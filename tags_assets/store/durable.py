"""Files that are there whole or not at all, and one clear line where the disk refuses them.

`written_whole` is the one way in which this package writes a file that somebody else may look at.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import duckdb

from tags_assets.errors import UserError, out_of_memory
from tags_assets.store.lock import try_lock, unlock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

UNFINISHED = ".tags-assets-"
_UNFINISHED_NAME = re.compile(r"\.tags-assets-[0-9a-f]{16}")
_WRITTEN_WITHIN_S = 3_600.0

_SCRATCH = re.compile(r"\d+-[0-9a-f]{12}|making-[a-z][a-z0-9_]*-[0-9A-Za-z][0-9A-Za-z_-]*")
"""How this package names what it writes in a scratch folder; nothing else is ever removed there."""
_SPILL = re.compile(r"\d+-[0-9a-f]{12}.*")

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_MEMORY = {errno.ENOMEM}
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


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a new file beside `path` to write to, and put it in its place when the block ends well.

    A reader sees the old content or the new, never a part; so it is after a power cut too, but which of the
    two is not promised (sync the folder where it must be). The file is made anew under a random name, so that
    nobody can put a link in its way; a link at `path` itself is replaced, not followed.

    Raises
    ------
    UserError
        Where the folder cannot be written to, or the disk is full.
    """
    beside = path.parent / random_name()
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with disk_errors(path):
            yield beside
        with refusals(path):
            os.fsync(handle)
            beside.replace(path)
    finally:
        os.close(handle)
        beside.unlink(missing_ok=True)


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn whatever keeps a file from its place into one line."""
    try:
        yield
    except OSError as error:
        known = None if error.errno in _REFUSED else _disk_error(error, path)
        raise known or UserError(
            f"cannot be written ({error.strerror or error})",
            where=str(path),
            fix="Change the folder's permissions, or name another (a home: --home or TAGS_HOME).",
        ) from error


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a small file, text in UTF-8: see `written_whole`."""
    with written_whole(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


def random_name() -> str:
    """Make a name for what is being written or removed; `is_unfinished` knows it again."""
    return f"{UNFINISHED}{secrets.token_hex(8)}"


def is_unfinished(path: Path, *, now: float | None = None) -> bool:
    """Whether a killed process left it half-written: it has a name of `random_name` and an hour's age."""
    if not _UNFINISHED_NAME.fullmatch(path.name):
        return False
    with suppress(OSError):
        return (time.time() if now is None else now) - path.lstat().st_mtime > _WRITTEN_WITHIN_S
    return False


def open_to_group(folder: Path) -> None:
    """Make what this process creates as open to the group as a folder that the group may write in.

    DuckDB and Dagster take the permissions of their files from the process, so that is where it is said; for
    SQLite see `made_as_allowed`. Set the folder's group with ``chmod g+ws``.
    """
    with suppress(OSError):
        if folder.stat().st_mode & stat.S_IWGRP:
            os.umask(os.umask(0o077) & ~0o070)


def made_as_allowed(path: Path) -> None:
    """Make an empty file with the permissions that the process gives: SQLite's own are 0644 at most."""
    with suppress(OSError):  # SQLite says what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))


def open_databases_to_group(folder: Path) -> None:
    """Open the SQLite files of a library to the group that may write in their folder, where they are ours."""
    with suppress(OSError):
        if folder.stat().st_mode & stat.S_IWGRP:
            for path in folder.rglob("*.db*"):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                    path.chmod(status.st_mode | 0o060)


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
        if not _SPILL.fullmatch(path.name.removeprefix(spill.name)):
            continue
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
    names = (path.name.split(".", 1)[0] for path in folder.glob("[!.]*")) if folder.is_dir() else ()
    return {name for name in names if _SCRATCH.fullmatch(name)}


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

    Parameters
    ----------
    home
        What is written: the home, or one file or folder.

    Raises
    ------
    UserError
        That names it and says what to do. Other errors pass through unchanged.
    """
    try:
        yield
    except (OSError, duckdb.Error) as error:
        known = _disk_error(error, home)
        if known is None:
            raise
        raise known from error


def _disk_error(error: Exception, home: Path) -> UserError | None:
    number = error.errno if isinstance(error, OSError) else None
    words = str(error)
    first = (words.splitlines() or [""])[0]
    if number in _FULL or any(text in words for text in _FULL_WORDS):
        return UserError(
            f"the disk is full ({_free(home)} free now); nothing half-written was kept",
            where=str(home),
            fix="Free some space (`tags-assets doctor` shows what is in use), then run again.",
        )
    if number in _REFUSED or any(text in words for text in _REFUSED_WORDS):
        return UserError(
            f"the system does not allow it ({first})",
            where=str(home),
            fix="Change its permissions, or name another with --home or TAGS_HOME.",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return UserError(
            f"not enough memory: {first}",
            where=str(home),
            fix="Raise the store's memory_limit, or close other programs, then run again.",
        )
    if number in _NO_MEMORY:
        return out_of_memory("the command")
    return None


def _free(home: Path) -> str:
    existing = next((folder for folder in (home, *home.parents) if folder.exists()), home)
    try:
        return f"{shutil.disk_usage(existing).free / 1e6:.1f} MB"
    except OSError:
        return "unknown"
