"""`instance_embeddings`: where each row lies in the embedder's space."""

import dagster as dg
import polars as pl

from tags_assets.assets.catalogue import declare
from tags_assets.assets.embedding import embedder_config, open_embedder, spent
from tags_assets.assets.kept import kept_texts
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.home import Home
from tags_assets.method.embedding import row_texts
from tags_assets.method.student import embed_rows
from tags_assets.resources.embedder import ROW_TOKENS, EmbedderResource
from tags_assets.resources.llm import LLMResource
from tags_assets.resources.store import StoreResource

SCHEMA = pl.Schema({"instance_id": pl.String(), "vector": pl.List(pl.Float32()), "is_teacher": pl.Boolean()})


@dg.asset(deps=["raw_instances", "filtered_rows"], code_version="1", **declare("instance_embeddings", SCHEMA))
def instance_embeddings(
    context: dg.AssetExecutionContext, store: StoreResource, embedder: EmbedderResource, llm: LLMResource
) -> Materialized:
    """Embed each row: by the embedder where rows are few, else by a student of it."""
    home = Home.resolve(store.home)

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        ids: list[str] = []
        texts: list[str] = []
        for batch in kept_texts(inputs):
            ids += batch["instance_id"].to_list()
            texts += row_texts(batch["prompt"], batch["response"])
        with open_embedder(embedder, llm, home, max_tokens=ROW_TOKENS) as embed:
            embedded = embed_rows(texts, embed, seed=home.pool().seed, progress=inputs.progress)
        frame = pl.DataFrame(
            {"instance_id": ids, "vector": embedded.vectors, "is_teacher": embedded.is_teacher},
            schema_overrides={"vector": pl.Array(pl.Float32(), embedded.vectors.shape[1])},
        )
        return Artifact({"data": frame.cast(SCHEMA)}, {**embedded.figures, **spent(embed)})

    return materialize(
        context,
        store.artifacts,
        compute,
        config=lambda _: {
            "embedder": embedder_config(embedder, llm, home),
            "row_tokens": ROW_TOKENS,
            "seed": home.pool().seed,
        },
    )
