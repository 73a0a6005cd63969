"""What the pages of a target's assets answer first; `pages` says of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.assets import pictures
from tags_assets.assets.pages import named_row, said
from tags_assets.assets.previews import escaped, place, table
from tags_assets.report import sentences as words
from tags_assets.report.charts import last_steps
from tags_assets.selection.inferred import inferred_nodes
from tags_assets.selection.notes import notes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tags_assets.assets.pages import Page
    from tags_assets.assets.previews import Preview
    from tags_assets.assets.versioned import Inputs
    from tags_assets.method.target.distribution import TargetDistribution
    from tags_assets.method.tree.knowledge_tree import KnowledgeTree
    from tags_assets.report.content import ReportInput
    from tags_assets.selection.tables import Selected
    from tags_assets.settings.home import Home
    from tags_assets.settings.target_file import TargetSpec

WHY_ROWS = 12
REASONS_SHOWN = 3


def target_distribution(
    spec: TargetSpec, distribution: TargetDistribution, tree: KnowledgeTree, notes: Sequence[str]
) -> Page:
    """Say what was understood of the target's file, and what it asks most for; notes stand first."""
    wish = spec.target
    read = {
        "examples": f"the examples in `{wish.examples}`",
        "description": f"the description “{escaped(wish.description or '')}”",
        "weights": f"{len(wish.weights or {}):,} weights on concepts",
        "pool": "the pool itself",
    }[wish.kind]
    mass, pool = distribution.mass, distribution.pool
    top = np.argsort(-mass, kind="stable")
    half = int(np.searchsorted(np.cumsum(mass[top]), 0.5)) + 1
    unlike = distribution.divergence_from_pool
    lines = [
        *(f"**Note:** {escaped(note)}" for note in notes),
        f"Read from {read}. Half of what it asks lies in **{half:,}** of the tree's {len(mass):,} leaves.",
        "It asks for what the pool is made of."
        if distribution.is_pool
        else f"It is **{unlike:.2f}** nats from the pool's own mix (KL divergence).",
    ]
    upwards = tree.ancestors.T
    asked, held = upwards @ mass, upwards @ pool
    below_root = int(tree.level.max()) - 1
    fields = [node for node in np.argsort(-asked, kind="stable") if tree.level[node] == below_root][:10]
    leaves = top[:15]
    return {
        "what_was_understood": "\n\n".join(lines),
        "fields_asked_for": table(
            pl.DataFrame(
                {
                    "field": [tree.paths[node] for node in fields],
                    "target": [f"{asked[node]:.1%}" for node in fields],
                    "pool": [f"{held[node]:.1%}" for node in fields],
                }
            )
        ),
        "asks_most_for": table(
            pl.DataFrame(
                {
                    "concept": [last_steps(tree.paths[leaf]) for leaf in leaves],
                    "target": [f"{mass[leaf]:.2%}" for leaf in leaves],
                    "pool": [f"{pool[leaf]:.2%}" for leaf in leaves],
                    "its rows": [f"{distribution.supply[leaf]:,.1f}" for leaf in leaves],
                }
            )
        ),
    }


def selected_subset(inputs: Inputs, made: Selected, home: Home) -> Page:
    """Say why: in a few sentences, pick by pick, and over the budget."""
    figures = dict(made.figures) | {"rows_eligible": made.figures["n_eligible"]}
    lines = [
        *(f"Note: {note}" for note in notes_of(figures, inputs.figures("target_distribution"))),
        words.headline(figures, made.target),
        *words.closeness(figures, made.target)[:1],
        words.certificate(figures),
    ]
    frontier = made.frontier["value"].to_numpy()
    half = int(np.searchsorted(frontier, 0.5 * frontier[-1])) + 1 if len(frontier) else 0
    return {
        "in_short": "\n\n".join(escaped(line) for line in lines),
        "report": place(home.report(made.target), home.path),
        "why": table(_why(inputs, made), WHY_ROWS),
        "what_a_budget_buys": f"The first **{half:,}** of {len(frontier):,} rows give half of the value."
        f"{_twice(frontier, made.beyond)}\n\n"
        + pictures.curve(frontier, "0 rows", f"{len(frontier):,} rows", alt="Value of the first n picks"),
        "in_short_supply": _short_supply(inputs, made.shortages),
    }


def _twice(frontier: NDArray[np.float64], beyond: pl.DataFrame) -> str:
    if beyond.is_empty():
        return ""
    rows, value = beyond.select("rows", "value").row(-1)
    return f" {rows:,} would give {value / frontier[-1]:.0%} of that value."


def _why(inputs: Inputs, made: Selected) -> pl.DataFrame:
    picks = made.rows.head(WHY_ROWS).select("instance_id", "rank")
    stands_on, with_inferred = inferred_nodes(inputs, picks["instance_id"])
    paths = inputs.read("knowledge_tree", columns=["node_id", "path"])
    marked = (
        stands_on.join(picks, on="instance_id").join(paths, on="node_id").select("rank", "path", "inferred")
    )
    reasons = made.reasons.join(marked, on=["rank", "path"], how="left", maintain_order="left")
    inferred = pl.col("inferred").fill_null(value=False)
    because = (
        reasons.filter(pl.lit(with_inferred) | ~inferred)
        .group_by("rank", maintain_order=True)
        .head(REASONS_SHOWN)
        .group_by("rank", maintain_order=True)
        .agg(
            pl.format(
                "{}{} {}%",
                pl.col("path").str.split(" > ").list.last(),
                pl.when(inferred).then(pl.lit(" (inferred)")).otherwise(pl.lit("")),
                (pl.col("share") * 100).round(0).cast(pl.Int64),
            ).alias("because")
        )
    )
    return (
        picks.join(said(inputs, picks["instance_id"].to_list(), keep_id=True), on="instance_id", how="left")
        .join(because, on="rank", how="left")
        .sort("rank")
        .select("rank", named_row().alias("row"), pl.col("because").list.join(", ").alias("of its gain"))
    )


def _short_supply(inputs: Inputs, shortages: pl.DataFrame) -> Preview:
    if shortages.is_empty():
        return "Nothing: the pool has enough rows on every concept of the target."
    names = inputs.read("knowledge_tree", columns=["node_id", "path"])
    short = shortages.join(names, on="node_id", how="left", maintain_order="left")
    return table(short.select(concept="path", wanted="wanted", pool="supply", selected="reached"), 10)


def selection_attribution(
    amounts: pl.DataFrame, tree: KnowledgeTree, stands_on: pl.DataFrame, *, with_inferred: bool
) -> Page:
    """Show the concepts that gave most of the gain, leaves and fields apart.

    Parameters
    ----------
    amounts
        ``instance_id, node_id, part, amount``.
    tree
        Their tree.
    stands_on
        ``instance_id, node_id, inferred``, as `tags_assets.selection.inferred.inferred_nodes` gives it.
    with_inferred
        Whether inferred concepts are shown, or left out.
    """
    names = pl.DataFrame({"node_id": tree.node_ids, "path": tree.paths, "level": tree.level})
    whole = float(amounts["amount"].sum()) or 1.0
    gave = (
        amounts.join(stands_on, on=["instance_id", "node_id"], how="left")
        .with_columns(pl.col("inferred").fill_null(value=False))
        .filter(pl.lit(with_inferred) | ~pl.col("inferred"))
        .group_by("node_id")
        .agg(
            pl.col("amount").sum(),
            rows=pl.col("instance_id").n_unique(),
            inferred=pl.col("instance_id").filter("inferred").n_unique(),
        )
        .join(names, on="node_id")
        .sort("amount", "node_id", descending=[True, False])
    )
    share = pl.format("{}%", (pl.col("amount") / whole * 100).round(2))
    steps = pl.col("path").str.split(" > ").list.tail(2).list.join(" > ")
    shown = gave.select(
        share.alias("of the gain"),
        "rows",
        *(["inferred"] if with_inferred else []),
        steps.alias("concept"),
        "level",
    )
    return {
        "what_drove_it": table(shown.filter(pl.col("level") == 0).drop("level"), 15),
        "above_the_leaves": table(
            shown.filter((pl.col("level") > 0) & (pl.col("level") < int(tree.level.max()))).drop("level"), 10
        ),
    }


def selection_report(report: ReportInput) -> Page:
    """Say in a few sentences what the report says at length."""
    figures = report.figures
    lines = [
        *(f"Note: {message}" for message in report.messages),
        words.headline(figures, report.target),
        *words.closeness(figures, report.target)[:1],
        words.certificate(figures),
    ]
    return {"in_short": "\n\n".join(escaped(line) for line in lines)}
