"""What became of the pool's rows between two versions of `raw_instances`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.text import listed

if TYPE_CHECKING:
    import polars as pl

    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion

FILES_LISTED = 3


def data_changes(store: ArtifactStore, before: ArtifactVersion, now: ArtifactVersion) -> str:
    """Say which rows are new, which were withdrawn, and in which files.

    Rows are compared by content: a row that moved within its file or to another file is neither.
    """
    columns = ["content_hash", "file"]
    then, rows = store.read_version(before, columns=columns), store.read_version(now, columns=columns)
    new = rows.join(then, on="content_hash", how="anti")
    withdrawn = then.join(rows, on="content_hash", how="anti")
    summary = f"{_count(new)} new, {_count(withdrawn)} withdrawn"
    files = [*_by_file(new, "+"), *_by_file(withdrawn, "-")]
    if not files:
        return summary
    return f"{summary} ({listed(files, FILES_LISTED)})"


def _count(rows: pl.DataFrame) -> str:
    return f"{len(rows):,} row{'' if len(rows) == 1 else 's'}"


def _by_file(rows: pl.DataFrame, sign: str) -> list[str]:
    counts = rows.group_by("file").len("rows").sort("rows", "file", descending=[True, False])
    return [f"{sign}{count:,} {file}" for file, count in counts.iter_rows()]
