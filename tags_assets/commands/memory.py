"""Whether this process may have the memory that a run takes, asked before it begins.

A run that finds none is told by Python as an error and becomes a line. Compiled libraries (of DuckDB, Polars,
numpy) end the process instead, without a word that says what to do, so the limits are looked at first.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tags_assets.errors import UserError

ADDRESS_SPACE = 4_700_000_000
"""Bytes of address space that the smallest run takes. Measured with 506 rows: on two cores 5.2 GB at the
peak, of which a fifth is ever used, and it ends at 4.7 GB; on one core 4.9 GB. More cores take more."""

MEMORY = 600_000_000
"""Bytes of memory that the smallest run takes at the least: what it holds beside the code that it shares."""

FILES = 192
"""Files that a run has open at once: the smallest one failed with 96 and succeeded with 128."""

MANY_FILES = 4096

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def check_memory() -> None:
    """Stop before the work begins where a limit of this process is below what the smallest run takes.

    Raises
    ------
    UserError
        With the limit, the need and the fix.
    """
    space = address_space()
    if space is not None and space < ADDRESS_SPACE:
        raise UserError(
            f"too little memory: this process may have {_megabytes(space)} of address space (ulimit -v), "
            f"and the smallest run takes {_megabytes(ADDRESS_SPACE)}, most of it reserved and never used",
            fix="Raise the limit (ulimit -v unlimited); what holds memory itself is a control group "
            "(systemd-run --user --scope -p MemoryMax=2G tags-assets ...).",
        )
    memory = control_group_memory()
    if memory is not None and memory < MEMORY:
        raise UserError(
            f"too little memory: this process may have {_megabytes(memory)} (its control group), "
            f"and the smallest run takes {_megabytes(MEMORY)}",
            fix="Raise the limit of the container or service: 20,000 rows take 2 GB.",
        )
    _check_open_files()


def _check_open_files() -> None:
    """Take as many open files as the system lets this process have, up to what large runs need."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, MANY_FILES)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < FILES:
        raise UserError(
            f"this process may open {allowed} files (ulimit -n), and a run opens up to {FILES}",
            fix="Raise the limit: ulimit -n 1024.",
        )


def address_space() -> int | None:
    """Bytes of address space that this process may have; None where nothing limits it."""
    if sys.platform != "linux":  # other systems do not hold a process to the limit
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def control_group_memory(groups: Path = _GROUPS, own: Path = _OWN_GROUPS) -> int | None:
    """Bytes of memory that this process's control group and those above it allow; None: no limit.

    Parameters
    ----------
    groups
        Where the system shows its control groups, of version 1 or 2.
    own
        The file that names those of this process.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    limits: list[int] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, file = groups, "memory.max"
        elif "memory" in controllers.split(","):
            root, file = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        within = Path(path.lstrip("/"))
        # In a container the path may be the host's, of which only the end or nothing is to be seen.
        limits += [limit for part in (within, *within.parents) for limit in _limit(root / part / file)]
    return min(limits, default=None)


def _limit(file: Path) -> list[int]:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError:
        return []
    return [int(text)] if text.isdigit() else []  # "max" is no limit


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
