"""`instance_scores`: the quality of each row and every term of it."""

from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from tags_assets.assets import pages
from tags_assets.assets.declaration import Declaration
from tags_assets.assets.participating import participating_rows, participating_texts
from tags_assets.assets.versioned import Artifact, Inputs, Materialized, materialize
from tags_assets.method.scoring.scores import SCORE_SCHEMA, ScoringConfig, score
from tags_assets.method.scoring.text_signals import SIGNALS, TEXT_SIGNAL_SCHEMA, TEXT_SIGNALS_VERSION
from tags_assets.method.tree.grounding import from_frame
from tags_assets.resources.run import RunResource
from tags_assets.resources.text_signals import CachedTextSignals
from tags_assets.store.upstream import read_tree

DECLARATION = Declaration(
    "instance_scores",
    group="scoring",
    grain="One row per kept instance: its quality and every term of it.",
    schema=SCORE_SCHEMA,
    meanings={
        "eligible": "Whether the row can be chosen: it has tags.",
        "soundness": "Product over the defects of 1 less what each costs; 1 = nothing against it.",
        "richness": "Mean rank in the pool of information content and concepts, 0 to 1.",
        "information_content": "Mean of -log P over its leaves, in nats: rare concepts count more.",
        "concepts": "Distinct concepts: exponential of the entropy of its mass.",
        "spread": "Mean distance on the tree between two of its concepts.",
        "peer_standing": "Standing among rows on the same concepts, 0 to 1; 0.5 = as expected.",
        "judge_rating": "Rating by the judge, 0 to 1; empty where none is configured.",
        "given_score": "The row's own score as a rank in the pool, 0 to 1; empty where it has none.",
        "empty": "Defect, 0 to 1: there is next to no answer.",
        "degenerate": "Defect, 0 to 1: the answer is a placeholder or noise.",
        "refused": "Defect, 0 to 1: the answer refuses.",
        "truncated": "Defect, 0 to 1: the answer breaks off.",
        "repetitive": "Defect, 0 to 1: the answer repeats itself.",
        "disordered": "Defect, 0 to 1: the words stand in no order.",
        "prompt_copied": "Defect, 0 to 1: the answer is the prompt.",
        "incoherent": "Defect, 0 to 1: the answer has nothing to do with the prompt.",
        "off_language": "Defect, 0 to 1: the answer is in another language than asked.",
    },
    plotted={
        "mean_quality": "mean quality (0 to 1)",
        "rows_eligible": "rows to choose from",
    },
)


@dg.asset(
    deps=["raw_instances", "filtered_rows", "knowledge_tree", "grounded_instances", "quality_judgements"],
    code_version="2",
    **DECLARATION.options(),
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
