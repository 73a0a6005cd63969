"""The targets that have a selection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.errors import InvalidInputError, NotFoundError, UserError

if TYPE_CHECKING:
    from tags_assets.store.artifacts import ArtifactStore


def selected_targets(store: ArtifactStore) -> list[str]:
    """List the targets that have a selection."""
    return [str(name) for name in store.partitions("selected_subset")]


def selected_target(store: ArtifactStore, target: str | None) -> str:
    """Take the target named, or the only one that has a selection.

    Raises
    ------
    UserError
        Where there is none, or the choice is open.
    """
    known = selected_targets(store)
    if target is not None:
        if target not in known:
            raise UserError.unknown("selection for a target", target, known)
        return target
    if len(known) == 1:
        return known[0]
    if not known:
        raise NotFoundError("nothing has been selected yet", fix="Run: tags-assets select POOL...")
    raise InvalidInputError(
        f"there are selections for {len(known)} targets", fix=f"Name one with --target: {', '.join(known)}."
    )
