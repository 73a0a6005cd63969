"""`quality_judgements`: what a judge says of each row."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from tags_assets.assets import pages
from tags_assets.assets.declaration import Declaration, Table
from tags_assets.assets.participating import participating_rows
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.llm.rating import JUDGEMENTS_SCHEMA
from tags_assets.llm.tagger import FAILURES_SCHEMA
from tags_assets.resources.run import RunResource

DECLARATION = Declaration(
    "quality_judgements",
    group="scoring",
    grain="One row per kept instance that a judge rated; empty without a judge.",
    schema=JUDGEMENTS_SCHEMA,
    meanings={
        "rating": "Overall rating, 0 to 1.",
        "spread": "Standard deviation over the samples.",
        "samples": "Answers that it is made of.",
        "hostile": "Whether the row speaks to the judge.",
        "audited": "Whether a second look was taken.",
        "caught": "Whether that look took the first rating back.",
        "helpfulness": "Helpfulness, 0 to 1.",
        "correctness": "Correctness, 0 to 1.",
        "completeness": "Completeness, 0 to 1.",
        "clarity": "Clarity, 0 to 1.",
        "difficulty": "Difficulty, 0 to 1.",
        "helpfulness_reason": "What the judge says of the helpfulness.",
        "correctness_reason": "What the judge says of the correctness.",
        "completeness_reason": "What the judge says of the completeness.",
        "clarity_reason": "What the judge says of the clarity.",
        "difficulty_reason": "What the judge says of the difficulty.",
    },
    tables={
        "failures": Table(
            "One row per instance that the judge gave up on, with the reason.", FAILURES_SCHEMA
        ),
    },
    plotted={
        "rows_judged": "rows judged",
        "rows_failed": "rows that failed",
        "cost": "cost",
    },
)


@dg.asset(
    deps=["raw_instances", "filtered_rows"],
    code_version="5",
    **DECLARATION.options(),
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
                "ratings": "No judge is set, so quality comes from the rows' texts and the tree. "
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
