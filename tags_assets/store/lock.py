"""Locks between processes that the kernel drops when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tags_assets.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def try_lock(path: Path, *, create: bool = True) -> int | None:
    """Take the lock on `path` without waiting.

    Returns
    -------
    int or None
        A file descriptor to hand to `unlock`; None if somebody holds the lock, or the file went away
        meanwhile.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
    except FileNotFoundError:
        if create:
            raise
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The file may have been unlinked between opening and locking: such a lock excludes nobody.
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def unlock(descriptor: int) -> None:
    """Give a lock back, also on behalf of children that were forked while it was held."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


@contextmanager
def locked(path: Path, *, timeout: float = 120.0) -> Iterator[None]:
    """Hold the lock on `path` (created where missing) for the time of the block.

    It excludes other processes and other threads of this one; it is not re-entrant.

    Raises
    ------
    UserError
        If somebody held it for `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    pause = 0.001
    while (descriptor := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise UserError(
                f"another process held this lock for {timeout:.0f} s",
                where=str(path),
                fix="Find it with `fuser` or `lsof`, then wait for it or end it.",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    try:
        yield
    finally:
        unlock(descriptor)
