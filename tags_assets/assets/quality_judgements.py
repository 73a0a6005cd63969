"""`quality_judgements`: what a judge says of each row."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from tags_assets.assets import pages
from tags_assets.assets.catalogue import declare
from tags_assets.assets.participating import participating_rows
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.llm.rating import JUDGEMENTS_SCHEMA
from tags_assets.llm.tagger import FAILURES_SCHEMA
from tags_assets.resources.run import RunResource


@dg.asset(
    deps=["raw_instances", "filtered_rows"],
    code_version="5",
    **declare("quality_judgements", JUDGEMENTS_SCHEMA, failures=FAILURES_SCHEMA),
)
def quality_judgements(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Have a judge rate each row, where one is configured; else there is no judgement and nothing is paid."""
    settings = run.pool

    def config(_partition: str) -> Mapping[str, Any]:
        if settings.judge == "none":
            return {"judge": None}
        with run.language_model("judge") as model:
            return {"judge": model.judge().fingerprint_config(), "retries": settings.retries}

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        if settings.judge == "none":
            empty = {"data": JUDGEMENTS_SCHEMA, "failures": FAILURES_SCHEMA}
            told = {
                "ratings": "No judge is set, so quality is told by the rows' texts and by the tree. "
                "`--judge llm` has a language model rate every row."
            }
            tables = {name: pl.DataFrame(schema=schema) for name, schema in empty.items()}
            return Artifact(tables, {"rows_judged": 0}, told)
        rows = participating_rows(inputs, ["messages"])
        with run.language_model("judge") as model:
            result = model.judge().judge(
                rows["instance_id"],
                rows["messages"],
                status=inputs.status,
                retry_failed=run.retry_failed,
            )
        return Artifact(
            {"data": result.judgements, "failures": result.failures},
            {"rows_judged": len(result.judgements), "rows_failed": len(result.failures), **result.figures},
            pages.quality_judgements(inputs, result.judgements, result.failures),
        )

    return materialize(context, run, compute, config=config)
