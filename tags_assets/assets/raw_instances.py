"""`raw_instances`: the rows of the pool, in one normal form."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from tags_assets.assets import pages
from tags_assets.assets.catalogue import declare
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.formats.instance import INSTANCE_SCHEMA
from tags_assets.formats.pool import read_pool
from tags_assets.resources.run import Run, RunResource
from tags_assets.settings.pool import landed, not_read


def pool_configuration(run: Run) -> Mapping[str, Any]:
    """Resolve what the reading of the pool depends on: the files' content, the mapped columns."""
    configuration = {
        "files": [list(file) for file in landed(run.home, run.pool).files],
        "columns": run.pool.columns,
    }
    return configuration | ({"allow_unreadable_files": True} if run.pool.allow_unreadable_files else {})


@dg.asset(deps=["landing"], code_version="3", **declare("raw_instances", INSTANCE_SCHEMA))
def raw_instances(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Read the files of the pool and mark duplicates; `rejected_rows` lists the lines that cannot be read."""

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        read = read_pool(
            landed(run.home, run.pool).sources,
            cache=run.home.cache,
            columns=run.pool.columns,
            allow_unreadable=run.pool.allow_unreadable_files,
            progress=inputs.progress,
        )
        return Artifact(
            {"data": read.batches()},
            {
                "rows_in": read.rows_in,
                "rows_kept": read.rows_kept,
                "rows_rejected": read.rows_rejected,
                "rows_duplicate": read.rows_duplicate,
                "files": len(read.counts),
                "traits": read.traits,
                "unused": read.unused,
            },
            pages.raw_instances(read, not_read(run.home, run.pool)),
        )

    return materialize(context, run, compute, config=lambda _: pool_configuration(run))
