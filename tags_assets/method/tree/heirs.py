"""Heirs: where the tags of a node that no longer exists are now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tags_assets.method.tree.knowledge_tree import KnowledgeTree


def heirs(node: int, before: KnowledgeTree, now: KnowledgeTree, *, most: int = 3) -> list[tuple[int, float]]:
    """Find the nodes that hold what a node of the tree before held.

    Parameters
    ----------
    node
        Its number in the tree before.
    before, now
        Both trees.
    most
        Heirs at most.

    Returns
    -------
    list[tuple[int, float]]
        Number in the tree now, and its share of those of the node's tags that there still are, the largest
        first. Heirs stand on the node's own level, or on the highest below the root where there is none.
    """
    depth = int(before.level[before.root]) + 1
    above = before.ancestors.indices.reshape(before.n_leaves, depth)[:, int(before.level[node])]
    held = above[before.tag_leaf] == node
    leaf_now = dict(zip(now.tags, now.tag_leaf.tolist(), strict=True))
    leaves = [
        leaf_now[tag] for tag, is_held in zip(before.tags, held, strict=True) if is_held and tag in leaf_now
    ]
    if not leaves:
        return []
    top = int(now.level[now.root])
    level = min(int(before.level[node]), max(top - 1, 0))
    at_level = now.ancestors.indices.reshape(now.n_leaves, top + 1)[leaves, level]
    nodes, counts = np.unique(at_level, return_counts=True)
    order = np.lexsort((nodes, -counts))[:most]
    return [(int(nodes[i]), float(counts[i] / len(leaves))) for i in order]
