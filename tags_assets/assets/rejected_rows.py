"""`rejected_rows`: lines that could not be read, and why."""

import dagster as dg

from tags_assets.assets import pages
from tags_assets.assets.declaration import Declaration
from tags_assets.assets.raw_instances import pool_configuration
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.formats.instance import REJECTED_SCHEMA
from tags_assets.formats.pool import read_pool
from tags_assets.resources.run import RunResource
from tags_assets.settings.pool import landed

DECLARATION = Declaration(
    "rejected_rows",
    group="knowledge",
    grain="One row per line that could not be read, with the reason.",
    schema=REJECTED_SCHEMA,
    meanings={
        "reason": "Why the line could not be read.",
        "raw": "What stands there, as bytes.",
    },
    plotted={
        "rows_rejected": "lines rejected",
    },
)


@dg.asset(deps=["landing"], code_version="3", **DECLARATION.options())
def rejected_rows(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """List the lines that could not be read: file, line, reason and raw bytes."""

    def compute(_inputs: Inputs, _partition: str) -> Artifact:
        sources = landed(run.home, run.pool).sources
        read = read_pool(
            sources,
            cache=run.home.cache,
            columns=run.pool.columns,
            allow_unreadable=run.pool.allow_unreadable_files,
        )
        figures = {"rows_rejected": read.rows_rejected}
        return Artifact({"data": read.rejected}, figures, pages.rejected_rows(read))

    return materialize(context, run, compute, config=lambda _: pool_configuration(run))
