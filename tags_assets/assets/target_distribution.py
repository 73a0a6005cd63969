"""`target_distribution` [target]: what the target asks of each leaf."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tags_assets.assets import target_pages
from tags_assets.assets.declaration import Declaration, Table
from tags_assets.assets.examples import (
    ExampleTagger,
    example_columns,
    example_notes,
    ground_examples,
    read_examples,
)
from tags_assets.assets.given_vectors import has_given_vectors
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.method.target.distribution import (
    TARGET_SCHEMA,
    PoolText,
    TargetDistribution,
    target_from_description,
    target_from_examples,
    target_from_pool,
    target_from_weights,
)
from tags_assets.method.text.embedding import Embed
from tags_assets.method.tree.grounding import from_frame
from tags_assets.method.tree.knowledge_tree import KnowledgeTree
from tags_assets.resources.embedder import ROW_TOKENS
from tags_assets.resources.run import Run, RunResource
from tags_assets.selection.missing_nodes import resolve_nodes
from tags_assets.selection.notes import language_notes
from tags_assets.settings.target_file import TargetSpec
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets.store.upstream import read_tree

_BY_CONCEPTS = (
    "the description is compared with concepts, not with rows, because the rows' vectors are from your "
    "column; examples with vectors in that column say more"
)

LIKENESS_SCHEMA = pl.Schema({"instance_id": pl.String(), "likeness": pl.Float32()})
"""Columns of the table ``target_distribution_likeness``, one row per instance that has a vector;
empty where the target has no text."""


DECLARATION = Declaration(
    "target_distribution",
    group="sampling",
    grain="One row per leaf of the tree: what the target asks of it.",
    schema={"target": pl.String(), **TARGET_SCHEMA},
    meanings={
        "node_id": "A leaf of the tree.",
        "mass": "Share that the target asks of it; all add up to 1.",
        "pool_mass": "Share that the pool has of it.",
        "supply": "Rows of the pool on it; a row half about it counts half.",
        "origin": "Where most of the share comes from, in words.",
    },
    tables={
        "likeness": Table(
            "One row per instance: how like the target its whole text is.",
            LIKENESS_SCHEMA,
            {
                "likeness": "How much more the row's text is like the target's than "
                "like the pool's, in nats.",
            },
        ),
    },
    of_target=True,
    plotted={
        "kl_from_pool": "KL from target to pool (nats)",
    },
)


@dg.asset(
    deps=[
        "raw_instances",
        "knowledge_tree",
        "grounded_instances",
        "tag_vocabulary",
        "tag_embeddings",
        "instance_embeddings",
    ],
    code_version="8",
    **DECLARATION.options(),
)
def target_distribution(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Read the target's file and say what it asks of each concept, smoothed down the tree, and how much like
    it the text of each row is.
    """

    def config(name: str) -> Mapping[str, Any]:
        spec = run.record.target(name)
        tagger = ExampleTagger(run).fingerprint_config() if spec.target.examples is not None else None
        columns = example_columns(run) if spec.target.examples is not None else {}
        mapped = {"columns": columns} if columns else {}
        return {**TargetRegistry(run.home).distribution_config(spec), "tagger": tagger, **mapped}

    def compute(inputs: Inputs, name: str) -> Artifact:
        spec = run.record.target(name)
        with run.embedder(max_tokens=ROW_TOKENS) as embed:
            tagger = ExampleTagger(run, inputs.status)
            distribution, tree, ids = _distribution(spec, inputs, embed, tagger)
        notes = (*example_notes(spec, run), *_language_notes(spec, inputs, run), *distribution.notes)
        frame = distribution.to_frame(tree)
        like = distribution.likeness
        of_rows = {"instance_id": ids, "likeness": like} if like is not None else None
        return Artifact(
            {
                "data": frame.select(pl.lit(name).alias("target"), pl.all()),
                "likeness": pl.DataFrame(of_rows, schema=LIKENESS_SCHEMA),
            },
            {
                "kind": distribution.kind,
                "kl_from_pool": distribution.divergence_from_pool,
                "back_off": [round(float(weight), 4) for weight in distribution.back_off],
                "relevance": round(distribution.relevance, 4),
                "notes": list(notes),
            },
            target_pages.target_distribution(spec, distribution, tree, notes),
        )

    return materialize(context, run, compute, config=config)


def _language_notes(spec: TargetSpec, inputs: Inputs, run: Run) -> list[str]:
    if not isinstance(inputs.versions["tag_embeddings"].config["embedder"], str):
        return []  # a model behind an API, which may know any language
    rows = inputs.read("raw_instances", columns=["language", "duplicate_of"])
    return language_notes(
        rows.filter(pl.col("duplicate_of").is_null())["language"],
        description=spec.target.description,
        examples=None if spec.target.examples is None else read_examples(spec, run)["language"],
    )


def _supply(grounded: pl.DataFrame, tree: KnowledgeTree) -> NDArray[np.float64]:
    """Mass of the pool at each leaf, in rows."""
    mass = grounded.group_by("node_id").agg(pl.col("mass").sum())
    leaves = pl.DataFrame({"node_id": tree.node_ids[: tree.n_leaves]})
    return (
        leaves.join(mass, on="node_id", how="left", maintain_order="left")["mass"].fill_null(0.0).to_numpy()
    )


def _distribution(
    spec: TargetSpec, inputs: Inputs, embed: Embed, tagger: ExampleTagger
) -> tuple[TargetDistribution, KnowledgeTree, pl.Series]:
    """Read the wish of a target's file; the ids are those of the rows that likeness is of."""
    tree = read_tree(inputs)
    wish = spec.target
    of_rows = [] if wish.pool is not None else ["instance_id"]
    grounded = inputs.read("grounded_instances", columns=[*of_rows, "node_id", "mass"])
    supply = _supply(grounded, tree)
    none = pl.Series("instance_id", [], dtype=pl.String)
    if wish.pool is not None:
        return target_from_pool(tree, supply), tree, none
    if wish.description is not None and has_given_vectors(inputs):
        found = target_from_description(embed([wish.description]), tree, supply)
        return replace(found, notes=(*found.notes, _BY_CONCEPTS)), tree, none
    rows = inputs.vectors("instance_embeddings", "instance_id")
    grounding = from_frame(grounded, tree, rows.ids)
    if wish.weights is not None:
        at = spec.at("target.weights")
        weights, notes = resolve_nodes(wish.weights, tree, supply, inputs, embed, where=at)
        found = target_from_weights(
            weights, tree, supply, row_vectors=rows.matrix, grounding=grounding, where=at
        )
        return replace(found, notes=(*found.notes, *notes)), tree, rows.ids
    if wish.description is not None:
        found = target_from_description(
            embed([wish.description]),
            tree,
            supply,
            row_vectors=rows.matrix,
            grounding=grounding,
        )
        return found, tree, rows.ids
    mean = rows.matrix.mean(axis=0)
    examples, vectors = ground_examples(spec, inputs, tree, embed, tagger, mean=mean)
    text = PoolText(vectors, rows.matrix, grounding)
    return target_from_examples(examples, tree, supply, text=text), tree, rows.ids
