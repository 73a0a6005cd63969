"""Example rows of a target, put onto the tree as the rows of the pool are."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from tags_assets.assets.given_vectors import OURS, given_vectors, has_given_vectors
from tags_assets.formats.conversation import texts
from tags_assets.formats.fields import KNOWN_FIELDS
from tags_assets.formats.pool import expand_pool, read_pool
from tags_assets.method.concepts.assignment import assign_concepts, combine
from tags_assets.method.concepts.vocabulary import Vocabulary
from tags_assets.method.text.embedding import row_texts
from tags_assets.method.tree.grounding import ground
from tags_assets.resources.keyphrases import CachedKeyphrases
from tags_assets.text import counted, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from scipy import sparse

    from tags_assets.assets.versioned import Inputs
    from tags_assets.formats.pool import PoolRead
    from tags_assets.method.text.embedding import Embed, Vectors
    from tags_assets.method.tree.knowledge_tree import KnowledgeTree
    from tags_assets.progress import Standing
    from tags_assets.resources.run import Run
    from tags_assets.settings.target_file import TargetSpec


@dataclass(frozen=True)
class ExampleTagger:
    """Tags examples as the rows of the pool are tagged, so that both speak of the same concepts."""

    run: Run
    status: Callable[[Standing], None] | None = None

    def fingerprint_config(self) -> Mapping[str, Any] | str:
        """Name the tagger and all that its tags depend on."""
        if self.run.pool.tagger == "llm":
            with self.run.language_model("tag") as model:
                return model.tagger().fingerprint_config()
        return CachedKeyphrases(self.run.home.cache).fingerprint

    def tag(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Tag examples: ``instance_id, tag, weight`` and, of a model's, ``origin``; a failure has none."""
        if self.run.pool.tagger == "llm":
            with self.run.language_model("tag") as model:
                result = model.tagger().tag(
                    rows["instance_id"],
                    rows["messages"],
                    status=self.status,
                    retry_failed=self.run.retry_failed,
                )
            return result.tags.select("instance_id", "tag", "weight", "origin")
        return CachedKeyphrases(self.run.home.cache).tag([rows])


def example_columns(run: Run) -> dict[str, str]:
    """Return the pool's map of text and vectors, which holds for examples in the pool's layout as well."""
    return {ours: theirs for ours, theirs in run.pool.columns.items() if ours in {*KNOWN_FIELDS, OURS}}


def example_pool(spec: TargetSpec, run: Run) -> PoolRead:
    """Read the file of a target's examples.

    Raises
    ------
    UserError
        Where no row of the file can be read.
    """
    source = spec.examples_source
    files = expand_pool([] if source is None else [source])
    return read_pool(files, cache=run.home.cache, columns=example_columns(run), need_columns=False)


def example_notes(spec: TargetSpec, run: Run) -> list[str]:
    """Say which examples of a target could not be read."""
    if spec.target.examples is None:
        return []
    rejected = example_pool(spec, run).rejected
    if rejected.is_empty():
        return []
    places = listed([f"{file}:{line}" for file, line in rejected.select("file", "line").iter_rows()], 3)
    (reason,) = rejected["reason"].head(1)
    return [f"{counted(len(rejected), 'example')} of the target could not be read ({places}): {reason}"]


def read_examples(spec: TargetSpec, run: Run) -> pl.DataFrame:
    """Read the example rows of a target.

    Columns: ``instance_id, prompt, response, language, messages, file, line, given_embedding``.

    Raises
    ------
    UserError
        Where no row of the file can be read.
    """
    read = example_pool(spec, run)
    beside = ["language", "messages", "file", "line", "given_embedding"]
    rows = pl.concat(read.batches(["instance_id", "duplicate_of", *beside]))
    rows = rows.filter(rows["duplicate_of"].is_null())
    return texts(rows).with_columns(rows[name] for name in beside)


def ground_examples(
    spec: TargetSpec,
    inputs: Inputs,
    tree: KnowledgeTree,
    embed: Embed,
    tagger: ExampleTagger,
    *,
    mean: NDArray[np.floating],
) -> tuple[sparse.csr_array, Vectors]:
    """Ground the examples of a target, float64 CSR (n_examples, n_leaves), and embed them.

    They are read against `mean`, that of the pool's vectors, (n_dims,). Where the pool's rows bring vectors,
    the examples must too, and get no concepts by vector.
    """
    rows = read_examples(spec, tagger.run)
    vocabulary = Vocabulary(inputs.read("tag_vocabulary"), inputs.read("tag_vocabulary", "aliases"))
    tag_vectors = inputs.vectors("tag_embeddings", "tag")
    if has_given_vectors(inputs):
        column = tagger.run.pool.columns[OURS]
        vectors, tagged = given_vectors(rows, column, kind="example", n_dims=len(mean)), tagger.tag(rows)
    else:
        vectors, tagged = _embedded_and_tagged(rows, embed, tagger)
    assigned = assign_concepts(
        vectors[:0] if has_given_vectors(inputs) else vectors,
        tag_vectors.matrix,
        vocabulary.tags["count"].to_numpy(),
        mean=mean,
    )
    tags = combine(
        vocabulary.canonical(tagged),
        assigned,
        instance_ids=rows["instance_id"],
        tags=tag_vectors.ids,
    )
    return ground(tags.select("instance_id", "tag", "weight"), tree, rows["instance_id"]), vectors


def _embedded_and_tagged(
    rows: pl.DataFrame, embed: Embed, tagger: ExampleTagger
) -> tuple[Vectors, pl.DataFrame]:
    texts_read = row_texts(rows["prompt"], rows["response"])
    if tagger.run.pool.embedder == "api":  # an interruption must reach the thread that waits for a server
        return embed(texts_read), tagger.tag(rows)
    # The local model counts outside of Python's lock while the tagger's is loaded and read inside of it.
    with ThreadPoolExecutor(1) as beside:
        vectors = beside.submit(embed, texts_read)
        tagged = tagger.tag(rows)
        return vectors.result(), tagged
