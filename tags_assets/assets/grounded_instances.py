"""`grounded_instances`: each row's mass over the leaves of the tree."""

import dagster as dg
import numpy as np

from tags_assets.assets import pages
from tags_assets.assets.catalogue import declare
from tags_assets.assets.kept import kept_rows
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.method.grounding import GROUNDING_SCHEMA, ground, to_frame
from tags_assets.resources.store import StoreResource
from tags_assets.selection.inputs import read_tree


@dg.asset(
    deps=["raw_instances", "filtered_rows", "instance_tags", "knowledge_tree"],
    code_version="2",
    **declare("grounded_instances", GROUNDING_SCHEMA),
)
def grounded_instances(context: dg.AssetExecutionContext, store: StoreResource) -> Materialized:
    """Put each row onto the tree: the share of its tags under each leaf; its ancestors follow by the tree."""

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        tree = read_tree(inputs)
        order = kept_rows(inputs, ["instance_id"])["instance_id"]
        masses = ground(inputs.read("instance_tags", columns=["instance_id", "tag", "weight"]), tree, order)
        total = np.asarray(masses.sum(axis=1)).ravel()
        held = total > 0
        frame = to_frame(masses, tree, order)
        names = inputs.read("knowledge_tree", columns=["node_id", "path"])
        return Artifact(
            {"data": frame},
            {
                "rows": len(order),
                "rows_grounded": int(held.sum()),
                "rows_without_tags": int((~held).sum()),
                "leaves_per_row": round(masses.nnz / max(1, int(held.sum())), 2),
                "mass_is_one": bool(np.allclose(total[held], 1.0, atol=1e-9)),
            },
            pages.grounded_instances(frame, names),
        )

    return materialize(context, store.artifacts, compute)
