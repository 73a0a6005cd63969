"""From verdicts to judgements: samples averaged, second looks weighed in, dimensions combined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tags_assets.errors import InvalidInputError, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

DIMENSIONS = ("helpfulness", "correctness", "completeness", "clarity", "difficulty")

RESPONSE_DIMENSIONS = DIMENSIONS[:4]
"""What is judged of the response; difficulty is judged of the instruction."""

DEFAULT_WEIGHTS = {
    "helpfulness": 0.3,
    "correctness": 0.3,
    "completeness": 0.15,
    "clarity": 0.1,
    "difficulty": 0.15,
}
"""How the dimensions combine into ``rating``: ours, to be changed without a call."""

CAUGHT_BY = 0.4
"""By how much (of 1) a verdict must exceed the one without the sentence, or the audit, to be caught."""

PERFECT = 0.95

JUDGEMENTS_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    **dict.fromkeys(DIMENSIONS, pl.Float32()),
    **{f"{name}_reason": pl.String() for name in DIMENSIONS},
    "rating": pl.Float32(),
    "spread": pl.Float32(),
    "samples": pl.Int32(),
    "hostile": pl.Boolean(),
    "audited": pl.Boolean(),
    "caught": pl.Boolean(),
}
"""Columns of ``quality_judgements``, one row per instance.

The dimensions lie in 0 to 1, null where the judge could not tell. ``spread`` is the mean standard deviation
of the dimensions over the samples, null for one sample.
"""


def combine_samples(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Average the samples of each row; the reasons are those of its first."""
    names = list(DIMENSIONS)
    spread = pl.mean_horizontal(pl.col(name).std(ddof=0) for name in names)
    return (
        verdicts.sort("row", "sample")
        .group_by("row", maintain_order=True)
        .agg(
            *(pl.col(name).mean() for name in names),
            *(pl.col(f"{name}_reason").first() for name in names),
            spread=pl.when(pl.len() > 1).then(spread),
            samples=pl.len().cast(pl.Int32),
            by_rule=pl.col("by_rule").any(),
            hostile=pl.col("by_rule").any() | pl.col("addresses_judge").any(),
        )
    )


def settle(means: pl.DataFrame, without: pl.DataFrame, audits: pl.DataFrame) -> pl.DataFrame:
    """Weigh the first verdicts against those without the hostile sentences, and against the audits.

    Parameters
    ----------
    means
        First verdicts, as of `combine_samples`.
    without
        Verdicts on redacted rows, likewise; only for hostile ones.
    audits
        ``row``, ``ceiling``.

    Returns
    -------
    ``means`` with the scores that count, ``audited``, ``caught``, and ``unsettled``: hostile, and no second
    look came of it.
    """
    response = list(RESPONSE_DIMENSIONS)
    joined = means.join(
        without.select("row", *(pl.col(n).alias(f"{n}_without") for n in DIMENSIONS)), on="row", how="left"
    ).join(audits, on="row", how="left")
    first = pl.mean_horizontal(response)
    second = pl.mean_horizontal([f"{n}_without" for n in response])
    by_redaction = (first - second >= CAUGHT_BY).fill_null(value=False)
    by_audit = (first - pl.col("ceiling") >= CAUGHT_BY).fill_null(value=False)
    ceiling = pl.when(by_audit).then(pl.col("ceiling"))
    return joined.with_columns(
        *(
            pl.min_horizontal(n, f"{n}_without", ceiling if n in response else pl.lit(None))
            .cast(pl.Float32)
            .alias(n)
            for n in DIMENSIONS
        ),
        audited=pl.col("ceiling").is_not_null(),
        caught=by_redaction | by_audit,
        unsettled=pl.col("hostile") & second.is_null() & pl.col("ceiling").is_null(),
    ).drop([f"{n}_without" for n in DIMENSIONS])


def checked_weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    """Read weights of the dimensions.

    Raises
    ------
    UserError
        Where a name is unknown, a weight is negative, or none is above 0.
    """
    given = dict(DEFAULT_WEIGHTS if weights is None else weights)
    for name, weight in given.items():
        if name not in DIMENSIONS:
            raise UserError.unknown("dimension", name, DIMENSIONS, where="judge.weights")
        if not weight >= 0:
            raise InvalidInputError(f"the weight of {name} is {weight}, below 0", where="judge.weights")
    if not any(given.values()):
        raise InvalidInputError("no weight is above 0", where="judge.weights")
    return {name: float(given.get(name, 0.0)) for name in DIMENSIONS}


def rate(judgements: pl.DataFrame, weights: Mapping[str, float]) -> pl.DataFrame:
    """Combine the dimensions into ``rating`` anew: the weighted mean of those that are known.

    Raises
    ------
    UserError
        As `checked_weights`.
    """
    checked = checked_weights(weights)
    known = [pl.col(name).is_not_null().cast(pl.Float64) * w for name, w in checked.items()]
    parts = [pl.col(name).fill_null(0.0).cast(pl.Float64) * w for name, w in checked.items()]
    total = pl.sum_horizontal(known)
    rating = pl.when(total > 0).then(pl.sum_horizontal(parts) / total)
    return judgements.with_columns(rating=rating.cast(pl.Float32))
