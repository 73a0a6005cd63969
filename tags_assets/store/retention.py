"""Which versions may go: all but the last few and what those were made from."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tags_assets.errors import InvalidInputError
from tags_assets.store.durable import disk_errors
from tags_assets.store.leases import in_lease, is_open_elsewhere
from tags_assets.store.lock import locked
from tags_assets.store.mark import is_header, require_home
from tags_assets.store.warehouse import Warehouse

if TYPE_CHECKING:
    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion


_Key = tuple[str, str]  # asset and data version

_GROWN_FROM = "grown_from"
_NEED_THEIR_BASE = frozenset({"selected_subset"})
"""Assets that are made again from a manifest, for which the version that they grew from is needed as well."""


@dataclass(frozen=True)
class Pruning:
    """What a retention rule removes, or would remove."""

    removed: tuple[ArtifactVersion, ...]
    in_use: tuple[ArtifactVersion, ...]
    """What would have gone but is being read by a process; the next pruning takes it."""
    kept: tuple[ArtifactVersion, ...]
    freed_bytes: int
    dry_run: bool


def prune_versions(
    store: ArtifactStore, keep: int, *, dry_run: bool = True, grace: timedelta = timedelta(0)
) -> Pruning:
    """Remove all versions but those that a rule keeps.

    Kept are, of each asset and partition, the last `keep` versions and the current one; whatever is younger
    than `grace`; what a process reads just now; and everything that a kept version was made from, all the way
    up, so that every selection that is left can still be explained. Of a selection that kept rows of the one
    before it (``stability``), that one is kept too, so that it can be reproduced.

    Parameters
    ----------
    store
        Where.
    keep
        How many versions to keep, at least 1.
    dry_run
        Only say what would go.
    grace
        Protects what was written so recently that nothing may have been made from it yet.

    Raises
    ------
    UserError
        If `keep` is less than 1, the folder is not a home, or it cannot be written to.
    """
    if keep < 1:
        raise InvalidInputError(f"cannot keep {keep} versions", fix="Keep at least 1.")
    require_home(store.home)
    versions = {
        (version.asset, version.data_version): version
        for asset in store.assets()
        for partition in store.layout.partitions(asset)
        for version in store.versions(asset, partition)
    }
    groups: dict[tuple[str, str | None], list[ArtifactVersion]] = defaultdict(list)
    for version in versions.values():
        groups[version.key].append(version)
    # `versions` lists them by age.
    roots = [version for group in groups.values() for version in group[-keep:]]
    young = datetime.now(UTC) - grace
    roots += [version for version in versions.values() if version.created_at > young]
    going = _going(store, roots, versions)
    busy: set[tuple[str, str]] = set()
    if not dry_run and going:
        with disk_errors(store.home):
            # First out of sight, then off the disk: nobody who opens the warehouse finds a view over a
            # missing file.
            Warehouse(store).publish(without=going.values())
            with locked(store.layout.commit_lock):
                # What a run has made current or begun to read since is no longer to go.
                going = {key: going[key] for key in _going(store, roots, versions) if key in going}
                busy = {key for key, version in going.items() if is_open_elsewhere(version.path)}
                for key, version in going.items():
                    if key not in busy:
                        _remove(version)
                _remove_orphaned_headers(store)
            Warehouse(store).publish()
    removed = tuple(version for key, version in going.items() if key not in busy)
    return Pruning(
        removed=removed,
        in_use=tuple(version for key, version in going.items() if key in busy),
        kept=tuple(version for key, version in versions.items() if key not in going),
        freed_bytes=sum(version.file_bytes for version in removed),
        dry_run=dry_run,
    )


def _going(
    store: ArtifactStore, roots: list[ArtifactVersion], versions: dict[_Key, ArtifactVersion]
) -> dict[_Key, ArtifactVersion]:
    """Return what neither a root nor what is current or leased now was made from."""
    leased = [versions[key] for key in in_lease(store.layout) if key in versions]
    kept = _with_upstream([*roots, *store.snapshot().values(), *leased], versions)
    return {key: version for key, version in versions.items() if key not in kept}


def _with_upstream(
    roots: list[ArtifactVersion], versions: dict[_Key, ArtifactVersion]
) -> dict[_Key, ArtifactVersion]:
    """Return the roots and all stored versions that they were made from."""
    kept: dict[_Key, ArtifactVersion] = {}
    # Held without what they were made from themselves: else each would hold the one before, without end.
    held: dict[_Key, ArtifactVersion] = {}
    waiting = list(roots)
    while waiting:
        version = waiting.pop()
        key = (version.asset, version.data_version)
        if key in kept:
            continue
        kept[key] = version
        base = (version.asset, str(version.config.get(_GROWN_FROM)))
        if version.asset in _NEED_THEIR_BASE and base in versions:
            held[base] = versions[base]
        # Upstream is named by asset or asset/partition; its data version alone tells partitions apart.
        above = ((name.split("/", 1)[0], data_version) for name, data_version in version.upstream.items())
        waiting.extend(versions[key] for key in above if key in versions)
    return held | kept


def _remove_orphaned_headers(store: ArtifactStore) -> None:
    """Remove headers without an artifact, as a process leaves them that is killed between the two renames.

    The caller holds the commit lock.
    """
    for header in store.layout.artifacts.glob("*/*/*.json"):
        if not header.with_suffix(".duckdb").exists() and is_header(header):
            header.unlink(missing_ok=True)


def _remove(version: ArtifactVersion) -> None:
    version.path.unlink(missing_ok=True)
    version.path.with_suffix(".json").unlink(missing_ok=True)
    with suppress(OSError):  # not empty: other versions, or a pointer
        version.path.parent.rmdir()
