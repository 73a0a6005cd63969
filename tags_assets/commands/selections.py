"""The selection that the options ``--target`` and ``--version`` name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.explanation.diff import resolve
from tags_assets.explanation.lineage import Lineage
from tags_assets.selection.selected_targets import selected_target

if TYPE_CHECKING:
    from tags_assets.store.artifacts import ArtifactStore


def selection_of(store: ArtifactStore, target: str | None, version: str | None) -> Lineage:
    """Find the current selection of a target, or a past one by the first characters of its version."""
    if version is None:
        return Lineage.of(store, selected_target(store, target))
    return resolve(store, version if target is None else f"{target}@{version}")
