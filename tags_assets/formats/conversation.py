"""A conversation as two texts: what the model is given and what it is to say."""

from __future__ import annotations

import polars as pl

TURN_SEPARATOR = "\n\n"
"""Stands between the turns of a text."""

TEXTS_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    "prompt": pl.String(),
    "response": pl.String(),
}
"""Columns of what `texts` returns, one row per instance."""


def texts(instances: pl.DataFrame) -> pl.DataFrame:
    """Give each instance's prompt (turns of system, user and tools) and response (the assistant's turns).

    Parameters
    ----------
    instances
        With ``instance_id`` and ``messages``.

    Returns
    -------
    pl.DataFrame
        ``TEXTS_SCHEMA``, rows in the order of ``instances``.
    """
    is_answer = pl.element().struct.field("role") == "assistant"

    def joined(of_whom: pl.Expr) -> pl.Expr:
        contents = pl.col("messages").list.eval(pl.element().filter(of_whom).struct.field("content"))
        return contents.list.join(TURN_SEPARATOR)

    return instances.select("instance_id", prompt=joined(~is_answer), response=joined(is_answer))
