"""One store for each home in a process, so that idle connections are used again."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.layout import resolve_home

if TYPE_CHECKING:
    from pathlib import Path


def open_store(home: Path | str) -> ArtifactStore:
    """Open the artifact store of a home outside Dagster, as the command line and notebooks do."""
    return _store(resolve_home(home))


@cache
def _store(home: Path) -> ArtifactStore:
    return ArtifactStore(home)
