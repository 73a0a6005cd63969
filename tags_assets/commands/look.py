"""The commands that look at what was made: ``explain``, ``tree``, ``describe``, ``diff``, ``targets``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree as Drawing

from tags_assets.commands.console import out, print_table
from tags_assets.errors import UserError
from tags_assets.explain.diff import resolve
from tags_assets.explain.lineage import Lineage
from tags_assets.method.target.distribution import find_node
from tags_assets.method.tree.knowledge_tree import KnowledgeTree
from tags_assets.selection.selected_targets import selected_target
from tags_assets.settings.home import POOL_TARGET
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets.store.opening import open_store
from tags_assets.store.sql import load_sql
from tags_assets.store.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tags_assets.settings.home import Home
    from tags_assets.store.artifacts import ArtifactStore

CONCEPT_ROWS = 20
"""Rows listed of those that a concept brought in."""


def run_explain(home: Home, row: str, target: str | None, version: str | None) -> None:
    """Say why a row is in a selection, or why not."""
    from tags_assets.explain.explainer import explain_row  # noqa: PLC0415

    store = open_store(home.path)
    lineage = selection_of(store, target, version)
    data_version = lineage.selection.data_version if version else None
    out.print(explain_row(store, row, lineage.target, data_version=data_version).to_text(), markup=False)


def run_explain_concept(home: Home, concept: str, target: str | None, version: str | None) -> None:
    """Say which rows a concept or a tag brought into the current selections."""
    from tags_assets.explain.explainer import why_node  # noqa: PLC0415

    if version is not None:
        raise UserError(
            "--version does not go with --concept, which tells of the current selections",
            fix="A past one is in the view selection_attribution_history.",
        )
    store = open_store(home.path)
    named = None if target is None else selected_target(store, target)
    out.print(why_node(store, concept, named, most=CONCEPT_ROWS).to_text(), markup=False)


def run_tree(home: Home, under: str | None, depth: int, width: int) -> None:
    """Draw the tree below a node, the fullest children first."""
    store = open_store(home.path)
    version = store.current("knowledge_tree")
    if version is None:
        raise UserError("there is no tree yet", fix="Run: tags-assets select POOL...")
    tree = KnowledgeTree.from_frames(store.read_version(version), store.read_version(version, "tags"))
    share = _pool_share(store, tree)
    start = tree.root if under is None else find_node(under, tree)
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(tree.parent.tolist()):
        children.setdefault(parent, []).append(node)

    def label(node: int) -> str:
        return f"{escape(tree.names[node])}  [dim]{share[node]:.1%}, {tree.node_ids[node]}[/dim]"

    def grow(branch: Drawing, node: int, left: int) -> None:
        below = sorted(children.get(node, ()), key=lambda child: (-share[child], child))
        # A chain of only children of one name is one concept on several levels.
        while len(below) == 1 and tree.names[below[0]] == tree.names[node]:
            below = sorted(children.get(below[0], ()), key=lambda child: (-share[child], child))
        for child in below[:width] if left else ():
            grow(branch.add(label(child)), child, left - 1)
        if left and len(below) > width:
            rest = sum(share[child] for child in below[width:])
            branch.add(f"[dim]… {len(below) - width:,} more ({rest:.1%})[/dim]")

    drawing = Drawing(label(start))
    grow(drawing, start, depth)
    out.print(drawing)


def _pool_share(store: ArtifactStore, tree: KnowledgeTree) -> list[float]:
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


def run_describe(home: Home, name: str | None) -> None:
    """List the views with what each holds, or one with its columns."""
    with Warehouse(open_store(home.path)).open() as warehouse:
        told: dict[str, str] = dict(warehouse.execute(load_sql("explain/views")).fetchall())
        if name is not None and name not in told:
            raise UserError.unknown("table or view", name, sorted(told), where="warehouse.duckdb")
        table = Table(box=None, pad_edge=False, header_style="bold")
        if name is None:
            table.add_column("table or view", no_wrap=True)
            table.add_column("holds", overflow="fold")
            for view, comment in told.items():
                table.add_row(escape(view), escape(comment.partition(". ")[0].removesuffix(".") + "."))
        else:
            out.print(f"{told[name]}\n", markup=False)
            for heading in ("column", "type", "meaning"):
                table.add_column(heading, overflow="fold")
            for row in warehouse.execute(load_sql("explain/columns"), [name]).fetchall():
                table.add_row(*map(escape, row))
    out.print(table)


def run_diff(home: Home, a: str, b: str) -> None:
    """Compare two selections."""
    from tags_assets.explain.diff import diff  # noqa: PLC0415

    out.print(diff(open_store(home.path), a, b).to_text(), markup=False)


def run_targets(home: Home) -> None:
    """List the targets with what each asks for and what its last selection reached."""
    registry, store = TargetRegistry(home), open_store(home.path)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("target", "asks for", "budget", "selected", "KL", "floor", "certificate", "file"):
        table.add_column(column)
    names = list(registry.entries())
    problems = list(registry.problems())
    for name in names if POOL_TARGET in names else [*names, POOL_TARGET]:
        reached = _reached(store, name)
        try:
            spec = registry.load(name)
        except UserError as error:
            problems.append(error)
            continue
        file = os.path.relpath(spec.path) if spec.path else ""
        table.add_row(name, spec.target.kind, str(spec.method_budget), *reached, escape(file))
    print_table(table)
    for problem in problems:
        out.print(f"not usable: {problem}", markup=False, soft_wrap=True, style="red")


def _reached(store: ArtifactStore, name: str) -> tuple[str, str, str, str]:
    version = store.current("selected_subset", name)
    if version is None:
        return ("not yet", "", "", "")
    figures: Mapping[str, Any] = version.metadata["figures"]  # type: ignore[assignment]
    return (
        f"{figures['rows_selected']:,} rows",
        f"{figures['kl']:.3f}",
        f"{figures['kl_floor']:.3f}",
        f"{figures['certificate']:.4f}",
    )


def selection_of(store: ArtifactStore, target: str | None, version: str | None) -> Lineage:
    """Find a selection: of a target, and one of the past where (the beginning of) a version is named."""
    if version is None:
        return Lineage.of(store, selected_target(store, target))
    return resolve(store, version if target is None else f"{target}@{version}")
