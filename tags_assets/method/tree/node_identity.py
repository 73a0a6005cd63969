"""Node ids that outlive a rebuild: a node that lives on keeps its id, a new one is named by its members."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

LIVES_ON = 1 / 3
"""Least Jaccard overlap of the tags below two nodes for the new one to be the old one: of two nodes of equal
size, half of the tags in common."""


def node_ids(
    tags: Sequence[str], node_of_tag: Sequence[NDArray[np.integer]], previous: KnowledgeTree | None = None
) -> list[tuple[str, ...]]:
    """Give every node its id.

    Nodes of a level are matched to the nodes of the same level of the previous tree so that the sum of their
    overlaps (Jaccard, over the tags that both trees hold) is the largest possible; what is left is matched
    across levels in the same way; the root is the root. Matched nodes keep the old id. The others get a hash
    of their members, salted where another node of either tree bears it already.

    Parameters
    ----------
    tags
        Tags of the new tree, (n_tags,).
    node_of_tag
        For each level from the leaves up to the root, the number within the level of the node that holds each
        tag, (n_tags,) each.
    previous
        The tree before, if any.

    Returns
    -------
    list[tuple[str, ...]]
        Ids of each level's nodes. All are distinct.
    """
    sizes = [int(level.max()) + 1 for level in node_of_tag]
    kept: list[list[str | None]] = [[None] * size for size in sizes]
    if previous is not None:
        kept = _lived_on(tags, node_of_tag, previous)
    taken = {node_id for level in kept for node_id in level if node_id is not None}
    taken.update(previous.node_ids if previous is not None else ())
    ids: list[tuple[str, ...]] = []
    for level, (of_tag, old) in enumerate(zip(node_of_tag, kept, strict=True)):
        own = _member_hashes(tags, of_tag, level)
        named: list[str] = []
        for node, node_id in enumerate(old):
            new_id, salt = node_id or own[node], 0
            while node_id is None and new_id in taken:
                salt += 1
                new_id = _digest(f"{own[node]} {salt}".encode())
            taken.add(new_id)
            named.append(new_id)
        ids.append(tuple(named))
    return ids


def _lived_on(
    tags: Sequence[str], node_of_tag: Sequence[NDArray[np.integer]], previous: KnowledgeTree
) -> list[list[str | None]]:
    """Find the old id of each node of each level, None for a new node."""
    place = {tag: i for i, tag in enumerate(tags)}
    shared = [
        (place[tag], leaf) for tag, leaf in zip(previous.tags, previous.tag_leaf, strict=True) if tag in place
    ]
    here = np.array([i for i, _ in shared], dtype=np.int64)
    depth = int(previous.level[previous.root]) + 1
    above = previous.ancestors.indices.reshape(previous.n_leaves, depth).astype(np.int64)
    old_nodes = above[np.array([leaf for _, leaf in shared], dtype=np.int64)]
    starts = np.concatenate([[0], np.cumsum([int(level.max()) + 1 for level in node_of_tag])])
    n_new, top = int(starts[-1]), len(node_of_tag) - 1
    new_nodes = np.stack(
        [of_tag[here] + start for of_tag, start in zip(node_of_tag, starts, strict=False)], axis=1
    )
    new_level = np.repeat(np.arange(top + 1), np.diff(starts))

    match = np.full(n_new, -1, dtype=np.int64)
    for level in range(min(top, depth - 1)):
        _match(new_nodes[:, [level]], old_nodes[:, [level]], previous.n_nodes, match)
    # A tree that grew a level holds the nodes of old one level off.
    _match(new_nodes[:, :top], old_nodes[:, : depth - 1], previous.n_nodes, match)
    match[-1] = previous.root
    ids = [None if old < 0 else previous.node_ids[old] for old in match.tolist()]
    return [[ids[v] for v in np.flatnonzero(new_level == level)] for level in range(top + 1)]


def _match(
    new_nodes: NDArray[np.int64], old_nodes: NDArray[np.int64], n_old: int, match: NDArray[np.int64]
) -> None:
    """Match the free nodes of the given columns, largest sum of overlaps first; writes to ``match``."""
    n_tags, n_new = len(new_nodes), len(match)
    if not n_tags or not new_nodes.size or not old_nodes.size:
        return
    inside_new = _membership(new_nodes, n_new)
    inside_old = _membership(old_nodes, n_old)
    common = (inside_new.T @ inside_old).tocoo()
    new, old = common.coords
    size_new, size_old = inside_new.sum(axis=0), inside_old.sum(axis=0)
    overlap = common.data / (size_new[new] + size_old[old] - common.data)
    used = np.zeros(n_old, dtype=bool)
    used[match[match >= 0]] = True
    free = (overlap >= LIVES_ON) & (match[new] < 0) & ~used[old]
    new, old, overlap = new[free], old[free], overlap[free]
    if not len(new):
        return
    rows, row = np.unique(new, return_inverse=True)
    columns, column = np.unique(old, return_inverse=True)
    # Each row may also stay alone, at the price of no overlap: that makes a full matching always possible.
    alone = np.arange(len(rows))
    cost = sparse.coo_array(
        (
            np.concatenate([2.0 - overlap, np.full(len(rows), 2.0)]),
            (np.concatenate([row, alone]), np.concatenate([column, len(columns) + alone])),
        ),
        shape=(len(rows), len(columns) + len(rows)),
    )
    matched_row, matched_column = min_weight_full_bipartite_matching(cost.tocsr())
    paired = matched_column < len(columns)
    match[rows[matched_row[paired]]] = columns[matched_column[paired]]


def _membership(nodes: NDArray[np.int64], n_nodes: int) -> sparse.csr_array:
    """1 where a tag is below a node, float64 (n_tags, n_nodes)."""
    n_tags, width = nodes.shape
    indptr = np.arange(0, n_tags * width + 1, width)
    return sparse.csr_array((np.ones(nodes.size), nodes.ravel(), indptr), shape=(n_tags, n_nodes))


def _member_hashes(tags: Sequence[str], of_tag: NDArray[np.integer], level: int) -> list[str]:
    """Hash each node's level and set of tags: a sum over the set, so that no order matters."""
    halves = np.frombuffer(
        b"".join(
            hashlib.blake2b(tag.encode("utf-8", "surrogatepass"), digest_size=16).digest() for tag in tags
        ),
        dtype="<u8",
    ).reshape(-1, 2)
    order = np.argsort(of_tag, kind="stable")
    starts = np.searchsorted(of_tag[order], np.arange(int(of_tag.max()) + 1))
    sums = np.add.reduceat(halves[order], starts, axis=0)
    return [_digest(level.to_bytes(2, "little") + row.tobytes()) for row in sums]


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=6).hexdigest()
