"""Nodes that a target weighs: as the tree names them, as an earlier tree named them, or in words."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from tags_assets.errors import NotFoundError, UserError
from tags_assets.method.target.distribution import resembling_nodes
from tags_assets.method.tree.heirs import heirs
from tags_assets.method.tree.knowledge_tree import PATH_SEPARATOR, KnowledgeTree
from tags_assets.method.tree.nodes_by_name import find_node, nodes_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from tags_assets.method.text.embedding import Embed
    from tags_assets.store.upstream import Inputs

CLEAR_HEIR = 0.6
"""Share of a node's tags from which on the node that holds them now takes its place."""

CLEAR_WORDS = 0.37
"""Cosine from which on words mean the concept nearest to them: on the sample "mathematics" and "astronomy"
lie just above it, words for what the pool does not hold ("football", "quantum chromodynamics") below."""

MISSPELT = 0.85
"""Likeness of spelling from which on a name is a misspelt one: "algebre" for "algebra", not "sums" for it."""

LISTED = 3


def resolve_nodes(
    weights: Mapping[str, float],
    tree: KnowledgeTree,
    supply: NDArray[np.float64],
    inputs: Inputs,
    embed: Embed,
    *,
    where: str,
) -> tuple[dict[str, float], list[str]]:
    """Find the nodes that a target weighs.

    A name, a path or an id is taken as it is. What an earlier tree of the store held is read as the node that
    holds its tags now, where that is clear, and other words as the concept nearest to them; a note says so.
    A name that is spelt nearly like a node's is a mistake and not words.

    Returns
    -------
    dict, list
        Node id -> weight; notes.

    Raises
    ------
    UserError
        For a name that means several nodes or is misspelt, a node whose tags are now scattered,
        and words near no concept.
    """
    resolved: dict[str, float] = {}
    notes: list[str] = []
    for name, weight in weights.items():
        if nodes_named(name, tree):
            node = find_node(name, tree, where=where)
        else:
            node, note = _from_earlier(name, tree, inputs, where) or _in_words(
                name, tree, supply, embed, where
            )
            notes.append(note)
        node_id = tree.node_ids[node]
        resolved[node_id] = resolved.get(node_id, 0.0) + weight
    return resolved, notes


def _earlier(inputs: Inputs) -> Iterator[KnowledgeTree]:
    store, current = inputs.store, inputs.versions["knowledge_tree"]
    for version in reversed(store.versions("knowledge_tree")):
        if version.created_at < current.created_at:
            yield KnowledgeTree.from_frames(store.read_version(version), store.read_version(version, "tags"))


def _from_earlier(name: str, now: KnowledgeTree, inputs: Inputs, where: str) -> tuple[int, str] | None:
    """Find what became of a node of an earlier tree; None where no tree held it."""
    for before in _earlier(inputs):
        named = nodes_named(name, before)
        if len(named) != 1:
            continue
        node = named[0]
        called = f"{name!r}" if name not in before.number_of else f"{name!r} ({before.paths[node]!r})"
        if before.node_ids[node] in now.number_of:
            lives = now.number_of[before.node_ids[node]]
            path = now.paths[lives]
            return lives, f"The weight on {called} goes to {path!r}, the current name of that node."
        found = heirs(node, before, now)
        if found and found[0][1] >= CLEAR_HEIR:
            heir, share = found[0]
            return heir, (
                f"The weight on {called} goes to {now.paths[heir]!r}: since the tree was rebuilt, "
                f"that node has {share:.0%} of its tags."
            )
        listed = ", ".join(f"{now.paths[heir]!r} ({share:.0%})" for heir, share in found)
        fix = f"Its tags are now under {listed}: name these nodes instead."
        raise NotFoundError(
            f"the node {called} no longer exists since the tree was rebuilt",
            where=where,
            fix=fix if listed else "Its tags no longer exist either.",
        )
    return None


def _in_words(
    name: str, tree: KnowledgeTree, supply: NDArray[np.float64], embed: Embed, where: str
) -> tuple[int, str]:
    """Read words as the concept nearest to them."""
    names = {part for path in tree.paths for part in (path, path.rsplit(PATH_SEPARATOR, 1)[-1])}
    if get_close_matches(name, names, n=1, cutoff=MISSPELT):
        raise UserError.unknown("node of the tree", name, names, where=where)
    nodes, cosines = resembling_nodes(embed([name])[0], tree, supply, most=LISTED)
    if len(nodes) and cosines[0] >= CLEAR_WORDS:
        path = tree.paths[nodes[0]]
        return int(nodes[0]), f"The weight on {name!r} goes to the concept nearest in meaning: {path!r}."
    try:
        find_node(name, tree, where=where)
    except UserError as error:
        near = ", ".join(repr(tree.paths[node]) for node in nodes)
        fix = f"{error.fix} Nearest in meaning: {near}." if near else error.fix
        raise NotFoundError(error.problem, where=where, fix=fix) from None
    raise AssertionError  # never: a name that the tree has is not read as words
