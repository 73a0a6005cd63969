"""`instance_tags`: the canonical concepts of each row, those that it names and those that it does not."""

import dagster as dg
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tags_assets.assets import pages
from tags_assets.assets.checks import FigureCheck, share
from tags_assets.assets.declaration import Declaration, Table
from tags_assets.assets.given_vectors import has_given_vectors
from tags_assets.assets.participating import participating_rows
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.method.concepts.assignment import (
    INSTANCE_TAG_SCHEMA,
    assign_concepts,
    combine,
    rows_of_named,
)
from tags_assets.method.concepts.vocabulary import Vocabulary
from tags_assets.method.tree.growth import PLACED_SCHEMA, placed_by, vocabulary_drift
from tags_assets.resources.run import RunResource
from tags_assets.store.artifact_file import Vectors
from tags_assets.store.upstream import GROWN_FROM

CONCEPT_SCHEMA = pl.Schema({"content_hash": pl.String(), "tag": pl.String(), "weight": pl.Float32()})
"""One row per content and concept assigned to it, before the row's own tags join it."""


DECLARATION = Declaration(
    "instance_tags",
    group="knowledge",
    grain="One row per kept instance and canonical tag, with weight and origin; a row's weights add up to 1.",
    schema=INSTANCE_TAG_SCHEMA,
    tables={
        "concepts": Table(
            "One row per content and concept assigned to it: known rows keep theirs.",
            CONCEPT_SCHEMA,
            {
                "tag": "Concept that was assigned to rows with this content.",
                "weight": "How near it lies.",
            },
        ),
        "placed": Table(
            "One row per concept that was on offer: what drift is measured against.",
            PLACED_SCHEMA,
            {
                "tag": "Concept that was on offer when known rows got theirs.",
                "mass": "Rows that bore it.",
            },
        ),
    },
    plotted={
        "rows_untagged": "rows without a tag",
        "tags_per_row": "tags a row",
        "drift": "drift since tags were placed (share)",
    },
    checks=(
        FigureCheck(
            "few_untagged",
            "Few kept rows have no tag; such rows cannot be selected (limit `untagged`).",
            share("rows_untagged", "rows", "untagged", "have no tag"),
        ),
    ),
)


@dg.asset(
    deps=[
        "raw_instances",
        "filtered_rows",
        "atomic_tags",
        "tag_vocabulary",
        "tag_embeddings",
        "instance_embeddings",
    ],
    code_version="3",
    **DECLARATION.options(),
)
def instance_tags(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Map tags to their canonical form; phrases get the concepts nearest to the whole row beside them."""
    max_drift = run.pool.max_drift

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        tag_vectors = inputs.vectors("tag_embeddings", "tag")
        row_vectors = inputs.vectors("instance_embeddings", "instance_id")
        vocabulary = Vocabulary(inputs.read("tag_vocabulary"), inputs.read("tag_vocabulary", "aliases"))
        counts = vocabulary.tags["count"].to_numpy()
        hashes = inputs.read("instance_embeddings", columns=["content_hash"])["content_hash"]
        known, placed, drift = _known(inputs, vocabulary)
        if known is None or placed is None or drift > max_drift:
            known, placed = pl.DataFrame(schema=CONCEPT_SCHEMA), placed_by(vocabulary.tags["tag"], counts)
        named = vocabulary.canonical(inputs.read("atomic_tags"))
        has = hashes.is_in(known["content_hash"].unique().implode())
        needs_none = row_vectors.ids.is_in(rows_of_named(named).implode())
        new = np.flatnonzero(~(has | needs_none).to_numpy())
        if has_given_vectors(inputs):  # of another space than the tags'
            new = new[:0]
        concepts = pl.concat(
            [
                known.filter(pl.col("content_hash").is_in(hashes.implode())),
                _assigned(row_vectors, hashes, new, tag_vectors, counts),
            ]
        )
        tags = combine(
            named,
            _numbered(concepts, hashes, tag_vectors.ids),
            instance_ids=row_vectors.ids,
            tags=tag_vectors.ids,
        )
        kept = participating_rows(inputs, ["instance_id"])
        rows = len(kept)
        tagged = tags["instance_id"].n_unique()
        return Artifact(
            {"data": tags, "concepts": concepts, "placed": placed},
            {
                "rows": rows,
                "rows_tagged": tagged,
                "rows_untagged": rows - tagged,
                "tags_per_row": round(len(tags) / tagged, 2) if tagged else 0.0,
                "rows_assigned": len(new),
                "drift": drift,
                "drift_limit": max_drift,
            },
            pages.instance_tags(inputs, tags, kept),
        )

    def grows(inputs: Inputs, _partition: str) -> bool:
        base, rows = inputs.base_of_same_code, inputs.versions["instance_embeddings"]
        if base is None or base.config["max_drift"] != max_drift:
            return False
        # Concepts assigned before hold as long as the vectors of their rows do.
        before = base.upstream["instance_embeddings"]
        kept = rows.config.get(GROWN_FROM) == before and not inputs.figures(rows.asset)["student_fitted"]
        return kept or rows.data_version == before

    return materialize(context, run, compute, config=lambda _: {"max_drift": max_drift}, grows=grows)


def _known(inputs: Inputs, vocabulary: Vocabulary) -> tuple[pl.DataFrame | None, pl.DataFrame | None, float]:
    """Read the concepts assigned before that there still are, what they were chosen among, and its drift."""
    if inputs.base is None:
        return None, None, 0.0
    placed = inputs.store.read_version(inputs.base, "placed")
    drift = vocabulary_drift(vocabulary.tags["tag"], vocabulary.tags["count"].to_numpy(), placed)
    concepts = inputs.store.read_version(inputs.base, "concepts")
    return concepts.join(vocabulary.tags.select("tag"), on="tag", how="semi"), placed, drift


def _assigned(
    rows: Vectors, hashes: pl.Series, new: NDArray[np.int64], tags: Vectors, counts: NDArray[np.int64]
) -> pl.DataFrame:
    """Assign concepts to the new rows, read against the mean of all; ``CONCEPT_SCHEMA``."""
    mean = rows.matrix.mean(axis=0, dtype=np.float64) if len(rows.matrix) else None
    assigned = assign_concepts(rows.matrix[new], tags.matrix, counts, mean=mean)
    return assigned.select(
        hashes.gather(new).gather(assigned["row"]).alias("content_hash"),
        pl.Series("tag", tags.ids, pl.String).gather(assigned["tag"]),
        "weight",
    ).cast(CONCEPT_SCHEMA)


def _numbered(concepts: pl.DataFrame, hashes: pl.Series, tags: pl.Series) -> pl.DataFrame:
    """Write concepts with numbers of rows and of tags, as `combine` takes them."""
    rows = pl.DataFrame({"content_hash": hashes}).with_row_index("row")
    numbers = pl.DataFrame({"tag": tags}).with_row_index("number")
    joined = concepts.join(rows, on="content_hash").join(numbers, on="tag")
    return joined.select("row", pl.col("number").alias("tag"), "weight").sort("row", "tag")
