"""`tag_vocabulary`: one canonical form for each concept."""

import dagster as dg

from tags_assets.assets import pages
from tags_assets.assets.declaration import Declaration, Table
from tags_assets.assets.embedding import embedder_config, spent
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.errors import UserError
from tags_assets.method.concepts.vocabulary import ALIAS_SCHEMA, VOCABULARY_SCHEMA, build_vocabulary
from tags_assets.resources.embedder import TAG_TOKENS
from tags_assets.resources.run import RunResource

DECLARATION = Declaration(
    "tag_vocabulary",
    group="knowledge",
    grain="One row per canonical tag, with its aliases and the rows that hold it.",
    schema=VOCABULARY_SCHEMA,
    meanings={
        "count": "Rows that hold it.",
        "aliases": "Other forms that were merged into it.",
        "language": "Language of the rows that it comes from; empty if that is English.",
    },
    tables={
        "aliases": Table(
            "One row per form that was merged into a canonical tag.",
            ALIAS_SCHEMA,
            {
                "alias": "Form as it was given.",
                "tag": "Canonical tag that it became.",
            },
        ),
    },
    plotted={
        "tags": "canonical tags",
        "written_forms": "written forms",
    },
)


@dg.asset(
    deps=["raw_instances", "atomic_tags"],
    code_version="3",
    **DECLARATION.options(),
)
def tag_vocabulary(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Normalise the tags and merge near-duplicates onto the most frequent form."""

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        tags = inputs.read("atomic_tags", columns=["instance_id", "tag", "weight", "origin"])
        languages = inputs.read("raw_instances", columns=["instance_id", "language"])
        tags = tags.join(languages, on="instance_id", how="left")
        with run.embedder(max_tokens=TAG_TOKENS) as embed:
            vocabulary = build_vocabulary(tags, embed)
        if vocabulary.tags.is_empty():
            raise UserError(
                "no row has a concept to select by",
                fix="Bring tags of your own (--column tags=COLUMN), have a language model find them "
                "(--tagger llm), or add rows that say more.",
            )
        before = run.store.current("tag_vocabulary")
        tags_before = run.store.read_version(before, columns=["tag"]) if before is not None else None
        return Artifact(
            {"data": vocabulary.tags, "aliases": vocabulary.aliases},
            {"tags": len(vocabulary.tags), "written_forms": len(vocabulary.aliases), **spent(embed)},
            pages.tag_vocabulary(vocabulary.tags, tags_before),
        )

    return materialize(
        context,
        run,
        compute,
        config=lambda _: {"embedder": embedder_config(run)},
    )
