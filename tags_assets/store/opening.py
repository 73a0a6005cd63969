"""One store for each home in a process, so that idle connections are used again."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.layout import resolve_home

if TYPE_CHECKING:
    from pathlib import Path

    from tags_assets.store.connections import Connect


def open_store(home: Path | str, connect: Connect | None = None) -> ArtifactStore:
    """Open the artifact store of a home; `connect` opens its DuckDB instances from now on."""
    store = _store(resolve_home(home))
    if connect is not None:
        store.connections.connect = connect
    return store


@cache
def _store(home: Path) -> ArtifactStore:
    return ArtifactStore(home)
