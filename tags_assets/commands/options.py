"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Folder of artifacts, caches and Dagster state. [default: $TAGS_HOME or .tags]"
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        help="A target's YAML file, the name of a file in targets/, or a file of example rows. "
        "[default: the pool itself]",
    ),
]
VersionOption = Annotated[
    str | None,
    typer.Option(
        "--version",
        help="Version of a past selection, or its first characters (`tags-assets versions` lists them). "
        "[default: the current one]",
    ),
]
DeepOption = Annotated[
    bool, typer.Option("--deep", help="Compare every artifact and cached file with its checksum.")
]
