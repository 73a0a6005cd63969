"""`grounded_instances`: each row's mass over the leaves of the tree."""

import dagster as dg
import numpy as np
import polars as pl

from tags_assets.assets import pages
from tags_assets.assets.checks import FigureCheck, figure_is_true
from tags_assets.assets.declaration import Declaration, Table
from tags_assets.assets.participating import participating_rows, participating_texts
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.method.selection.near_texts import TEXT_SCHEMA, text_groups
from tags_assets.method.text.templates import TEMPLATE_SCHEMA, templates
from tags_assets.method.tree.grounding import GROUNDING_SCHEMA, ground, to_frame
from tags_assets.resources.run import RunResource
from tags_assets.store.upstream import read_tree

DECLARATION = Declaration(
    "grounded_instances",
    group="scoring",
    grain="One row per kept instance and leaf, with the mass there; the mass of a row adds up to 1.",
    schema=GROUNDING_SCHEMA,
    meanings={
        "mass": "Share of the row's tags below this leaf; those of a row add up to 1.",
    },
    tables={
        "texts": Table(
            "One row per instance whose text is nearly another's.",
            TEXT_SCHEMA,
            {
                "text_group": "Number of the group of rows of nearly the same text.",
            },
        ),
        "templates": Table(
            "One row per instance whose prompt begins as another's does.",
            TEMPLATE_SCHEMA,
            {
                "template": "First words of the prompt, digits as 0 and names as X; "
                "rows that share them are alike.",
            },
        ),
    },
    plotted={
        "rows_grounded": "rows on the tree",
        "leaves_per_row": "leaves a row",
    },
    checks=(
        FigureCheck(
            "mass_is_one",
            "The mass of every grounded row is 1.",
            figure_is_true("mass_is_one", "every grounded row has mass 1", "a row's mass is not 1"),
            blocking=True,
        ),
    ),
)


@dg.asset(
    deps=["raw_instances", "filtered_rows", "instance_embeddings", "instance_tags", "knowledge_tree"],
    code_version="4",
    **DECLARATION.options(),
)
def grounded_instances(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Put each row onto the tree: the share of its tags under each leaf; its ancestors follow by the tree.

    Table ``texts`` is the finest level, below the leaves: the groups of rows of nearly the same text. Table
    ``templates`` says which rows' prompts begin alike.
    """

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        tree = read_tree(inputs)
        order = participating_rows(inputs, ["instance_id"])["instance_id"]
        masses = ground(inputs.read("instance_tags", columns=["instance_id", "tag", "weight"]), tree, order)
        total = np.asarray(masses.sum(axis=1)).ravel()
        held = total > 0
        frame = to_frame(masses, tree, order)
        vectors = inputs.vectors("instance_embeddings", "instance_id")
        place = pl.DataFrame({"instance_id": vectors.ids}).with_row_index("place")
        rows = pl.DataFrame({"instance_id": order})
        at = rows.join(place, on="instance_id", how="left", maintain_order="left")["place"].to_numpy()
        groups = pl.Series("text_group", text_groups(masses, vectors.matrix[at]))
        texts = rows.with_columns(groups).filter(groups >= 0)
        prompts = pl.concat([batch.select("instance_id", "prompt") for batch in participating_texts(inputs)])
        alike = templates(prompts)
        names = inputs.read("knowledge_tree", columns=["node_id", "path"])
        return Artifact(
            {"data": frame, "texts": texts.cast(pl.Schema(TEXT_SCHEMA)), "templates": alike},
            {
                "rows": len(order),
                "rows_grounded": int(held.sum()),
                "rows_without_tags": int((~held).sum()),
                "leaves_per_row": round(masses.nnz / max(1, int(held.sum())), 2),
                "rows_of_like_texts": len(texts),
                "like_texts": texts["text_group"].n_unique(),
                "rows_of_templates": len(alike),
                "templates": alike["template"].n_unique(),
                "mass_is_one": bool(np.allclose(total[held], 1.0, atol=1e-9)),
            },
            pages.grounded_instances(frame, names),
        )

    return materialize(context, run, compute)
