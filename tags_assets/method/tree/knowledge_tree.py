"""The knowledge tree: one tree over all tags, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

NODE_SCHEMA: dict[str, pl.DataType] = {
    "node_id": pl.String(),
    "parent_id": pl.String(),
    "level": pl.Int16(),
    "name": pl.String(),
    "description": pl.String(),
    "branch_length": pl.Float64(),
    "path": pl.String(),
    "n_tags": pl.Int64(),
    "vector": pl.List(pl.Float32()),
}
"""Columns of the table ``knowledge_tree``, one row per node."""

TAG_SCHEMA: dict[str, pl.DataType] = {"tag": pl.String(), "node_id": pl.String()}
"""Columns of the table ``knowledge_tree_tags``, one row per tag: the leaf that holds it."""

PATH_SEPARATOR = " > "


@dataclass(frozen=True, eq=False)
class KnowledgeTree:
    """A rooted tree whose leaves are groups of tags that mean the same concept.

    Nodes are numbered so that leaves come first and every parent has a larger number than its children;
    the root is the last node. All leaves are at level 0 and each parent is one level above its children.

    Attributes
    ----------
    node_ids
        Stable identifiers, unique, (n_nodes,).
    parent
        Number of each node's parent, -1 at the root, int32 (n_nodes,).
    level
        0 at the leaves, int16 (n_nodes,).
    branch_length
        1 - cos(node, parent), 0 at the root, float64 (n_nodes,).
    names, descriptions
        What a person reads, (n_nodes,). Siblings have distinct names.
    vectors
        Unit-norm centroid of the tags below each node, float32 (n_nodes, n_dims).
    tags
        Canonical tags, (n_tags,).
    tag_leaf
        Number of the leaf that holds each tag, int32 (n_tags,).
    """

    node_ids: tuple[str, ...]
    parent: NDArray[np.int32]
    level: NDArray[np.int16]
    branch_length: NDArray[np.float64]
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    vectors: NDArray[np.float32]
    tags: tuple[str, ...]
    tag_leaf: NDArray[np.int32]

    @property
    def n_nodes(self) -> int:
        return len(self.node_ids)

    @cached_property
    def n_leaves(self) -> int:
        return int(np.count_nonzero(self.level == 0))

    @property
    def root(self) -> int:
        return self.n_nodes - 1

    @cached_property
    def number_of(self) -> dict[str, int]:
        """Number of each node id."""
        return {node_id: i for i, node_id in enumerate(self.node_ids)}

    @cached_property
    def ancestors(self) -> sparse.csr_array:
        """1 where node v is leaf l or one of its ancestors, float64 CSR (n_leaves, n_nodes)."""
        steps = [np.arange(self.n_leaves, dtype=np.int32)]
        while True:
            above = self.parent[steps[-1]]
            if above[0] < 0:
                break
            steps.append(above.astype(np.int32))
        columns = np.stack(steps, axis=1).ravel()
        indptr = np.arange(0, len(columns) + 1, len(steps))
        data = np.ones(len(columns))
        return sparse.csr_array((data, columns, indptr), shape=(self.n_leaves, self.n_nodes))

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Names from below the root down to each node, joined by ``" > "``; its own name at the root."""
        paths: list[str] = [""] * self.n_nodes
        paths[self.root] = self.names[self.root]
        for v in range(self.n_nodes - 2, -1, -1):
            above = int(self.parent[v])
            # A node that is its parent's only child and bears its name is one concept, not two.
            if above == self.root:
                paths[v] = self.names[v]
            elif self.names[v] == self.names[above]:
                paths[v] = paths[above]
            else:
                paths[v] = paths[above] + PATH_SEPARATOR + self.names[v]
        return tuple(paths)

    @cached_property
    def tags_below(self) -> NDArray[np.int64]:
        """Number of tags below each node, int64 (n_nodes,)."""
        per_leaf = np.bincount(self.tag_leaf, minlength=self.n_leaves).astype(np.float64)
        return np.asarray(self.ancestors.T @ per_leaf, dtype=np.int64)

    def to_frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Write the tree as the tables of its nodes (``NODE_SCHEMA``) and of its tags (``TAG_SCHEMA``)."""
        ids = np.asarray(self.node_ids, dtype=object)
        nodes = pl.DataFrame(
            {
                "node_id": list(self.node_ids),
                "parent_id": [None if p < 0 else self.node_ids[p] for p in self.parent.tolist()],
                "level": self.level,
                "name": list(self.names),
                "description": list(self.descriptions),
                "branch_length": self.branch_length,
                "path": list(self.paths),
                "n_tags": self.tags_below,
                "vector": pl.Series(
                    np.ascontiguousarray(self.vectors, dtype=np.float32),
                    dtype=pl.Array(pl.Float32, self.vectors.shape[1]),
                ).cast(pl.List(pl.Float32)),
            },
            schema=NODE_SCHEMA,
        )
        tags = pl.DataFrame(
            {"tag": list(self.tags), "node_id": ids[self.tag_leaf].tolist()}, schema=TAG_SCHEMA
        )
        return nodes, tags

    @classmethod
    def from_frames(cls, nodes: pl.DataFrame, tags: pl.DataFrame) -> KnowledgeTree:
        """Read the tree back from the tables that `to_frames` wrote, rows in any order."""
        nodes = nodes.sort("level", "node_id")
        number = {node_id: i for i, node_id in enumerate(nodes["node_id"])}
        tags = tags.sort("tag")
        return cls(
            node_ids=tuple(nodes["node_id"]),
            parent=np.array([-1 if p is None else number[p] for p in nodes["parent_id"]], dtype=np.int32),
            level=nodes["level"].to_numpy().astype(np.int16),
            branch_length=nodes["branch_length"].to_numpy().astype(np.float64),
            names=tuple(nodes["name"]),
            descriptions=tuple(nodes["description"]),
            vectors=_matrix(nodes["vector"]),
            tags=tuple(tags["tag"]),
            tag_leaf=np.array([number[n] for n in tags["node_id"]], dtype=np.int32),
        )


def _matrix(vectors: pl.Series) -> NDArray[np.float32]:
    """Lay out a column of vectors of one length as float32 (n_rows, n_dims): no Python object a number."""
    flat = vectors.explode(empty_as_null=False).to_numpy()
    return np.ascontiguousarray(flat.reshape(len(vectors), -1), dtype=np.float32)
