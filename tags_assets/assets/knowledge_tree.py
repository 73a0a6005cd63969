"""`knowledge_tree`: all tags in one tree."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tags_assets.assets import pages
from tags_assets.assets.checks import FigureCheck, Judged, Verdict, figure_is_true
from tags_assets.assets.declaration import Declaration, Table
from tags_assets.assets.embedding import embedder_config
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.method.concepts.fields import Subjects
from tags_assets.method.tree.builder import build_tree
from tags_assets.method.tree.growth import PLACED_SCHEMA, grow, placed_by
from tags_assets.method.tree.knowledge_tree import NODE_SCHEMA, TAG_SCHEMA, KnowledgeTree
from tags_assets.resources.embedder import TAG_TOKENS
from tags_assets.resources.knowledge import fields_of, lexicon_of, unread_languages
from tags_assets.resources.run import Run, RunResource

TagVectors = tuple[list[str], NDArray[np.int64], NDArray[np.float32]]
"""Tags, the rows that hold each, their vectors."""


def _drift(judged: Judged) -> Verdict:
    drift = judged.figures.get("drift")
    if drift is None:
        return True, "this tree was built from its tags; nothing has drifted"
    return drift <= judged.limits.drift, f"drift {drift:.3f} (limit {judged.limits.drift:g})"


DECLARATION = Declaration(
    "knowledge_tree",
    group="knowledge",
    grain="One row per node of the knowledge tree; level 0 holds the leaves.",
    schema=NODE_SCHEMA,
    meanings={
        "parent_id": "Node above; empty at the root.",
        "name": "What the node is called.",
        "description": "One line on what is in it.",
        "branch_length": "1 less the cosine to the node above.",
        "n_tags": "Tags below it.",
        "vector": "Centre of its tags' embeddings, of length 1.",
    },
    tables={
        "tags": Table(
            "One row per canonical tag, with the leaf that holds it.",
            TAG_SCHEMA,
            {
                "node_id": "Leaf that holds the tag.",
            },
        ),
        "placed": Table(
            "One row per tag that the tree was built with: what drift is measured against.",
            PLACED_SCHEMA,
            {
                "tag": "Tag that the tree was built or grown with.",
                "mass": "Rows that bore it then.",
            },
        ),
    },
    plotted={
        "nodes": "nodes",
        "leaves": "leaves",
        "tags": "tags",
        "tags_attached": "tags attached since the build",
        "drift": "drift since the build (share)",
    },
    checks=(
        FigureCheck(
            "is_a_tree",
            "Every node but the root has one parent, no name is empty, levels shrink.",
            figure_is_true("valid", "one root, levels shrink, names are set", "the tree is not valid"),
            blocking=True,
        ),
        FigureCheck("little_drift", "The tags have not drifted from the tree (limit `drift`).", _drift),
    ),
)


@dg.asset(
    deps=["tag_vocabulary", "tag_embeddings"],
    code_version="5",
    **DECLARATION.options(),
)
def knowledge_tree(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Cluster the tags bottom-up; as long as tags change little, the tree grows and is not built anew."""
    settings = run.pool

    def config(_partition: str) -> Mapping[str, Any]:
        shared = {
            "max_drift": settings.max_drift,
            "lexicon": lexicon_of(settings).content_hash,
            "embedder": embedder_config(run),
        }
        if settings.namer == "own-tags":
            return {"namer": "own-tags", **shared}
        with run.language_model("refine") as model:
            return {"namer": {**model.refiner().fingerprint_config(), "retries": settings.retries}, **shared}

    def build(
        inputs: Inputs, vocabulary: TagVectors, languages: pl.Series, before: KnowledgeTree | None
    ) -> tuple[KnowledgeTree, Mapping[str, Any]]:
        subjects = _subjects(run, vocabulary, languages)
        if settings.namer == "own-tags":
            return build_tree(*vocabulary, subjects=subjects, previous=before), {}
        with run.language_model("refine") as model:
            refiner = model.refiner(inputs.status)
            tree = build_tree(*vocabulary, subjects=subjects, refiner=refiner, previous=before)
        return tree, refiner.figures

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        tags, vectors = inputs.vectors("tag_embeddings", "tag")
        known = inputs.read("tag_vocabulary", columns=["tag", "count", "language"])
        known = pl.DataFrame({"tag": tags}).join(known, on="tag", how="left", maintain_order="left")
        vocabulary = (tags.to_list(), known["count"].to_numpy(), vectors)
        before, placed = _base(inputs)
        growth = None
        if before is not None and placed is not None:
            growth = grow(before, *vocabulary, placed=placed)
        drift = growth.drift if growth else None
        rebuilt = (
            growth is None
            or placed is None
            or growth.drift.value > settings.max_drift
            or not _named_alike(inputs, config(""))
        )
        asked: Mapping[str, Any] = {}
        if rebuilt or growth is None or placed is None:
            (tree, asked), placed = (
                build(inputs, vocabulary, known["language"], before),
                placed_by(*vocabulary[:2]),
            )
        else:
            tree = growth.tree
        nodes, members = tree.to_frames()
        figures = {
            "nodes": tree.n_nodes,
            "leaves": tree.n_leaves,
            "levels": int(tree.level.max()) + 1,
            "tags": len(tree.tags),
            "nodes_that_lived_on": len(set(tree.node_ids) & set(before.node_ids)) if before else 0,
            "rebuilt": int(rebuilt),
            # Of the vocabulary against the last rebuild, as it was when this was decided.
            "drift": drift.value if drift else 0.0,
            "drift_limit": settings.max_drift,
            "drift_of_attached": drift.attached if drift else 0.0,
            "drift_of_vanished": drift.vanished if drift else 0.0,
            "tags_attached": drift.n_attached if drift else 0,
            "tags_vanished": drift.n_vanished if drift else 0,
            "valid": _is_valid(tree),
            **asked,
        }
        tables = {"data": nodes, "tags": members, "placed": placed}
        return Artifact(tables, figures, pages.knowledge_tree(nodes, figures, grown=not rebuilt))

    # Ids are carried over and a build leans on the tree before, so whatever is there is part of the version.
    return materialize(context, run, compute, config=config, grows=lambda _inputs, _partition: True)


def _subjects(run: Run, vocabulary: TagVectors, languages: pl.Series) -> Subjects:
    """Say what the tags are about, by the lexicon."""
    tags, _, vectors = vocabulary
    with run.embedder(max_tokens=TAG_TOKENS) as embed:
        fields = fields_of(run.pool, embed)
    return fields.subjects(tags, vectors, unread_languages(run.pool, languages))


def _base(inputs: Inputs) -> tuple[KnowledgeTree | None, pl.DataFrame | None]:
    """Read the tree before, and what its last build placed where this code made it."""
    if inputs.base is None:
        return None, None
    read = inputs.store.read_version
    tree = KnowledgeTree.from_frames(read(inputs.base), read(inputs.base, "tags"))
    return tree, read(inputs.base, "placed") if inputs.base_of_same_code else None


def _named_alike(inputs: Inputs, config: Mapping[str, Any]) -> bool:
    """Whether the tree before got its names as this one will: a new namer or lexicon must show at once."""
    if inputs.base is None:
        return False
    return all(inputs.base.config.get(key) == config[key] for key in ("namer", "lexicon"))


def _is_valid(tree: KnowledgeTree) -> bool:
    sizes = np.bincount(tree.level)
    shrinks = bool(np.all(np.diff(sizes) <= 0)) and sizes[-1] == 1
    return shrinks and all(tree.names) and len(set(tree.node_ids)) == tree.n_nodes
