"""`atomic_tags`: the concepts of each row, as the tagger gave them."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl

from tags_assets.assets.catalogue import declare
from tags_assets.assets.kept import kept_rows, kept_texts
from tags_assets.assets.language_model import language_model, retry_failed
from tags_assets.assets.previews import markdown_table
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.home import Home
from tags_assets.resources.keyphrases import CachedKeyphrases
from tags_assets.resources.llm import LLMResource
from tags_assets.resources.store import StoreResource

SCHEMA = pl.Schema(
    {"instance_id": pl.String(), "tag": pl.String(), "weight": pl.Float32(), "origin": pl.String()},
)
FAILURE_SCHEMA = pl.Schema({"instance_id": pl.String(), "reason": pl.String()})


@dg.asset(
    deps=["raw_instances", "filtered_rows"],
    code_version="1",
    **declare("atomic_tags", SCHEMA, failures=FAILURE_SCHEMA),
)
def atomic_tags(context: dg.AssetExecutionContext, store: StoreResource, llm: LLMResource) -> Materialized:
    """Extract the atomic knowledge concepts of each row; rows that bring tags of their own keep those."""
    home = Home.resolve(store.home)
    settings = home.pool()

    def config(_partition: str) -> Mapping[str, Any]:
        if settings.tagger == "llm":
            with language_model(llm, home) as model:
                return {"tagger": model.tagger().fingerprint_config(), "retries": settings.retries}
        return {"tagger": CachedKeyphrases(home.cache).fingerprint}

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        given = _given(inputs)
        taken = set(given["instance_id"].to_list())
        failures = pl.DataFrame(schema=FAILURE_SCHEMA)
        figures: Mapping[str, Any] = {}
        if settings.tagger == "llm":
            rows = kept_rows(inputs, ["messages"]).filter(~pl.col("instance_id").is_in(list(taken)))
            with language_model(llm, home) as model:
                result = model.tagger().tag(
                    rows["instance_id"],
                    rows["messages"],
                    progress=inputs.progress,
                    retry_failed=retry_failed(),
                )
            tags, failures, figures = result.tags, result.failures, result.figures
        else:
            keyphrases = CachedKeyphrases(home.cache)
            total = len(kept_rows(inputs, ["instance_id"])) - len(taken)
            tags = keyphrases.tag(_open_texts(inputs, taken), total=total, progress=inputs.progress)
            tags = tags.with_columns(origin=pl.lit("extracted"))
        tags = pl.concat([given, tags.select(*SCHEMA).cast(SCHEMA)])
        tagged = tags["instance_id"].n_unique()
        common = tags.group_by("tag").len("rows").sort("rows", "tag", descending=[True, False])
        return Artifact(
            {"data": tags, "failures": failures.cast(FAILURE_SCHEMA)},
            {
                "tags": len(tags),
                "distinct_tags": len(common),
                "rows_tagged": tagged,
                "tags_per_row": round(len(tags) / tagged, 2) if tagged else 0.0,
                "rows_failed": len(failures),
                **figures,
            },
            {"most_common": markdown_table(common), "failures": markdown_table(failures)},
        )

    return materialize(context, store.artifacts, compute, config=config)


def _open_texts(inputs: Inputs, taken: set[str]) -> Iterator[pl.DataFrame]:
    """Texts of the rows that bring no tags of their own."""
    for batch in kept_texts(inputs, ["content_hash", "language"]):
        yield batch.filter(~pl.col("instance_id").is_in(list(taken))) if taken else batch


def _given(inputs: Inputs) -> pl.DataFrame:
    """Tags that the rows brought along, all of equal weight."""
    rows = kept_rows(inputs, ["given_tags"]).drop_nulls("given_tags").explode("given_tags").drop_nulls()
    return rows.select(
        "instance_id",
        pl.col("given_tags").alias("tag"),
        pl.lit(1.0).alias("weight"),
        pl.lit("given").alias("origin"),
    ).cast(SCHEMA)
