"""Nodes of the tree as a user names them: by name, by path or by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.errors import InvalidInputError, UserError
from tags_assets.method.tree.knowledge_tree import PATH_SEPARATOR

if TYPE_CHECKING:
    from tags_assets.method.tree.knowledge_tree import KnowledgeTree


def find_node(name: str, tree: KnowledgeTree, *, where: str | None = None) -> int:
    """Find the node that a name, a path of names or a node id means.

    Names are compared without case. A path may start anywhere: ``python > pandas`` finds
    ``programming > python > pandas``. Of nodes of one name that lie above each other the highest is meant.

    Raises
    ------
    UserError
        Where there is none (with the nearest names) or more than one (with their paths).
    """
    highest = nodes_named(name, tree)
    if not highest:
        known = {*tree.names, *tree.paths}
        raise UserError.unknown("node of the tree", name, known, where=where)
    if len(highest) > 1:
        listed = "; ".join(f"{tree.paths[v]} ({tree.node_ids[v]})" for v in highest[:6])
        raise InvalidInputError(
            f"{name!r} names {len(highest)} nodes: {listed}",
            where=where,
            fix="Give the path or the node id.",
        )
    return highest[0]


def nodes_named(name: str, tree: KnowledgeTree) -> list[int]:
    """List the nodes that a name, a path of names or a node id may mean, as `find_node` reads them."""
    if name in tree.number_of:
        return [tree.number_of[name]]
    wanted = _normal(name)
    paths = [_normal(path) for path in tree.paths]
    found = [v for v, path in enumerate(paths) if path == wanted]
    if not found:
        found = [v for v, path in enumerate(paths) if path.endswith(PATH_SEPARATOR + wanted)]
    among = set(found)
    return [v for v in found if not among.intersection(_above(v, tree))]


def _normal(path: str) -> str:
    return PATH_SEPARATOR.join(" ".join(part.split()).casefold() for part in path.split(">"))


def _above(node: int, tree: KnowledgeTree) -> list[int]:
    out: list[int] = []
    while (node := int(tree.parent[node])) >= 0:
        out.append(node)
    return out
