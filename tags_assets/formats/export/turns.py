"""What a trainer can take of a conversation, decided for all rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tags_assets.text import counted, listed

if TYPE_CHECKING:
    from collections.abc import Sequence

MESSAGE = pl.Struct({"role": pl.String(), "content": pl.String()})
NAMED = 5
"""Rows that a note names; the file ``left_out.jsonl`` names them all."""


def readable(rows: pl.DataFrame) -> pl.DataFrame:
    """Bring the messages into the one shape that loaders infer alike for every row: no null role or
    content. Columns that rows stored by older versions lack are added, empty.
    """
    missing = {"structure": pl.String(), "label": pl.Boolean()}
    rows = rows.with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in missing.items() if name not in rows.columns
    )
    filled = pl.element().struct.with_fields(
        pl.field("role").fill_null("user"), pl.field("content").fill_null("")
    )
    return rows.with_columns(pl.col("messages").fill_null([]).cast(pl.List(MESSAGE)).list.eval(filled))


def turns(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per turn after the leading system turn: ``row`` (position in ``rows``), ``turn`` (from 0),
    ``role``.
    """
    turn_roles = (
        rows.select(pl.col("messages").list.eval(pl.element().struct.field("role")).alias("role"))
        .with_row_index("row")
        .explode("role", empty_as_null=False)
        .with_columns(turn=pl.int_range(pl.len()).over("row"))
    )
    opens = (pl.col("turn") == 0) & (pl.col("role") == "system")
    led = turn_roles.with_columns(led=opens.any().over("row"))
    return led.filter(~opens).select("row", pl.col("turn") - pl.col("led").cast(pl.Int64), "role")


def why_not_alternating(rows: pl.DataFrame, *, answered: bool = True, join_tools: bool = False) -> pl.Series:
    """Say why a row's turns do not alternate as LLaMA-Factory asks, null where they do.

    After an optional system turn, turns 1, 3, 5 ... come from the user or a tool and turns 2, 4, 6 ... from
    the assistant; with ``answered`` the last one is the assistant's (as many of one as of the other), else
    the user's. Its loader drops every other conversation with no more than a line in the log. With
    ``join_tools`` tool turns that follow each other count as one, as its ``openai`` form has it.
    """
    due = (
        pl.when(pl.col("turn") % 2 == 0)
        .then(pl.col("role").is_in(["user", "tool"]))
        .otherwise(pl.col("role") == "assistant")
    )
    wanted = pl.when(pl.col("turn") % 2 == 0).then(pl.lit("user or tool")).otherwise(pl.lit("assistant"))
    ends = 0 if answered else 1
    turn_rows = turns(rows)
    if join_tools:
        follows = (pl.col("role") == "tool") & (pl.col("role").shift().over("row") == "tool")
        turn_rows = turn_rows.filter(~follows.fill_null(value=False)).with_columns(
            turn=pl.int_range(pl.len()).over("row")
        )
    judged = (
        turn_rows.group_by("row")
        .agg(
            pl.len().alias("n"),
            pl.format("turn {} is {} where {} is due", pl.col("turn") + 1, "role", wanted)
            .filter(~due)
            .first()
            .alias("odd"),
        )
        .with_columns(
            pl.coalesce(
                "odd",
                pl.when(pl.col("n") % 2 != ends).then(
                    pl.lit(
                        "the last turn is not the assistant's"
                        if answered
                        else "the prompt does not end with the user"
                    )
                ),
            ).alias("reason")
        )
    )
    return _per_row(rows, judged, "no turn but the system's" if answered else "no prompt")


def why_nothing_to_learn(rows: pl.DataFrame, *, last: bool = False) -> pl.Series:
    """Say why a row has nothing to train on, null where it has.

    With ``last`` the assistant's turn has to be the last one, and one has to come before it.
    """
    judged = (
        turns(rows)
        .group_by("row")
        .agg(
            pl.when(pl.lit(last))
            .then(
                pl.when(pl.col("role").last() != "assistant").then(
                    pl.lit("the last turn is not the assistant's")
                )
            )
            .otherwise(
                pl.when(~(pl.col("role") == "assistant").any()).then(pl.lit("no turn of the assistant's"))
            )
            .alias("reason")
        )
    )
    return _per_row(rows, judged, "no turn but the system's")


def left_out(rows: pl.DataFrame, reason: pl.Series) -> pl.DataFrame:
    """List the rows that a format does not take: who they are, and why."""
    return (
        rows.with_columns(reason.alias("reason"))
        .filter(pl.col("reason").is_not_null())
        .select("instance_id", "id", "source", "file", "line", "reason")
    )


def left_out_notes(dropped: pl.DataFrame, why: str) -> tuple[str, ...]:
    """Describe the rows that were left out in a note; empty if there are none."""
    if dropped.is_empty():
        return ()
    reasons = dropped["reason"].value_counts(sort=True, name="n").head(3)
    counts = "; ".join(f"{n:,} × {reason}" for reason, n in reasons.iter_rows())  # noqa: RUF001
    names = listed(_names(dropped), NAMED)
    n, they = counted(dropped.height, "row"), "It is" if dropped.height == 1 else "They are"
    return (f"{n} left out, {why}: {counts}. {they} {names} (all in left_out.jsonl).",)


def _names(rows: pl.DataFrame) -> Sequence[str]:
    return [
        f"{name or 'row'} ({file}:{line})"
        for name, file, line in rows.select("id", "file", "line").iter_rows()
    ]


def _per_row(rows: pl.DataFrame, judged: pl.DataFrame, empty: str) -> pl.Series:
    """Spread judgements onto all rows; a row that has no turns at all gets ``empty``."""
    return (
        pl.select(pl.int_range(rows.height, dtype=pl.UInt32).alias("row"))
        .join(judged.select("row", "reason", has_turns=True), on="row", how="left", maintain_order="left")
        .select(pl.when("has_turns").then("reason").otherwise(pl.lit(empty)).alias("reason"))
        .to_series()
    )
