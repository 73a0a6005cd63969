"""`instance_scores`: the quality of each row and every term of it."""

from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from tags_assets.assets import pages
from tags_assets.assets.catalogue import declare
from tags_assets.assets.participating import participating_rows, participating_texts
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.method.scoring.scores import SCORE_SCHEMA, ScoringConfig, score
from tags_assets.method.scoring.text_signals import SIGNALS, TEXT_SIGNAL_SCHEMA, TEXT_SIGNALS_VERSION
from tags_assets.method.tree.grounding import from_frame
from tags_assets.resources.run import RunResource
from tags_assets.resources.text_signals import CachedTextSignals
from tags_assets.store.upstream import read_tree


@dg.asset(
    deps=["raw_instances", "filtered_rows", "knowledge_tree", "grounded_instances", "quality_judgements"],
    code_version="2",
    **declare("instance_scores", SCORE_SCHEMA),
)
def instance_scores(context: dg.AssetExecutionContext, run: RunResource) -> Materialized:
    """Score each row by its text, by a judge where there is one, and by its place on the tree."""
    scoring = ScoringConfig()

    def config(_partition: str) -> dict[str, Any]:
        return {
            "text_signals": TEXT_SIGNALS_VERSION,
            "signals": dict(scoring.signals),
            "terms": dict(scoring.terms),
            "judge": scoring.judge,
            "richness": scoring.richness,
            "standing": scoring.standing,
            "peers": scoring.peers,
        }

    def compute(inputs: Inputs, _partition: str) -> Artifact:
        tree = read_tree(inputs)
        empty = pl.DataFrame(schema=TEXT_SIGNAL_SCHEMA)
        text_signals = CachedTextSignals(run.home.cache)
        signals = pl.concat([empty, *(text_signals(batch) for batch in participating_texts(inputs))])
        grounding = from_frame(inputs.read("grounded_instances"), tree, signals["instance_id"])
        scores = score(
            grounding,
            tree,
            signals,
            judgements=inputs.read("quality_judgements", columns=["instance_id", "rating"]),
            given_score=participating_rows(inputs, ["given_score"])["given_score"],
            config=scoring,
        )
        defects = {name: int((scores[name] > 0.5).sum()) for name in SIGNALS}
        return Artifact(
            {"data": scores},
            {
                "rows_eligible": int(scores["eligible"].sum()),
                "mean_quality": float(np.mean(scores["quality"].to_numpy())) if len(scores) else 0.0,
                **{f"rows_{name}": count for name, count in defects.items()},
            },
            pages.instance_scores(inputs, scores, SIGNALS),
        )

    return materialize(context, run, compute, config=config)
