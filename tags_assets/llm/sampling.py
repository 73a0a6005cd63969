"""Spending less: the model tags a sample, and the sample's tags are carried over to the other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from tags_assets.llm.row_frames import with_ids
from tags_assets.llm.tagger import TAGS_SCHEMA, TaggingResult
from tags_assets.method.concepts.vocabulary import normalise_tag
from tags_assets.method.tagging.carry_over import carry_over, sample_by_content

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tags_assets.llm.client import CostEstimate
    from tags_assets.llm.status import Status
    from tags_assets.llm.tagger import LLMTagger, Messages
    from tags_assets.method.tagging.carry_over import Method
    from tags_assets.method.text.embedding import Embed, Vectors


def estimate_sample(
    tagger: LLMTagger,
    content_hashes: Sequence[str] | pl.Series,
    conversations: pl.Series | Sequence[Messages],
    share: float,
    *,
    seed: int = 0,
    retry_failed: bool = False,
) -> CostEstimate:
    """Count tokens and cost of tagging the sample, without a call."""
    chosen = np.flatnonzero(sample_by_content(content_hashes, share, seed=seed))
    return tagger.estimate([conversations[int(i)] for i in chosen], retry_failed=retry_failed)


def tag_sample(
    tagger: LLMTagger,
    ids: Sequence[str] | pl.Series,
    content_hashes: Sequence[str] | pl.Series,
    conversations: pl.Series | Sequence[Messages],
    *,
    vectors: Vectors,
    share: float,
    method: Method | Literal["auto"] = "auto",
    embed: Embed | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    status: Callable[[Status], None] | None = None,
    retry_failed: bool = False,
) -> TaggingResult:
    """Tag a share of the rows with the model and carry their tags over to the others.

    The sample is chosen by content: rows once tagged stay in it as the pool grows, so nothing is paid for
    in vain.

    Parameters
    ----------
    tagger
        Tags the sample.
    ids, content_hashes, conversations, vectors
        Of all rows, in one order; vectors float32 (n, n_dims).
    share
        Share of the rows to be tagged by the model, above 0 and at most 1.
    method, embed, seed
        As in `carry_over`.
    progress, status, retry_failed
        As in `Client.ask`, for the sample.

    Returns
    -------
    As of `LLMTagger.tag`; carried tags have the origin ``assigned``, and the figures say what share was
    carried and how well that agrees with the model on rows held back. Rows of the sample that failed are
    carried over to as well, and stay among the failures.

    Raises
    ------
    UserError
        As in `Client.ask`; where too few rows are tagged to learn from.
    """
    sampled = sample_by_content(content_hashes, share, seed=seed)
    chosen = np.flatnonzero(sampled)
    named = pl.Series("instance_id", ids, dtype=pl.String)
    result = tagger.tag(
        named.gather(chosen.astype(np.uint32)),
        [conversations[int(i)] for i in chosen],
        progress=progress,
        status=status,
        retry_failed=retry_failed,
    )
    if sampled.all() and result.failures.is_empty():
        return result
    numbers = pl.DataFrame({"instance_id": named}).with_row_index("row")
    spellings = result.tags["tag"].unique().to_list()
    tagged_rows = (
        result.tags.with_columns(
            pl.col("tag").replace_strict(spellings, [normalise_tag(t) for t in spellings])
        )
        .filter(pl.col("tag").str.len_chars() > 0)
        .join(numbers, on="instance_id")
        .group_by("row", "tag")
        .agg(pl.col("weight").sum())
    )
    tagged = np.zeros(len(named), dtype=np.bool_)
    tagged[tagged_rows["row"].to_numpy()] = True
    carried = carry_over(tagged_rows, tagged, vectors, method=method, embed=embed, seed=seed)
    tags = (
        carried.tags.with_columns(origin=pl.lit("assigned"))
        .pipe(with_ids, named)
        .select(pl.col(name).cast(kind) for name, kind in TAGS_SCHEMA.items())
    )
    return TaggingResult(
        tags=pl.concat([result.tags, tags]),
        failures=result.failures,
        notes=result.notes,
        figures={**result.figures, **carried.figures, "sampled_rows": len(chosen)},
    )
