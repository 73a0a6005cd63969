"""A selection as tables and figures: what the asset `selected_subset` stores and a notebook looks at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tags_assets.method.selection.attribution import WHOLE_TEXT
from tags_assets.method.selection.diversity import diversity
from tags_assets.method.selection.selector import select

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tags_assets.method.selection.result import SelectionResult
    from tags_assets.selection.inputs import SelectionInputs

CODE_VERSION = "10"
"""Of `selected_subset`: raised whenever equal input gives another selection."""

SCHEMA = pl.Schema(
    {
        "target": pl.String(),
        "instance_id": pl.String(),
        "id": pl.String(),
        "rank": pl.Int64(),
        "gain": pl.Float64(),
        "quality": pl.Float64(),
        "source": pl.String(),
        "language": pl.String(),
        "prompt_tokens": pl.Int32(),
        "response_tokens": pl.Int32(),
    }
)

RUNNERS_UP_SCHEMA = pl.Schema(
    {"instance_id": pl.String(), "gain": pl.Float64(), "beaten_by": pl.String(), "reason": pl.String()}
)


LEFT_OUT_SCHEMA = pl.Schema(
    {"target": pl.String(), "instance_id": pl.String(), "why": pl.String(), "detail": pl.String()}
)
"""Rows that the target's own file takes out: ``why`` is ``excluded`` or ``below_min_quality``."""

NODES_SCHEMA = pl.Schema(
    {
        "node_id": pl.String(),
        "selection_mass": pl.Float64(),
        "pool_mass": pl.Float64(),
        "target_share": pl.Float64(),
        "quality_mass": pl.Float64(),
        "capacity": pl.Float64(),
    }
)

LEVELS_SCHEMA = pl.Schema(
    {
        "level": pl.Int64(),
        "nodes": pl.Int64(),
        "covered_selection": pl.Int64(),
        "effective_selection": pl.Float64(),
        "covered_pool": pl.Int64(),
        "effective_pool": pl.Float64(),
    }
)

REPEATED, LEAST_REPEATED = 0.3, 5
"""Share of the picks that begin alike, of so many picks at least, from which on it is said."""

FIRST_PICKS = 20
REASONS_EACH = 12


@dataclass(frozen=True, eq=False)
class Selected:
    """A selection, whether it is stored or not.

    Attributes
    ----------
    target
        The target's name.
    rows
        One row per pick, by rank: `SCHEMA`.
    nodes
        ``node_id, selection_mass, pool_mass, target_share, quality_mass, capacity``, one row per node of the
        tree: masses in rows, the target's as a share of 1.
    frontier
        What every smaller budget reaches (`tags_assets.method.selection.result.FRONTIER_SCHEMA`).
    beyond
        What up to twice the budget would reach (`tags_assets.method.selection.result.BEYOND_SCHEMA`).
    shortages
        Concepts of which the target asks for more than can be had.
    runners_up
        Rows that came closest to being picked: `RUNNERS_UP_SCHEMA`.
    diversity
        ``level, nodes, covered_selection, effective_selection, covered_pool, effective_pool``: concepts
        touched on each level, and their effective number (Hill number of order 1).
    left_out
        Rows that the target's ``exclude`` or ``min_quality`` took out before anything was picked:
        `LEFT_OUT_SCHEMA`.
    reasons
        What gave most to the first picks: ``rank, path, share``, the concepts of each by falling share of its
        gain, on all levels.
    figures
        The numbers of `tags_assets.method.selection.result.SelectionFigures`, ``rows_selected``, mean quality
        and diversity of selection and pool, and ``messages``: what the user should know.
    """

    target: str
    rows: pl.DataFrame
    nodes: pl.DataFrame
    frontier: pl.DataFrame
    beyond: pl.DataFrame
    shortages: pl.DataFrame
    runners_up: pl.DataFrame
    diversity: pl.DataFrame
    left_out: pl.DataFrame
    reasons: pl.DataFrame
    figures: Mapping[str, Any]

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """The tables by the names under which they are stored."""
        return {
            "data": self.rows,
            "frontier": self.frontier,
            "beyond": self.beyond,
            "nodes": self.nodes,
            "shortages": self.shortages,
            "runners_up": self.runners_up,
            "diversity": self.diversity,
            "left_out": self.left_out,
        }


def select_target(
    problem: SelectionInputs, target: str, *, progress: Callable[[int, int], None] | None = None
) -> Selected:
    """Select rows for a target; nothing is stored.

    Raises
    ------
    UserError
        For a budget or constraint that cannot be met.
    """
    result = select(
        problem.grounding, problem.tree, problem.quality, problem.target, problem.request, progress=progress
    )
    rows = problem.rows[result.rows].with_columns(
        target=pl.lit(target), rank=pl.int_range(1, len(result.rows) + 1), gain=result.gains
    )
    variety = diversity(result.leaf_mass, problem.tree)
    variety_of_pool = diversity(problem.target.supply, problem.tree)
    figures = asdict(result.figures)
    figures["rows_selected"] = figures.pop("n_selected")
    alike = _templates(rows)
    return Selected(
        target=target,
        rows=rows.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items()),
        nodes=_nodes(problem, result),
        frontier=result.frontier,
        beyond=result.beyond,
        shortages=result.shortages,
        runners_up=_runners_up(problem, result),
        diversity=_diversity_by_level(variety.levels, variety_of_pool.levels),
        left_out=_left_out(problem, target),
        reasons=_reasons(problem, result),
        figures={
            **figures,
            "mean_quality": float(rows["quality"].to_numpy().mean()),
            "mean_quality_of_pool": float(problem.quality.mean()),
            "faith_pd_selection": variety.faith_pd,
            "faith_pd_pool": variety_of_pool.faith_pd,
            "rao_selection": variety.rao,
            "rao_pool": variety_of_pool.rao,
            **alike,
            "messages": [*result.messages, *_repeated(alike, len(rows))],
        },
    )


def _templates(rows: pl.DataFrame) -> dict[str, Any]:
    """Count the templates of the picks; a pick that begins as no other row does is one of its own."""
    if "template" not in rows.columns:
        return {}
    own = rows["template"].null_count()
    shared = (
        rows["template"]
        .drop_nulls()
        .value_counts(sort=False)
        .sort("count", "template", descending=[True, False])
    )
    head, count = shared.select("template", "count").row(0) if len(shared) else (None, min(own, 1))
    return {
        "templates": own + len(shared),
        "largest_template": head,
        "largest_template_share": count / len(rows),
    }


def _repeated(alike: Mapping[str, Any], n_rows: int) -> list[str]:
    """Say that many picks begin alike, and what caps them."""
    if n_rows < LEAST_REPEATED or alike.get("largest_template_share", 0) < REPEATED:
        return []
    n_alike, head = round(alike["largest_template_share"] * n_rows), alike["largest_template"]
    said = f"{n_alike:,} of the {n_rows:,} picks begin alike ({head!r})."
    return [f"{said} max_share: {{template: 0.1}} among the constraints caps each such template."]


def _nodes(problem: SelectionInputs, result: SelectionResult) -> pl.DataFrame:
    upwards = problem.tree.ancestors.T
    return pl.DataFrame(
        {
            "node_id": list(problem.tree.node_ids),
            "selection_mass": upwards @ result.leaf_mass,
            "pool_mass": upwards @ problem.target.supply,
            "target_share": upwards @ problem.target.mass,
            "quality_mass": result.node_mass,
            "capacity": result.node_capacity,
        },
        schema=NODES_SCHEMA,
    )


def _runners_up(problem: SelectionInputs, result: SelectionResult) -> pl.DataFrame:
    ids, beaten_by = problem.rows["instance_id"], result.runners_up.beaten_by
    winners = ids.gather(np.maximum(beaten_by, 0)).to_frame("winner")
    return pl.DataFrame(
        {
            "instance_id": ids.gather(result.runners_up.rows),
            "gain": result.runners_up.gains,
            "beaten_by": winners.select(pl.when(pl.Series(beaten_by >= 0)).then("winner")).to_series(),
            "reason": result.runners_up.reasons,
        },
        schema=RUNNERS_UP_SCHEMA,
    )


def _left_out(problem: SelectionInputs, target: str) -> pl.DataFrame:
    request, quality = problem.request, problem.rows["quality"]
    excluded = np.zeros(len(quality), dtype=np.bool_) if request.exclude is None else request.exclude
    poor = pl.format("quality {} is below the target's min_quality {}", quality.round(4), request.min_quality)
    rows = problem.rows.select(
        pl.lit(target).alias("target"),
        "instance_id",
        why=pl.when(pl.Series(excluded)).then(pl.lit("excluded")).otherwise(pl.lit("below_min_quality")),
        detail=pl.when(pl.Series(excluded))
        .then(pl.lit(f"exclude where {problem.excluded_by}"))
        .otherwise(poor),
    )
    return rows.filter(pl.Series(excluded) | (quality < request.min_quality)).cast(LEFT_OUT_SCHEMA)


def _reasons(problem: SelectionInputs, result: SelectionResult) -> pl.DataFrame:
    tree, parts = problem.tree, result.attribution
    first = parts.pick < FIRST_PICKS
    amounts = pl.DataFrame(
        {
            "rank": parts.pick[first].astype(np.int64) + 1,
            "node": parts.node[first].astype(np.int64),
            "amount": parts.amount[first],
        }
    )
    gains = pl.DataFrame({"rank": np.arange(1, len(result.gains) + 1), "whole": result.gains})
    paths = pl.DataFrame({"node": np.arange(tree.n_nodes), "path": [*tree.paths[: tree.root], WHOLE_TEXT]})
    return (
        amounts.group_by("rank", "node")
        .agg(pl.col("amount").sum())
        .join(gains, on="rank")
        .sort("rank", pl.col("amount").round(9), "node", descending=[False, True, False])
        .group_by("rank", maintain_order=True)
        .head(REASONS_EACH)
        .join(paths, on="node", maintain_order="left")
        .select("rank", "path", share=pl.col("amount") / pl.col("whole"))
    )


def _diversity_by_level(selection: pl.DataFrame, pool: pl.DataFrame) -> pl.DataFrame:
    """Put the diversity of selection and pool side by side, one row per level."""
    return selection.select(
        "level",
        "nodes",
        covered_selection=pl.col("covered"),
        effective_selection=pl.col("hill_1"),
        covered_pool=pool["covered"],
        effective_pool=pool["hill_1"],
    ).cast(LEVELS_SCHEMA)
