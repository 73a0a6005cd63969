"""Concepts that a row does not name, but was assigned by its likeness to them: where they may explain it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.store.upstream import figures_of

if TYPE_CHECKING:
    import polars as pl

    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.upstream import Inputs
    from tags_assets.store.versions import ArtifactVersion

SHOWN_FROM = 5_000
"""Rows of a pool from which explanations show inferred concepts, always marked.

Measured on subsamples of mixed public rows with known fields (docs/explain.md): of a concept's other rows,
the share in the row's own field. Concepts that the rows name reach .58 to .66 from 500 rows on; chance is .17
to .20. Inferred ones reach .21 at 1,000 and 2,000 rows, .25 at 5,000, .34 at 19,636. Where errors average
out, on the tree, they still serve; as a reason given to a person they are noise below this size.
"""


def shows_inferred(n_rows: int) -> bool:
    """Whether inferred concepts of a pool of so many rows mean enough to explain a row."""
    return n_rows >= SHOWN_FROM


def inferred_nodes(inputs: Inputs, instance_ids: pl.Series) -> tuple[pl.DataFrame, bool]:
    """Say for some rows which nodes stand on inferred concepts, and whether such nodes explain anything.

    Returns
    -------
    ``instance_id, node_id, inferred`` with one row per node above a tag of the row: true where most of the
    weight below the node is inferred. And `shows_inferred` of the pool.
    """
    tags = tags_of(inputs.store, inputs.versions["grounded_instances"])
    nodes = inputs.store.query(
        "assets/inferred_nodes",
        {"instance_tags": tags, "knowledge_tree": inputs.versions["knowledge_tree"]},
        {"ids": instance_ids.to_list()},
    )
    return nodes, shows_inferred(figures_of(tags)["rows"])


def tags_of(store: ArtifactStore, grounded: ArtifactVersion) -> ArtifactVersion:
    """Find the tags that rows were grounded by."""
    return store.require("instance_tags", grounded.upstream["instance_tags"])
