"""`selection_attribution` [target]: what each node gave to each pick."""

import dagster as dg
import numpy as np
import polars as pl

from tags_assets.assets import target_pages
from tags_assets.assets.checks import FigureCheck, Judged, Verdict
from tags_assets.assets.declaration import Declaration
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.method.selection.selector import attribute_selection
from tags_assets.resources.run import RunResource
from tags_assets.selection.inferred import inferred_nodes
from tags_assets.selection.inputs import SelectionInputs

SCHEMA = pl.Schema(
    {
        "target": pl.String(),
        "instance_id": pl.String(),
        "node_id": pl.String(),
        "part": pl.String(),
        "amount": pl.Float64(),
    }
)


def _adds_up(judged: Judged) -> Verdict:
    worst = judged.figures["largest_difference"]
    return worst <= 1e-6, f"the parts of a row differ from its gain by {worst:.1e} at most"


DECLARATION = Declaration(
    "selection_attribution",
    group="sampling",
    grain="One row per selected instance, node and part: what it gave; a row's amounts add up to its gain.",
    schema=SCHEMA,
    meanings={
        "amount": "What the node gave to the row's gain by that part.",
    },
    of_target=True,
    plotted={
        "share_of_gain": "information gain (share of the value)",
        "share_of_closeness": "closeness (share of the value)",
        "share_of_coverage": "coverage (share of the value)",
        "share_of_text": "whole text (share of the value)",
    },
    checks=(FigureCheck("parts_add_up", "A row's parts add up to its gain.", _adds_up, blocking=True),),
)


@dg.asset(
    deps=[
        "raw_instances",
        "knowledge_tree",
        "grounded_instances",
        "instance_scores",
        "target_distribution",
        "selected_subset",
    ],
    code_version="4",
    **DECLARATION.options(),
)
def selection_attribution(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Replay the picks in their order and take each gain apart over the nodes of the tree.

    What the whole text gave by its likeness and cost by its repetition stands at the root, as part ``text``.
    """

    def compute(inputs: Inputs, name: str) -> Artifact:
        problem = SelectionInputs.read(inputs, run.record.target(name))
        picked = inputs.read("selected_subset", columns=["instance_id", "rank", "gain"]).sort("rank")
        number = problem.rows.select("instance_id", pl.int_range(pl.len()).alias("number"))
        rows = picked.join(number, on="instance_id", maintain_order="left")["number"].to_numpy()
        parts = attribute_selection(
            problem.grounding,
            problem.tree,
            problem.quality,
            problem.target,
            problem.request,
            rows,
            inputs.figures("selected_subset"),
        )
        amounts = parts.to_frame(problem.tree, picked["instance_id"].to_list())
        totals = parts.totals(len(rows)).sum(axis=1)
        difference = float(np.abs(totals - picked["gain"].to_numpy()).max(initial=0.0))
        stands_on, with_inferred = inferred_nodes(inputs, picked["instance_id"])
        by_part = amounts.group_by("part").agg(pl.col("amount").sum()).sort("part")
        return Artifact(
            {"data": amounts.select(pl.lit(name).alias("target"), pl.all()).cast(SCHEMA)},
            {
                "largest_difference": difference,
                **{
                    f"share_of_{part}": amount / amounts["amount"].sum()
                    for part, amount in by_part.iter_rows()
                },
            },
            target_pages.selection_attribution(amounts, problem.tree, stands_on, with_inferred=with_inferred),
        )

    return materialize(context, run, compute)
