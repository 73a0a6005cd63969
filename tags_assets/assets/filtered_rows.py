"""`filtered_rows`: instances that a rule of the user's took out."""

import dagster as dg
import polars as pl

from tags_assets.assets import pages
from tags_assets.assets.catalogue import declare
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.formats.conversation import texts
from tags_assets.formats.instance import CONDITION_COLUMNS
from tags_assets.home import Home
from tags_assets.resources.store import StoreResource
from tags_assets.store.conditions import evaluate_condition

SCHEMA = pl.Schema({"instance_id": pl.String(), "rule": pl.String(), "detail": pl.String()})


@dg.asset(deps=["raw_instances"], code_version="1", **declare("filtered_rows", SCHEMA))
def filtered_rows(context: dg.AssetExecutionContext, store: StoreResource) -> Materialized:
    """One row per instance that a filter took out, with the rule that did."""
    home = Home.resolve(store.home)

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        found = [pl.DataFrame(schema=SCHEMA)]
        filters = home.pool().filters
        version = inputs.versions["raw_instances"]
        batches = (
            inputs.store.read_batches(version, columns=[*CONDITION_COLUMNS, "messages"]) if filters else ()
        )
        for batch in batches:
            rows = pl.concat(
                [batch.drop("messages"), texts(batch).select("prompt", "response")], how="horizontal"
            )
            for rule, condition in filters.items():
                hit = evaluate_condition(rows, condition, where=f"filter {rule!r}")
                found.append(
                    rows.filter(hit).select(
                        "instance_id", pl.lit(rule).alias("rule"), pl.lit(condition).alias("detail")
                    )
                )
        removed = pl.concat(found).unique("instance_id", keep="first", maintain_order=True)
        counts = removed.group_by("rule").len().sort("rule")
        named = inputs.read("raw_instances", columns=["instance_id", "id", "source"])
        return Artifact(
            {"data": removed},
            {"rows_filtered": len(removed), "by_rule": dict(counts.iter_rows())},
            pages.filtered_rows(removed, filters, named),
        )

    return materialize(context, store.artifacts, compute, config=lambda _: {"filters": home.pool().filters})
