"""The row type: what an instance is, and the columns of the tables that hold the rows of a pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

import polars as pl

Role = Literal["system", "user", "assistant", "tool"]
"""Who speaks in a turn of the normal form."""

Format = Literal["alpaca", "sharegpt", "messages", "prompt_completion", "preference"]
"""The layout in which a row came."""


class Message(TypedDict):
    """One turn of a conversation as text: what was thought, said and called, in this order."""

    role: Role
    content: str


class ToolCall(TypedDict):
    """A call of a tool: what the model wrote as arguments, JSON or not."""

    name: str
    arguments: object
    id: NotRequired[str]


class Attachment(TypedDict):
    """A picture, film, sound or file of a turn. It is never opened."""

    kind: str
    reference: str


class Turn(Message):
    """One turn of a conversation in the normal form; a plain turn has role and content alone.

    ``name`` and ``tool_call_id`` say which tool and which call a result is of. ``train`` is false for a turn
    of the assistant that is not to be learnt.
    """

    reasoning: NotRequired[str]
    tool_calls: NotRequired[list[ToolCall]]
    name: NotRequired[str]
    tool_call_id: NotRequired[str]
    attachments: NotRequired[list[Attachment]]
    train: NotRequired[bool]


class Structure(TypedDict, total=False):
    """What a row holds beyond text. A row of plain text has none of it.

    ``turns`` are those of the row where one of them is not plain; ``tools`` the tools that it declares;
    ``rejected`` the answer beside the last one that was not preferred, or ``unpaired``, why there is none.
    """

    turns: list[Turn]
    tools: list[object]
    rejected: Turn
    unpaired: str


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
        The turns as text: at least one of the user and, after it, one of the assistant.
    format
        The layout in which the row came.
    structure
        What the row holds beyond text, as JSON; None where it is plain.
    identity
        What tells the row from others that say the same: its pictures, tools, label and marks, as JSON.
    attachments
        Number of pictures, films, sounds and files.
    label
        Whether the answer is to be imitated, of a row for KTO.
    pass_rate, difficulty
        As the row has them.
    unused
        Fields that look like content and are not used.
    is_repr
        Whether a structure of the row came as Python's repr.
    """

    id: str | None
    source: str | None
    messages: list[Message]
    format: Format
    structure: str | None = None
    identity: str | None = None
    attachments: int = 0
    label: bool | None = None
    pass_rate: float | None = None
    difficulty: float | None = None
    unused: tuple[str, ...] = ()
    is_repr: bool = False


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
    "structure": pl.String(),
    "attachments": pl.Int32(),
    "label": pl.Boolean(),
    "pass_rate": pl.Float64(),
    "difficulty": pl.Float64(),
}
"""Columns of the table ``raw_instances``, one row per instance.

``turns`` counts the user's turns; the ``given_*`` columns are null unless the user maps columns of their own;
``structure`` is a `Structure` as JSON and null for rows of plain text.
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
    "attachments",
    "label",
    "pass_rate",
    "difficulty",
)
"""Columns of the normal form that a condition may use; ``prompt`` and ``response`` come on top."""
