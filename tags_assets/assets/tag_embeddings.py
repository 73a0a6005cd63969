"""`tag_embeddings`: where each canonical tag lies in the embedder's space."""

import dagster as dg
import polars as pl

from tags_assets.assets import pages
from tags_assets.assets.catalogue import declare
from tags_assets.assets.embedding import embedder_config, open_embedder, spent
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.home import Home
from tags_assets.resources.embedder import TAG_TOKENS, EmbedderResource
from tags_assets.resources.llm import LLMResource
from tags_assets.resources.store import StoreResource

SCHEMA = pl.Schema({"tag": pl.String(), "vector": pl.List(pl.Float32())})


@dg.asset(deps=["tag_vocabulary"], code_version="2", **declare("tag_embeddings", SCHEMA))
def tag_embeddings(
    context: dg.AssetExecutionContext, store: StoreResource, embedder: EmbedderResource, llm: LLMResource
) -> Materialized:
    """Embed each canonical tag; a tag embedded before is looked up."""
    home = Home.resolve(store.home)

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        vocabulary = inputs.read("tag_vocabulary", columns=["tag", "count"])
        tags = vocabulary["tag"].to_list()
        with open_embedder(embedder, llm, home, max_tokens=TAG_TOKENS) as embed:
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
        store.artifacts,
        compute,
        config=lambda _: {"embedder": embedder_config(embedder, llm, home), "tokens": TAG_TOKENS},
    )
