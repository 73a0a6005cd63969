"""`raw_instances`: the rows of the pool, in one normal form."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from tags_assets.assets import pages
from tags_assets.assets.checks import FigureCheck, Judged, Verdict, share
from tags_assets.assets.declaration import Declaration
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.formats.instance import INSTANCE_SCHEMA
from tags_assets.formats.pool import read_pool
from tags_assets.resources.run import Run, RunResource
from tags_assets.settings.pool import landed, not_read
from tags_assets.text import counted


def pool_configuration(run: Run) -> Mapping[str, Any]:
    """Resolve what the reading of the pool depends on: the files' content, the mapped columns."""
    configuration = {
        "files": [list(file) for file in landed(run.home, run.pool).files],
        "columns": run.pool.columns,
    }
    return configuration | ({"allow_unreadable_files": True} if run.pool.allow_unreadable_files else {})


def _rows_add_up(judged: Judged) -> Verdict:
    figures = judged.figures
    rows_in, kept = figures["rows_in"], figures["rows_kept"]
    rejected, duplicate = figures["rows_rejected"], figures["rows_duplicate"]
    duplicates = counted(duplicate, "duplicate")
    text = f"{counted(rows_in, 'row')} read: {kept:,} kept, {rejected:,} rejected, {duplicates}"
    return rows_in == kept + rejected + duplicate, text


def _rows_stay(judged: Judged) -> Verdict:
    now, before = judged.figures["rows_kept"], (judged.before or {}).get("rows_kept")
    if not before:
        return True, "no previous version to compare with"
    lost = max(0.0, 1 - now / before)
    return lost <= judged.limits.shrinkage, (
        f"{now:,} rows kept, {before:,} before: {lost:.0%} fewer (limit {judged.limits.shrinkage:.0%})"
    )


DECLARATION = Declaration(
    "raw_instances",
    group="knowledge",
    grain="One row per instance that could be read, in one normal form.",
    schema=INSTANCE_SCHEMA,
    meanings={
        "format": "Layout that the row came in: `alpaca`, `sharegpt`, `messages` ...",
        "duplicate_of": "The `instance_id` that it repeats; empty for a row that is kept.",
        "near_duplicate": "Whether it repeats that row nearly and not exactly.",
        "turns": "Messages of the conversation.",
        "messages": "The conversation in one normal form.",
        "raw": "The row as it came.",
        "given_tags": "Tags that came with the row.",
        "given_score": "Score that came with the row, of any scale.",
        "given_embedding": "Embedding that came with the row.",
        "structure": "What it holds beyond text: turns, tools, the rejected answer (JSON).",
        "attachments": "Number of its pictures, films, sounds and files; none is opened.",
        "label": "Whether its answer is to be imitated, where the row says so (KTO).",
        "pass_rate": "Pass rate that came with the row.",
        "difficulty": "Difficulty that came with the row.",
    },
    plotted={
        "rows_in": "rows in",
        "rows_kept": "rows kept",
        "rows_duplicate": "rows that are duplicates",
        "rows_rejected": "lines rejected",
        "files": "files",
    },
    checks=(
        FigureCheck("rows_add_up", "Rows in = kept + rejected + duplicates.", _rows_add_up, blocking=True),
        FigureCheck(
            "few_rejected",
            "Few rows could not be read (limit `rejected`).",
            share("rows_rejected", "rows_in", "rejected", "could not be read"),
        ),
        FigureCheck(
            "few_duplicates",
            "Few rows are duplicates (limit `duplicate`).",
            share("rows_duplicate", "rows_in", "duplicate", "are duplicates"),
        ),
        FigureCheck(
            "rows_stay",
            "The pool has not lost many rows since the version before (limit `shrinkage`).",
            _rows_stay,
        ),
    ),
)


@dg.asset(deps=["landing"], code_version="4", **DECLARATION.options())
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
