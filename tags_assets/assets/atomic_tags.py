"""`atomic_tags`: the concepts of each row, as the tagger gave them."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl

from tags_assets.assets import pages
from tags_assets.assets.declaration import Declaration, Table
from tags_assets.assets.participating import participating_rows, participating_texts
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.llm.sampling import tag_sample
from tags_assets.llm.tagger import FAILURES_SCHEMA, NOTES_SCHEMA, TaggingResult
from tags_assets.method.tagging.carry_over import CARRY_OVER_VERSION
from tags_assets.resources.embedder import TAG_TOKENS, local_embedder
from tags_assets.resources.keyphrases import CachedKeyphrases
from tags_assets.resources.language_model import LanguageModel
from tags_assets.resources.run import RunResource

SCHEMA = pl.Schema(
    {"instance_id": pl.String(), "tag": pl.String(), "weight": pl.Float32(), "origin": pl.String()},
)


DECLARATION = Declaration(
    "atomic_tags",
    group="knowledge",
    grain="One row per kept instance and tag, as the tagger gave it; of origin `assigned`: carried over.",
    schema=SCHEMA,
    meanings={
        "tag": "Tag as the tagger gave it.",
        "weight": "How much of the row it is, by the tagger.",
        "origin": "`extracted`, `llm` or `given`; `assigned` where it was carried over from rows nearby.",
    },
    tables={
        "failures": Table(
            "One row per instance that the tagger gave up on, with the reason.", FAILURES_SCHEMA
        ),
        "notes": Table(
            "One row per remark on an answer: cut, hostile or copied from the examples.",
            NOTES_SCHEMA,
            {
                "note": "What was done with the answer.",
                "detail": "Of what, in words.",
            },
        ),
    },
    plotted={
        "rows_tagged": "rows tagged",
        "rows_failed": "rows that failed",
        "tags_per_row": "tags a row",
        "distinct_tags": "distinct tags",
        "cost": "cost",
    },
)


@dg.asset(
    deps=["raw_instances", "filtered_rows", "instance_embeddings"],
    code_version="4",
    **DECLARATION.options(),
)
def atomic_tags(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Extract the atomic knowledge concepts of each row; rows that bring tags of their own keep those."""
    settings = run.pool

    def config(_partition: str) -> Mapping[str, Any]:
        if settings.tagger == "llm":
            with run.language_model("tag") as model:
                tagger = model.tagger().fingerprint_config()
            sample = {"share": settings.tag_share, "seed": settings.seed, "carry_over": CARRY_OVER_VERSION}
            return {
                "tagger": tagger,
                "retries": settings.retries,
                "sample": sample if settings.tag_share < 1 else None,
            }
        return {"tagger": CachedKeyphrases(run.home.cache).fingerprint}

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        given = _given(inputs)
        taken = set(given["instance_id"].to_list())
        failures, notes = pl.DataFrame(schema=FAILURES_SCHEMA), pl.DataFrame(schema=NOTES_SCHEMA)
        figures: Mapping[str, Any] = {}
        if settings.tagger == "llm":
            with run.language_model("tag") as model:
                result = _ask(model, inputs, taken, run)
            tags, failures, notes, figures = result.tags, result.failures, result.notes, result.figures
        else:
            keyphrases = CachedKeyphrases(run.home.cache)
            total = len(participating_rows(inputs, ["instance_id"])) - len(taken)
            tags = keyphrases.tag(_open_texts(inputs, taken), total=total, progress=inputs.progress)
            tags = tags.with_columns(origin=pl.lit("extracted"))
        tags = pl.concat([given, tags.select(*SCHEMA).cast(SCHEMA)])
        tagged = tags["instance_id"].n_unique()
        return Artifact(
            {"data": tags, "failures": failures, "notes": notes},
            {
                **figures,
                "tags": len(tags),
                "distinct_tags": tags["tag"].n_unique(),
                "rows_tagged": tagged,
                "tags_per_row": round(len(tags) / tagged, 2) if tagged else 0.0,
                "rows_failed": len(failures),
            },
            pages.atomic_tags(tags, failures),
        )

    return materialize(context, run, compute, config=config)


def _ask(model: LanguageModel, inputs: Inputs, taken: set[str], run: RunResource) -> TaggingResult:
    """Have the model tag the rows, or a sample of them whose tags are carried over to the others."""
    settings = run.pool
    rows = participating_rows(inputs, ["content_hash", "messages"]).filter(
        ~pl.col("instance_id").is_in(list(taken))
    )
    if settings.tag_share >= 1:
        return model.tagger().tag(
            rows["instance_id"], rows["messages"], status=inputs.status, retry_failed=run.retry_failed
        )
    vectors = inputs.vectors("instance_embeddings", "instance_id")
    place = pl.DataFrame({"instance_id": vectors.ids}).with_row_index("place")
    places = rows.select("instance_id").join(place, on="instance_id", how="left", maintain_order="left")
    return tag_sample(
        model.tagger(),
        rows["instance_id"],
        rows["content_hash"],
        rows["messages"],
        vectors=vectors.matrix[places["place"].to_numpy()],
        share=settings.tag_share,
        seed=settings.seed,
        # Judges whether two tags mean the same, for the figures: never worth a call.
        embed=local_embedder(run.home.cache, max_tokens=TAG_TOKENS),
        status=inputs.status,
        retry_failed=run.retry_failed,
    )


def _open_texts(inputs: Inputs, taken: set[str]) -> Iterator[pl.DataFrame]:
    """Texts of the rows that bring no tags of their own."""
    for batch in participating_texts(inputs, ["content_hash", "language"]):
        yield batch.filter(~pl.col("instance_id").is_in(list(taken))) if taken else batch


def _given(inputs: Inputs) -> pl.DataFrame:
    """Tags that the rows brought along, all of equal weight."""
    rows = (
        participating_rows(inputs, ["given_tags"]).drop_nulls("given_tags").explode("given_tags").drop_nulls()
    )
    return rows.select(
        "instance_id",
        pl.col("given_tags").alias("tag"),
        pl.lit(1.0).alias("weight"),
        pl.lit("given").alias("origin"),
    ).cast(SCHEMA)
