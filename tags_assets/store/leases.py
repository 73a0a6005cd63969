"""Who is at what: a version that is read now is not removed, and one that is made now is not made twice."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson

from tags_assets.errors import UserError
from tags_assets.store.durable import abandoned, scratch_file
from tags_assets.store.lock import locked, try_lock, unlock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tags_assets.store.layout import Layout
    from tags_assets.store.versions import ArtifactVersion


@contextmanager
def leased(layout: Layout, versions: Iterable[ArtifactVersion]) -> Iterator[None]:
    """Keep versions from being removed for the time of the block, or until the process dies.

    Raises
    ------
    UserError
        If one of them was removed before.
    """
    names = sorted({(version.asset, version.data_version): version for version in versions}.items())
    try:
        layout.leases.mkdir(parents=True, exist_ok=True)
        writable = os.access(layout.leases, os.W_OK)
    except OSError:
        writable = False
    if not writable:  # then nobody removes anything here either
        yield
        return
    with scratch_file(layout.leases, ".json") as note:
        # Under the lock that a removal holds: either it sees this note, or we see what it removed.
        with locked(layout.commit_lock):
            note.write_bytes(orjson.dumps([name for name, _ in names]))
            gone = [version for _, version in names if not version.path.exists()]
        if gone:
            raise removed_meanwhile(gone[0])
        yield


def removed_meanwhile(version: ArtifactVersion) -> UserError:
    """Build the error for a version that a pruning took between finding and using it."""
    return UserError(
        "this version was removed a moment ago", where=str(version), fix="Run again; it is made anew."
    )


@contextmanager
def turn(layout: Layout, asset: str, data_version: str, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the right to make a version; whoever else wants to make it waits until it is there.

    A process that dies gives the right back at once. `waiting` is called once, where there is a wait.
    """
    path = layout.scratch / f"making-{asset}-{data_version}.lock"
    told = False
    while (held := try_lock(path)) is None:
        if not told:
            waiting()
            told = True
        time.sleep(0.1)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        unlock(held)


def in_lease(layout: Layout) -> set[tuple[str, str]]:
    """Asset and data version of everything that a living process has leased."""
    dead = set(abandoned(layout.leases))
    found: set[tuple[str, str]] = set()
    for note in layout.leases.glob("*.json"):
        if note in dead:
            continue
        try:
            found.update((asset, version) for asset, version in orjson.loads(note.read_bytes()))
        except (OSError, orjson.JSONDecodeError):  # it ended, or has not been written yet
            continue
    return found


def is_open_elsewhere(path: Path) -> bool:
    """Whether another process has a DuckDB file open: a notebook in the midst of a query, say.

    DuckDB holds a lock of the kernel's on every file for as long as it is attached or read.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
