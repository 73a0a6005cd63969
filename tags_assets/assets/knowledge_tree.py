"""`knowledge_tree`: all tags in one tree."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from tags_assets.assets.catalogue import declare
from tags_assets.assets.language_model import language_model
from tags_assets.assets.previews import markdown_table
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.home import Home
from tags_assets.method.knowledge_tree import NODE_SCHEMA, TAG_SCHEMA, KnowledgeTree
from tags_assets.method.tree import TreeConfig, build_tree
from tags_assets.resources.llm import LLMResource
from tags_assets.resources.store import StoreResource
from tags_assets.store.artifacts import ArtifactStore


@dg.asset(
    deps=["tag_vocabulary", "tag_embeddings"],
    code_version="1",
    **declare("knowledge_tree", NODE_SCHEMA, tags=TAG_SCHEMA),
)
def knowledge_tree(context: dg.AssetExecutionContext, store: StoreResource, llm: LLMResource) -> Materialized:
    """Cluster the tags bottom-up and refine each level; nodes that live on keep their ids."""
    home = Home.resolve(store.home)
    settings = home.pool()

    def config(_partition: str) -> Mapping[str, Any]:
        if settings.namer == "own-tags":
            return {"namer": "own-tags"}
        with language_model(llm, home, llm.refiner_model) as model:
            return {"namer": model.refiner().fingerprint_config()}

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        tags, vectors = inputs.vectors("tag_embeddings", "tag")
        counts = inputs.read("tag_vocabulary", columns=["tag", "count"])
        counts = pl.DataFrame({"tag": tags}).join(counts, on="tag", how="left", maintain_order="left")
        before = _tree_before(store.artifacts)
        arguments = (tags.to_list(), counts["count"].to_numpy(), vectors)
        if settings.namer == "llm":
            with language_model(llm, home, llm.refiner_model) as model:
                refiner = model.refiner(inputs.progress)
                tree = build_tree(*arguments, config=TreeConfig(), refiner=refiner, previous=before)
        else:
            tree = build_tree(*arguments, config=TreeConfig(), previous=before)
        nodes, members = tree.to_frames()
        levels = nodes.group_by("level").agg(
            pl.len().alias("nodes"), pl.col("n_tags").max().alias("tags_in_largest")
        )
        top = nodes.filter(pl.col("level") == int(tree.level.max()) - 1).sort("n_tags", descending=True)
        lived_on = len(set(tree.node_ids) & set(before.node_ids)) if before else 0
        return Artifact(
            {"data": nodes, "tags": members},
            {
                "nodes": tree.n_nodes,
                "leaves": tree.n_leaves,
                "levels": int(tree.level.max()) + 1,
                "tags": len(tree.tags),
                "nodes_that_lived_on": lived_on,
                "valid": _is_valid(tree),
            },
            {
                "levels_of_the_tree": markdown_table(levels.sort("level", descending=True)),
                "top": markdown_table(top.select("name", "n_tags", "description")),
            },
        )

    return materialize(context, store.artifacts, compute, config=config)


def _tree_before(store: ArtifactStore) -> KnowledgeTree | None:
    # Which tree that was is no part of the fingerprint: equal inputs give the tree that exists.
    version = store.current("knowledge_tree")
    if version is None:
        return None
    return KnowledgeTree.from_frames(store.read_version(version), store.read_version(version, "tags"))


def _is_valid(tree: KnowledgeTree) -> bool:
    sizes = np.bincount(tree.level)
    shrinks = bool(np.all(np.diff(sizes) <= 0)) and sizes[-1] == 1
    return shrinks and all(tree.names) and len(set(tree.node_ids)) == tree.n_nodes
