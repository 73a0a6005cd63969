"""Quality of a row: what its text says against it, what a judge says, and how it stands on the tree.

All formulas are this project's own, on the terms of the design; each term is a column of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from tags_assets.method.scoring.text_signals import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from scipy import sparse

    from tags_assets.method.tree.knowledge_tree import KnowledgeTree

SCORE_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    "quality": pl.Float64(),
    "eligible": pl.Boolean(),
    "soundness": pl.Float64(),
    "richness": pl.Float64(),
    "information_content": pl.Float64(),
    "concepts": pl.Float64(),
    "spread": pl.Float64(),
    "peer_standing": pl.Float64(),
    "judge_rating": pl.Float64(),
    "given_score": pl.Float64(),
    **{name: pl.Float64() for name in SIGNALS},
}
"""Columns of the table ``instance_scores``, one row per kept instance."""

LEAST_QUALITY = 0.01
"""No row has less, so that a gain never vanishes altogether and ties stay rare."""

_BLOCK = 65_536  # rows whose mass on all levels is laid out at once


def _signal_weights() -> dict[str, float]:
    # How much of the soundness a certain defect takes. A refusal may be what a safety row is for, a text
    # without its end still teaches its beginning, and an answer in words of its own is only likely to be
    # another's: those weigh less than an answer that is none.
    return {
        "empty": 1.0,
        "degenerate": 0.9,
        "refused": 0.6,
        "truncated": 0.5,
        "repetitive": 0.8,
        "disordered": 0.8,
        "prompt_copied": 0.9,
        "incoherent": 0.7,
        "off_language": 0.7,
    }


def _term_weights() -> dict[str, float]:
    # Spread is a column that tells how far a row reaches, and no merit by default: an answer that belongs to
    # another prompt reaches farthest (benchmarks/quality_twins.py).
    return {"information_content": 1.0, "concepts": 1.0, "spread": 0.0}


@dataclass(frozen=True)
class ScoringConfig:
    """Weights of the terms.

    Attributes
    ----------
    signals
        Share of the soundness that each certain defect takes.
    judge
        Weight of a judge's rating (or the user's own score) against what text and tree say, in [0, 1].
    richness
        Share of the quality that a row without any richness loses. Little, for rare and many concepts are a
        preference and no mark of soundness (in benchmarks/quality_twins.py they tell no twin from its
        original), and the information gain rewards them anyway; enough to part rows that are equally sound.
    terms
        Weights of what makes up the richness: ``information_content``, ``concepts`` and ``spread``.
    standing
        Share of the quality that a row far below its peers loses.
    peers
        Rows' mass at a node at which its own mean counts as much as its parent's.
    """

    signals: Mapping[str, float] = field(default_factory=_signal_weights)
    judge: float = 0.6
    richness: float = 0.1
    terms: Mapping[str, float] = field(default_factory=_term_weights)
    standing: float = 0.3
    peers: float = 20.0


def score(
    grounding: sparse.csr_array,
    tree: KnowledgeTree,
    signals: pl.DataFrame,
    *,
    judgements: pl.DataFrame | None = None,
    given_score: pl.Series | None = None,
    config: ScoringConfig | None = None,
) -> pl.DataFrame:
    """Score each row: q_i = base_i (1 - s (1 - standing_i)), in (0, 1].

    base_i = soundness_i (1 - r (1 - richness_i)), mixed with the judge's rating where there is one:
    soundness is the product over signals of 1 - w_s signal_s; richness is the weighted mean rank, among the
    rows of the pool, of information content, distinct concepts and their spread; standing compares base_i
    with what the row's concepts lead one to expect (`peer_standing`). r, s and all weights are in the
    configuration.

    Parameters
    ----------
    grounding
        p_i(l), float64 CSR (n_rows, n_leaves), rows of sum 1, or 0 where a row has no tags.
    tree
        The knowledge tree.
    signals
        ``instance_id`` and the text signals, rows in the order of the grounding.
    judgements
        ``instance_id, rating`` with ratings in [0, 1] or null.
    given_score
        The rows' own scores, of any scale; their rank in the pool is used. Null where absent.
    config
        Weights.

    Returns
    -------
    pl.DataFrame
        `SCORE_SCHEMA`. A row without tags has no tree-aware term and is not eligible.
    """
    config = config or ScoringConfig()
    eligible = np.diff(grounding.indptr) > 0
    sound = soundness(signals, config.signals)
    content = information_content(grounding)
    number = distinct_concepts(grounding)
    apart = spread(grounding, tree)
    terms = {"information_content": content, "concepts": number, "spread": apart}
    weight = sum(config.terms.get(name, 0.0) for name in terms)
    ranked = sum(config.terms.get(name, 0.0) * _rank(term, eligible) for name, term in terms.items())
    rich = ranked / weight if weight > 0 else np.zeros(len(signals))
    judged = _ratings(signals, judgements)
    own = _rank_given(given_score, len(signals))
    base = sound * (1.0 - config.richness * (1.0 - rich))
    outside = np.where(np.isnan(judged), own, judged)
    base = np.where(np.isnan(outside), base, (1.0 - config.judge) * base + config.judge * outside * sound)
    standing = peer_standing(grounding, tree, base, shrinkage=config.peers)
    quality = base * (1.0 - config.standing * (1.0 - standing))
    return pl.DataFrame(
        {
            "instance_id": signals["instance_id"],
            "quality": np.clip(quality, LEAST_QUALITY, 1.0),
            "eligible": eligible,
            "soundness": sound,
            "richness": rich,
            "information_content": content,
            "concepts": number,
            "spread": apart,
            "peer_standing": standing,
            "judge_rating": pl.Series(judged).fill_nan(None),
            "given_score": pl.Series(own).fill_nan(None),
            **{name: signals[name] for name in SIGNALS},
        },
        schema=SCORE_SCHEMA,
    )


def soundness(signals: pl.DataFrame, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Join the signals: the product of 1 - w_s signal_s, in [0, 1], float64 (n_rows,)."""
    kept = np.ones(len(signals))
    for name in SIGNALS:
        kept *= 1.0 - weights.get(name, 0.0) * signals[name].to_numpy()
    return kept


def information_content(grounding: sparse.csr_array) -> NDArray[np.float64]:
    """Give the mean over a row's leaves of IC(l) = -log P(l), P from the pool's grounding, in nats.

    Resnik's information content (1995), with the pool as the corpus. float64 (n_rows,), 0 without tags.
    """
    mass = np.asarray(grounding.sum(axis=0)).ravel()
    held = mass > 0
    content = np.zeros(len(mass))
    content[held] = -np.log(mass[held] / mass.sum())
    return np.asarray(grounding @ content)


def distinct_concepts(grounding: sparse.csr_array) -> NDArray[np.float64]:
    """Count a row's concepts by the exponential of the entropy of p_i (Hill number of order 1).

    float64 (n_rows,), 0 without tags.
    """
    logs = grounding.copy()
    logs.data = logs.data * np.log(logs.data)
    entropy = -np.asarray(logs.sum(axis=1)).ravel()
    counted: NDArray[np.float64] = np.where(np.diff(grounding.indptr) > 0, np.exp(entropy), 0.0)
    return counted


def spread(grounding: sparse.csr_array, tree: KnowledgeTree) -> NDArray[np.float64]:
    """Give the mean tree distance between two of a row's concepts: Rao's entropy of the row.

    sum over nodes of length_v 2 a_iv (1 - a_iv), as in `method.selection.diversity`. float64 (n_rows,).
    """
    apart = np.empty(grounding.shape[0])
    for start in range(0, len(apart), _BLOCK):
        block = slice(start, start + _BLOCK)
        above = grounding[block] @ tree.ancestors
        above.data = tree.branch_length[above.indices] * 2.0 * above.data * np.maximum(1.0 - above.data, 0.0)
        apart[block] = np.asarray(above.sum(axis=1)).ravel()
    return apart


def peer_standing(
    grounding: sparse.csr_array, tree: KnowledgeTree, base: NDArray[np.float64], *, shrinkage: float
) -> NDArray[np.float64]:
    """Say how a row stands among the rows on the same concepts, in (0, 1), 0.5 = as expected.

    The mean of `base` at a node is shrunk towards its parent's, n_v / (n_v + shrinkage) its own (empirical
    Bayes with a fixed prior weight), from the root down. A row is expected to have the mean of its leaves'
    means; the difference, in standard deviations of the pool, goes through a logistic curve. So a row of an
    easy domain must beat the others of that domain, and cannot win by the domain.

    Parameters
    ----------
    grounding
        p_i(l), float64 CSR (n_rows, n_leaves).
    tree
        The knowledge tree.
    base
        What is compared, float64 (n_rows,).
    shrinkage
        Rows' mass at which a node's own mean and its parent's weigh alike.
    """
    held = np.diff(grounding.indptr) > 0
    if not held.any():
        return np.full(len(base), 0.5)
    count = np.asarray(tree.ancestors.T @ np.asarray(grounding.sum(axis=0)).ravel())
    total = np.asarray(tree.ancestors.T @ np.asarray(grounding.T @ base))
    mean = np.full(tree.n_nodes, float(base[held].mean()))
    for level in range(int(tree.level.max()) - 1, -1, -1):
        nodes = np.flatnonzero(tree.level == level)
        above = mean[tree.parent[nodes]]
        mean[nodes] = (total[nodes] + shrinkage * above) / (count[nodes] + shrinkage)
    expected = np.asarray(grounding @ mean[: tree.n_leaves])
    difference = np.where(held, base - expected, 0.0)
    deviation = float(difference[held].std())
    if deviation < 1e-12:
        return np.full(len(base), 0.5)
    standing: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-1.5 * difference / deviation))
    return standing


def _rank(values: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rank the values among some rows, evenly over (0, 1), ties alike; 0 for the others."""
    ranks = np.zeros(len(values))
    if among.any():
        order = pl.Series(values[among]).round(12).rank("average").to_numpy()
        ranks[among] = (order - 0.5) / among.sum()
    return ranks


def _ratings(signals: pl.DataFrame, judgements: pl.DataFrame | None) -> NDArray[np.float64]:
    """Line the judge's ratings up with the rows; NaN where there is none."""
    if judgements is None or judgements.is_empty():
        return np.full(len(signals), np.nan)
    joined = signals.select("instance_id").join(
        judgements.select("instance_id", "rating"), on="instance_id", how="left", maintain_order="left"
    )
    return joined["rating"].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _rank_given(given: pl.Series | None, n_rows: int) -> NDArray[np.float64]:
    """Rank the rows' own scores evenly over (0, 1); NaN where there is none."""
    if given is None or given.null_count() == len(given):
        return np.full(n_rows, np.nan)
    ranks = (given.rank("average") - 0.5) / given.count()
    return ranks.cast(pl.Float64).fill_null(float("nan")).to_numpy()
