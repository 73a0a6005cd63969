"""The row type: what an instance is, and the columns of the tables that hold the rows of a pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

import polars as pl

Role = Literal["system", "user", "assistant", "tool"]
"""Who speaks in a turn of the normal form."""

Format = Literal["alpaca", "sharegpt", "messages", "prompt_completion", "preference"]
"""The layout in which a row came."""


class Message(TypedDict):
    """One turn of a conversation in the normal form."""

    role: Role
    content: str


class RowError(Exception):
    """A row that cannot be read; the run goes on without it.

    Parameters
    ----------
    reason
        What is wrong with the row, in one line that needs no other context than the row itself.
    """

    def __init__(self, reason: str) -> None:
        self.reason = " ".join(reason.split())
        super().__init__(self.reason)


@dataclass(frozen=True, slots=True)
class Recognised:
    """A row in the normal form.

    Attributes
    ----------
    id
        The row's own identifier as text, None where it has none.
    source
        The row's own ``source``, None where it has none.
    messages
        The turns: at least one of the user and, after it, one of the assistant.
    format
        The layout in which the row came.
    """

    id: str | None
    source: str | None
    messages: list[Message]
    format: Format


MESSAGES_DTYPE = pl.List(pl.Struct({"role": pl.String(), "content": pl.String()}))

INSTANCE_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    "content_hash": pl.String(),
    "id": pl.String(),
    "source": pl.String(),
    "file": pl.String(),
    "line": pl.Int64(),
    "format": pl.String(),
    "duplicate_of": pl.String(),
    "near_duplicate": pl.Boolean(),
    "language": pl.String(),
    "prompt_tokens": pl.Int32(),
    "response_tokens": pl.Int32(),
    "turns": pl.Int32(),
    "messages": MESSAGES_DTYPE,
    "raw": pl.String(),
    "given_tags": pl.List(pl.String()),
    "given_score": pl.Float64(),
    "given_embedding": pl.List(pl.Float32()),
}
"""Columns of the table ``raw_instances``, one row per instance.

``turns`` counts the user's turns; the ``given_*`` columns are null unless the user maps columns of their own.
"""

REJECTED_SCHEMA: dict[str, pl.DataType] = {
    "file": pl.String(),
    "line": pl.Int64(),
    "reason": pl.String(),
    "raw": pl.Binary(),
}
"""Columns of the table ``rejected_rows``, one row per row that could not be read."""

COUNTS_SCHEMA: dict[str, pl.DataType] = {
    "file": pl.String(),
    "path": pl.String(),
    "rows_in": pl.Int64(),
    "rows_kept": pl.Int64(),
    "rows_rejected": pl.Int64(),
    "rows_duplicate": pl.Int64(),
    "rows_near_duplicate": pl.Int64(),
}
"""What became of each file's rows: in = kept + rejected + duplicate, with near-duplicates among the last."""

CONDITION_COLUMNS = (
    "instance_id",
    "id",
    "source",
    "file",
    "line",
    "format",
    "language",
    "prompt_tokens",
    "response_tokens",
    "turns",
)
"""Columns of the normal form that a condition may use; ``prompt`` and ``response`` come on top."""
