"""`tags-assets tree`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tags_assets.commands.console import out
from tags_assets.commands.options import HomeOption
from tags_assets.errors import NotFoundError
from tags_assets.settings.home import Home

if TYPE_CHECKING:
    from rich.tree import Tree as Drawing

    from tags_assets.method.tree.knowledge_tree import KnowledgeTree
    from tags_assets.store.artifacts import ArtifactStore


def tree(
    under: Annotated[
        str | None, typer.Argument(help="Show the part below this node: a name, a name path or a node id.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, max=12, help="Levels to show.")] = 3,
    width: Annotated[int, typer.Option(min=1, help="Children to show of each node, the largest first.")] = 8,
    home: HomeOption = None,
) -> None:
    """Draw the knowledge tree, with each node's share of the pool."""
    from tags_assets.method.tree.knowledge_tree import KnowledgeTree
    from tags_assets.method.tree.nodes_by_name import find_node
    from tags_assets.store.opening import open_store

    store = open_store(Home.resolve(home).path)
    version = store.current("knowledge_tree")
    if version is None:
        raise NotFoundError("there is no tree yet", fix="Run: tags-assets select POOL...")
    knowledge = KnowledgeTree.from_frames(store.read_version(version), store.read_version(version, "tags"))
    start = knowledge.root if under is None else find_node(under, knowledge)
    out.print(_drawing(knowledge, _pool_share(store, knowledge), start, depth, width))


def _drawing(tree: KnowledgeTree, share: list[float], start: int, depth: int, width: int) -> Drawing:
    from rich.markup import escape
    from rich.tree import Tree as Drawing

    children: dict[int, list[int]] = {}
    for node, parent in enumerate(tree.parent.tolist()):
        children.setdefault(parent, []).append(node)

    def label(node: int) -> str:
        return f"{escape(tree.names[node])}  [dim]{share[node]:.1%}, {tree.node_ids[node]}[/dim]"

    def grow(branch: Drawing, node: int, left: int) -> None:
        below = sorted(children.get(node, ()), key=lambda child: (-share[child], child))
        # A chain of only children with the same name is one concept on several levels.
        while len(below) == 1 and tree.names[below[0]] == tree.names[node]:
            below = sorted(children.get(below[0], ()), key=lambda child: (-share[child], child))
        for child in below[:width] if left else ():
            grow(branch.add(label(child)), child, left - 1)
        if left and len(below) > width:
            rest = sum(share[child] for child in below[width:])
            branch.add(f"[dim]… {len(below) - width:,} more ({rest:.1%})[/dim]")

    drawing = Drawing(label(start))
    grow(drawing, start, depth)
    return drawing


def _pool_share(store: ArtifactStore, tree: KnowledgeTree) -> list[float]:
    import numpy as np
    import polars as pl

    grounded = store.current("grounded_instances")
    if grounded is None:
        return [0.0] * tree.n_nodes
    mass = (
        store.read_version(grounded, columns=["node_id", "mass"])
        .group_by("node_id")
        .agg(pl.col("mass").sum())
    )
    leaves = pl.DataFrame({"node_id": tree.node_ids[: tree.n_leaves]})
    at_leaf = leaves.join(mass, on="node_id", how="left", maintain_order="left")["mass"].fill_null(0.0)
    total = at_leaf.sum() or 1.0
    share = np.asarray(tree.ancestors.T @ (at_leaf.to_numpy() / total))
    return [float(part) for part in share]
