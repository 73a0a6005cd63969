"""What became of the pool's rows between two versions of `raw_instances`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion

FILES_TOLD = 3


def data_changes(store: ArtifactStore, before: ArtifactVersion, now: ArtifactVersion) -> str:
    """Say in words which rows are new and which were withdrawn, and by which files.

    Rows are told apart by their content: a row that moved within its file, or to another one, is neither.
    """
    columns = ["content_hash", "file"]
    then, rows = store.read_version(before, columns=columns), store.read_version(now, columns=columns)
    new = rows.join(then, on="content_hash", how="anti")
    withdrawn = then.join(rows, on="content_hash", how="anti")
    said = f"{_count(new)} new, {_count(withdrawn)} withdrawn"
    files = [*_by_file(new, "+"), *_by_file(withdrawn, "-")]
    if not files:
        return said
    more = f" and {len(files) - FILES_TOLD} more" if len(files) > FILES_TOLD else ""
    return f"{said} ({', '.join(files[:FILES_TOLD])}{more})"


def _count(rows: pl.DataFrame) -> str:
    return f"{len(rows):,} row{'' if len(rows) == 1 else 's'}"


def _by_file(rows: pl.DataFrame, sign: str) -> list[str]:
    counts = rows.group_by("file").len("rows").sort("rows", "file", descending=[True, False])
    return [f"{sign}{count:,} {file}" for file, count in counts.iter_rows()]
