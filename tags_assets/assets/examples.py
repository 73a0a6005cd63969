"""Example rows of a target, put onto the tree as the rows of the pool are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tags_assets.formats.conversation import texts
from tags_assets.formats.pool import expand_pool, read_pool
from tags_assets.method.assignment import assign_concepts, combine
from tags_assets.method.embedding import row_texts
from tags_assets.method.grounding import ground
from tags_assets.method.vocabulary import Vocabulary
from tags_assets.resources.embedder import ROW_TOKENS
from tags_assets.resources.keyphrases import CachedKeyphrases

if TYPE_CHECKING:
    from scipy import sparse

    from tags_assets.assets.versioned import Inputs
    from tags_assets.home import Home
    from tags_assets.method.knowledge_tree import KnowledgeTree
    from tags_assets.resources.embedder import EmbedderResource
    from tags_assets.target_file import TargetSpec


def read_examples(spec: TargetSpec, home: Home) -> pl.DataFrame:
    """Read the example rows of a target: ``instance_id, prompt, response, language``.

    Raises
    ------
    UserError
        Where no row of the file can be read.
    """
    source = spec.examples_source
    read = read_pool(expand_pool([] if source is None else [source]), cache=home.cache)
    rows = pl.concat(read.batches(["instance_id", "messages", "language", "duplicate_of"]))
    rows = rows.filter(rows["duplicate_of"].is_null())
    return texts(rows).with_columns(rows["language"])


def ground_examples(
    spec: TargetSpec, inputs: Inputs, tree: KnowledgeTree, embedder: EmbedderResource, home: Home
) -> sparse.csr_array:
    """Ground the examples of a target: float64 CSR (n_examples, n_leaves)."""
    rows = read_examples(spec, home)
    vocabulary = Vocabulary(inputs.read("tag_vocabulary"), inputs.read("tag_vocabulary", "aliases"))
    tag_vectors = inputs.vectors("tag_embeddings", "tag")
    pool_vectors = inputs.vectors("instance_embeddings", "instance_id")
    embed = embedder.embedder(home.cache, max_tokens=ROW_TOKENS)
    assigned = assign_concepts(
        embed(row_texts(rows["prompt"], rows["response"])),
        tag_vectors.matrix,
        vocabulary.tags["count"].to_numpy(),
        mean=pool_vectors.matrix.mean(axis=0),
    )
    tags = combine(
        vocabulary.canonical(CachedKeyphrases(home.cache).tag([rows])),
        assigned,
        instance_ids=rows["instance_id"],
        tags=tag_vectors.ids,
    )
    return ground(tags.select("instance_id", "tag", "weight"), tree, rows["instance_id"])
