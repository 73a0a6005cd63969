"""Templates: rows whose prompts begin with the same words, whatever their numbers and names are."""

from __future__ import annotations

import polars as pl

TEMPLATE_SCHEMA: dict[str, pl.DataType] = {"instance_id": pl.String(), "template": pl.String()}
"""Columns of the table ``templates`` of ``grounded_instances``, one row per row that shares its template."""

HEAD_WORDS, LEAST_WORDS = 7, 3
"""Words of the prompt that make its head; a prompt of fewer than the least is of no template."""

_HEAD_CHARS = 400


def templates(rows: pl.DataFrame) -> pl.DataFrame:
    """Find the template of each row: the first seven words of its prompt, with digits written as 0.

    Words with a capital count as one name (X), except the first, so that prompts about Leo and Mia are alike.

    Parameters
    ----------
    rows
        ``instance_id, prompt``.

    Returns
    -------
    pl.DataFrame
        `TEMPLATE_SCHEMA`, in the order of the rows; rows whose head no other row has are left out.
    """
    plain = pl.col("prompt").str.slice(0, _HEAD_CHARS).str.replace_all(r"\d+", "0")
    named = plain.str.replace_all(r"(\s)\p{Lu}[\w'\-]*", "${1}X")
    words = named.str.extract_all(r"\w+").list.head(HEAD_WORDS)
    head = pl.when(words.list.len() >= LEAST_WORDS).then(words.list.join(" "))
    found = rows.select("instance_id", template=head).drop_nulls()
    return found.filter(pl.len().over("template") > 1).cast(pl.Schema(TEMPLATE_SCHEMA))
