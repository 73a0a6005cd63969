"""The selected rows as they came: what every export is written from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.formats.export import NEEDED, USED

if TYPE_CHECKING:
    import polars as pl

    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion


def selected_rows(store: ArtifactStore, selected: ArtifactVersion, raw: ArtifactVersion) -> pl.DataFrame:
    """Read the selected rows as they came, in the order of their rank."""
    stored = {name for name, _ in raw.tables["data"].columns}
    columns = ", ".join(f"r.{name}" for name in (*NEEDED, *USED) if name in stored)
    return store.query(
        f"select {columns} from selected_subset s join raw_instances r using (instance_id) order by s.rank",
        {"selected_subset": selected, "raw_instances": raw},
    )
