"""The tables of every asset, for the warehouse's views over those that have not been made yet."""

import polars as pl

from tags_assets.assets import (
    atomic_tags,
    filtered_rows,
    instance_embeddings,
    selected_subset,
    selection_attribution,
    selection_report,
    tag_embeddings,
)
from tags_assets.assets.catalogue import GRAINS
from tags_assets.formats.export import EXPORT_SCHEMA
from tags_assets.formats.instance import INSTANCE_SCHEMA, REJECTED_SCHEMA
from tags_assets.llm.rating import JUDGEMENTS_SCHEMA
from tags_assets.method.assignment import INSTANCE_TAG_SCHEMA
from tags_assets.method.grounding import GROUNDING_SCHEMA
from tags_assets.method.knowledge_tree import NODE_SCHEMA, TAG_SCHEMA
from tags_assets.method.scoring import SCORE_SCHEMA
from tags_assets.method.target import TARGET_SCHEMA
from tags_assets.method.vocabulary import ALIAS_SCHEMA, VOCABULARY_SCHEMA
from tags_assets.store.catalogue import AssetTables, Catalogue

Schema = dict[str, pl.DataType] | pl.Schema


def _tables(asset: str, data: Schema, **auxiliary: Schema) -> tuple[str, AssetTables]:
    _, grain = GRAINS[asset]
    return asset, AssetTables(grain, pl.Schema(data), {name: pl.Schema(s) for name, s in auxiliary.items()})


_TARGET: dict[str, pl.DataType] = {"target": pl.String()}

CATALOGUE: Catalogue = dict(
    [
        _tables("raw_instances", INSTANCE_SCHEMA),
        _tables("rejected_rows", REJECTED_SCHEMA),
        _tables("filtered_rows", filtered_rows.SCHEMA),
        _tables("instance_embeddings", instance_embeddings.SCHEMA),
        _tables("atomic_tags", atomic_tags.SCHEMA, failures=atomic_tags.FAILURE_SCHEMA),
        _tables("quality_judgements", JUDGEMENTS_SCHEMA),
        _tables("tag_vocabulary", VOCABULARY_SCHEMA, aliases=ALIAS_SCHEMA),
        _tables("tag_embeddings", tag_embeddings.SCHEMA),
        _tables("instance_tags", INSTANCE_TAG_SCHEMA),
        _tables("knowledge_tree", NODE_SCHEMA, tags=TAG_SCHEMA),
        _tables("grounded_instances", GROUNDING_SCHEMA),
        _tables("instance_scores", SCORE_SCHEMA),
        _tables("target_distribution", _TARGET | TARGET_SCHEMA),
        _tables("selected_subset", selected_subset.SCHEMA),
        _tables("selection_attribution", selection_attribution.SCHEMA),
        _tables("selection_report", selection_report.SCHEMA),
        _tables("exported_subset", _TARGET | EXPORT_SCHEMA),
    ]
)
