"""`exported_subset` [target]: the files that trainers load."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import polars as pl

from tags_assets.assets.declaration import Declaration
from tags_assets.assets.previews import escaped, place, table
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.formats.export import EXPORT_SCHEMA, export, export_frame
from tags_assets.resources.run import RunResource
from tags_assets.selection.selected_rows import selected_rows

EXPORT_FORMATS = ("raw", "llamafactory", "trl", "axolotl", "parquet")


DECLARATION = Declaration(
    "exported_subset",
    group="sampling",
    grain="One row per file written for trainers, with its checksum.",
    schema={"target": pl.String(), **EXPORT_SCHEMA},
    meanings={
        "format": "Form of the file: `raw`, `trl`, `llamafactory`, `axolotl` ...",
        "file": "File that was written, below the home.",
        "rows": "Rows in it; empty for a file of settings.",
        "bytes": "Its size.",
        "sha256": "Its checksum.",
    },
    of_target=True,
    plotted={
        "files": "files",
        "bytes": "size (bytes)",
    },
)


@dg.asset(
    deps=["raw_instances", "selected_subset"],
    code_version="3",
    **DECLARATION.options(),
)
def exported_subset(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Write the selection for LLaMA-Factory, TRL and Axolotl, as Parquet, and as the rows came."""
    home = run.home

    def compute(inputs: Inputs, name: str) -> Artifact:
        folder = home.exports / name / inputs.versions["selected_subset"].data_version
        rows = selected_rows(
            inputs.store, inputs.versions["selected_subset"], inputs.versions["raw_instances"]
        )
        files = export(rows, folder, EXPORT_FORMATS, name=name, attachments="keep", is_ours=True)
        near = [replace(file, path=file.path.relative_to(home.path)) for file in files]
        frame = export_frame(near).select(pl.lit(name).alias("target"), pl.all())
        return Artifact(
            {"data": frame},
            {
                "files": len(files),
                "bytes": sum(file.bytes for file in files),
                "folder": str(folder.relative_to(home.path)),
            },
            {
                "written_to": place(folder, home.path),
                "files_written": table(_files(frame, folder.relative_to(home.path))),
                "notes": "\n".join(f"- {escaped(note)}" for file in files for note in file.notes) or "_none_",
            },
        )

    return materialize(context, run, compute)


def _files(frame: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """List what was written, each file as it is called below its folder."""
    return frame.select("format", pl.col("file").str.strip_prefix(f"{folder}/"), "rows", "bytes")
