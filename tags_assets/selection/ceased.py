"""Nodes that a target names and the tree holds no more: said with the nodes that hold their tags now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.errors import UserError
from tags_assets.method.heirs import heirs
from tags_assets.method.knowledge_tree import KnowledgeTree
from tags_assets.method.target import find_node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tags_assets.selection.inputs import Inputs


def check_nodes(names: Iterable[str], tree: KnowledgeTree, inputs: Inputs, *, where: str) -> None:
    """Check that the tree holds the nodes that a target names.

    Raises
    ------
    UserError
        As `find_node`; for a node that an earlier version of the tree held, with its heirs.
    """
    for name in names:
        try:
            find_node(name, tree, where=where)
        except UserError as error:
            for before in _earlier(inputs):
                said = _ceased(name, before, tree, where)
                if said is not None:
                    raise said from None
            raise error from None


def _earlier(inputs: Inputs) -> Iterator[KnowledgeTree]:
    store, current = inputs.store, inputs.versions["knowledge_tree"]
    for version in reversed(store.versions("knowledge_tree")):
        if version.created_at < current.created_at:
            yield KnowledgeTree.from_frames(store.read_version(version), store.read_version(version, "tags"))


def _ceased(name: str, before: KnowledgeTree, now: KnowledgeTree, where: str) -> UserError | None:
    """Say that a node ceased to exist; None where this tree did not hold it either, or it lives on."""
    try:
        node = find_node(name, before)
    except UserError:
        return None
    called = f"{name!r}" if name not in before.number_of else f"{name!r} ({before.paths[node]!r})"
    if before.node_ids[node] in now.number_of:
        path = now.paths[now.number_of[before.node_ids[node]]]
        return UserError(
            f"the node {called} is called {path!r} since the tree was built anew",
            where=where,
            mend=f"Write that, or its id {before.node_ids[node]!r}, which outlives a change of name.",
        )
    found = [f"{now.paths[heir]!r} ({share:.0%})" for heir, share in heirs(node, before, now)]
    return UserError(
        f"the node {called} ceased to exist when the tree was built anew",
        where=where,
        mend=f"Its tags are now under {', '.join(found)}: name these." if found else "Its tags are gone too.",
    )
