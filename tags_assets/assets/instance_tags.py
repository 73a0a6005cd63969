"""`instance_tags`: the canonical concepts of each row, those that it names and those that it does not."""

import dagster as dg

from tags_assets.assets.catalogue import declare
from tags_assets.assets.kept import kept_rows
from tags_assets.assets.previews import markdown_table
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.method.assignment import INSTANCE_TAG_SCHEMA, assign_concepts, combine
from tags_assets.method.vocabulary import Vocabulary
from tags_assets.resources.store import StoreResource


@dg.asset(
    deps=[
        "raw_instances",
        "filtered_rows",
        "atomic_tags",
        "tag_vocabulary",
        "tag_embeddings",
        "instance_embeddings",
    ],
    code_version="1",
    **declare("instance_tags", INSTANCE_TAG_SCHEMA),
)
def instance_tags(context: dg.AssetExecutionContext, store: StoreResource) -> Materialized:
    """Map tags to their canonical form and add the concepts that lie nearest to the row as a whole."""

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        tag_vectors = inputs.vectors("tag_embeddings", "tag")
        row_vectors = inputs.vectors("instance_embeddings", "instance_id")
        vocabulary = Vocabulary(inputs.read("tag_vocabulary"), inputs.read("tag_vocabulary", "aliases"))
        counts = vocabulary.tags["count"].to_numpy()
        assigned = assign_concepts(row_vectors.matrix, tag_vectors.matrix, counts)
        tags = combine(
            vocabulary.canonical(inputs.read("atomic_tags")),
            assigned,
            instance_ids=row_vectors.ids,
            tags=tag_vectors.ids,
        )
        rows = len(kept_rows(inputs, ["instance_id"]))
        tagged = tags["instance_id"].n_unique()
        by_origin = tags.group_by("origin").len("tags").sort("origin")
        return Artifact(
            {"data": tags},
            {
                "rows": rows,
                "rows_tagged": tagged,
                "rows_untagged": rows - tagged,
                "tags_per_row": round(len(tags) / tagged, 2) if tagged else 0.0,
            },
            {"by_origin": markdown_table(by_origin)},
        )

    return materialize(context, store.artifacts, compute)
