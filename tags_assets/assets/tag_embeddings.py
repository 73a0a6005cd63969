"""`tag_embeddings`: where each canonical tag lies in the embedder's space."""

import dagster as dg
import polars as pl

from tags_assets.assets import pages
from tags_assets.assets.declaration import Declaration
from tags_assets.assets.embedding import embedder_config, spent
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.resources.embedder import TAG_TOKENS
from tags_assets.resources.run import RunResource

SCHEMA = pl.Schema({"tag": pl.String(), "vector": pl.List(pl.Float32())})


DECLARATION = Declaration(
    "tag_embeddings",
    group="knowledge",
    grain="One row per canonical tag: its vector (unit norm; 384 dimensions with MiniLM).",
    schema=SCHEMA,
    plotted={
        "tags": "canonical tags",
    },
)


@dg.asset(deps=["tag_vocabulary"], code_version="2", **DECLARATION.options())
def tag_embeddings(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Embed each canonical tag; a tag embedded before is looked up."""

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        vocabulary = inputs.read("tag_vocabulary", columns=["tag", "count"])
        tags = vocabulary["tag"].to_list()
        with run.embedder(max_tokens=TAG_TOKENS) as embed:
            vectors = embed(tags, inputs.progress)
        frame = pl.DataFrame(
            {"tag": tags, "vector": vectors},
            schema_overrides={"vector": pl.Array(pl.Float32(), vectors.shape[1])},
        )
        figures = {"tags": len(tags), "n_dims": vectors.shape[1], **spent(embed)}
        page = pages.tag_embeddings(tags, vectors, vocabulary["count"].to_numpy())
        return Artifact({"data": frame.cast(SCHEMA)}, figures, page)

    return materialize(
        context,
        run,
        compute,
        config=lambda _: {"embedder": embedder_config(run), "tokens": TAG_TOKENS},
    )
