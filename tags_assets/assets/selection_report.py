"""`selection_report` [target]: one HTML file that shows the selection and says why."""

import dagster as dg
import orjson
import polars as pl

from tags_assets.assets import target_pages
from tags_assets.assets.declaration import Declaration
from tags_assets.assets.previews import place
from tags_assets.assets.report_input import report_input
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.report.render import render_report
from tags_assets.resources.run import Run, RunResource
from tags_assets.store.durable import write_whole

SCHEMA = pl.Schema({"target": pl.String(), "html": pl.String(), "figures": pl.String()})


DECLARATION = Declaration(
    "selection_report",
    group="sampling",
    grain="One row: the report (HTML) and its figures (JSON).",
    schema=SCHEMA,
    meanings={
        "html": "The report, one file that needs nothing else.",
        "figures": "Its numbers (JSON).",
    },
    of_target=True,
    plotted={
        "html_bytes": "size (bytes)",
    },
)


@dg.asset(
    deps=[
        "raw_instances",
        "filtered_rows",
        "instance_tags",
        "knowledge_tree",
        "instance_scores",
        "target_distribution",
        "selected_subset",
        "selection_attribution",
    ],
    code_version="11",
    **DECLARATION.options(),
)
def selection_report(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Render the report: the tree, what was asked and reached, the drivers, and what changed since before."""

    def compute(inputs: Inputs, name: str) -> Artifact:
        report = report_input(inputs, run.record.target(name))
        html = render_report(report)
        figures = {key: value for key, value in report.figures.items() if value is not None}
        frame = pl.DataFrame(
            {"target": [name], "html": [html], "figures": [orjson.dumps(figures).decode()]}, schema=SCHEMA
        )
        where = place(run.home.report(name), run.home.path)
        told = {"report": where, **target_pages.selection_report(report)}
        return Artifact({"data": frame}, {"html_bytes": len(html.encode())}, told)

    # It compares the selection with that of the report before, so whatever is there is part of the version.
    result = materialize(context, run, compute, grows=lambda _inputs, _partition: True)
    for name in context.partition_keys:
        _lay_out(run, name)
    return result


def _lay_out(run: Run, name: str) -> None:
    """Put the current report where a browser finds it: ``HOME/reports/<target>.html``."""
    version = run.store.require("selection_report", run.record.version("selection_report", name), name)
    html = run.store.read_version(version, columns=["html"])["html"][0]
    write_whole(run.home.report(name), html)
