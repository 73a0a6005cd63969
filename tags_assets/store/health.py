"""How a home is doing, for `tags-assets doctor`."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tags_assets.errors import UserError
from tags_assets.store.durable import abandoned, total_bytes
from tags_assets.store.shelf import Shelf
from tags_assets.store.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tags_assets.store.artifacts import ArtifactStore


@dataclass(frozen=True)
class AssetSize:
    """Versions of one asset and what they take."""

    versions: int
    partitions: int
    file_bytes: int


@dataclass(frozen=True)
class Health:
    """What there is in a home, and what is wrong with it."""

    home: Path
    exists: bool
    writable: bool
    free_bytes: int
    assets: Mapping[str, AssetSize]
    abandoned: tuple[Path, ...]
    """Files that killed processes left half-written; the next publication removes them."""
    damaged: tuple[str, ...]
    """Artifacts found damaged just now, one line each; they have been moved to quarantine."""
    quarantined: tuple[Path, ...]
    moved_from: str | None
    """Where the home was when the warehouse was last published, if elsewhere; opening or publishing fixes
    it."""
    warehouse_is_stale: bool
    skipped_views: Mapping[str, str]
    """Lineage views that could not be made, and why."""

    @property
    def file_bytes(self) -> int:
        """Bytes of all artifacts."""
        return sum(size.file_bytes for size in self.assets.values())

    @property
    def problems(self) -> list[str]:
        """One line for each thing that somebody should know."""
        found = list(self.damaged)
        if self.exists and not self.writable:
            found.append(f"{self.home}: cannot be written to. Change its permissions, or name another home.")
        if self.moved_from is not None:
            found.append(f"{self.home}: was moved or copied from {self.moved_from}. Run: tags-assets repair.")
        elif self.exists and self.warehouse_is_stale:
            found.append(f"{self.home}: warehouse.duckdb is not up to date. Run: tags-assets repair.")
        if self.abandoned:
            size = total_bytes(self.abandoned)
            found.append(
                f"{self.home}: {size / 1e6:.1f} MB left by killed processes; the next run removes them."
            )
        if self.quarantined:
            found.append(
                f"{self.home / 'quarantine'}: {len(self.quarantined)} damaged artifacts. You can delete them."
            )
        if self.assets:  # before the first run there is nothing to show
            found.extend(
                f"sql/lineage/{name}.sql: not shown: {reason}" for name, reason in self.skipped_views.items()
            )
        return found


def home_health(store: ArtifactStore, *, deep: bool = False, touches: bool = True) -> Health:
    """Look at a home without changing it, other than moving damaged artifacts to quarantine.

    Parameters
    ----------
    store
        The home's store.
    deep
        Read every artifact and compare it with its checksum, at disk speed.
    touches
        Whether damaged artifacts are moved.
    """
    layout = store.layout
    shelf = Shelf(layout, store.connections, touches=touches)
    assets: dict[str, AssetSize] = {}
    damaged: list[str] = []
    for asset in layout.assets():
        partitions = layout.partitions(asset)
        names = [
            (partition, name) for partition in partitions for name in layout.data_versions(asset, partition)
        ]
        versions = 0
        total = 0
        for partition, name in names:
            try:
                version = shelf.inspect(layout.file(asset, partition, name), deep=deep)
            except UserError as error:
                damaged.append(str(error))
                continue
            if version is not None:
                versions += 1
                total += version.file_bytes
        assets[asset] = AssetSize(versions=versions, partitions=len(partitions), file_bytes=total)
    existing = next(folder for folder in (store.home, *store.home.parents) if folder.exists())
    return Health(
        home=store.home,
        exists=store.home.exists(),
        writable=os.access(existing, os.W_OK, effective_ids=os.access in os.supports_effective_ids),
        free_bytes=shutil.disk_usage(existing).free,
        assets=assets,
        abandoned=tuple(sorted([*abandoned(layout.scratch), *abandoned(layout.home_scratch)])),
        damaged=tuple(damaged),
        quarantined=tuple(sorted(layout.quarantine.glob("*.duckdb"))),
        moved_from=Warehouse(store).moved_from(),
        warehouse_is_stale=Warehouse(store).is_stale(),
        skipped_views=Warehouse(store).skipped(),
    )
