"""Rows that take part: read, not duplicate, not filtered out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tags_assets.formats.conversation import texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tags_assets.assets.versioned import Inputs

BATCH_ROWS = 20_000
"""Rows whose texts are in memory at once."""


def participating_rows(inputs: Inputs, columns: Sequence[str]) -> pl.DataFrame:
    """Read columns of the kept rows of `raw_instances`, in their order."""
    wanted = dict.fromkeys(["instance_id", "duplicate_of", *columns])
    rows = inputs.read("raw_instances", columns=list(wanted))
    return _kept(rows, inputs).select("instance_id", *(name for name in columns if name != "instance_id"))


def participating_texts(inputs: Inputs, columns: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
    """Read the texts of the kept rows, batch by batch: ``instance_id, prompt, response``, columns."""
    wanted = list(dict.fromkeys(["instance_id", "duplicate_of", "messages", *columns]))
    batches = inputs.store.read_batches(inputs.versions["raw_instances"], columns=wanted, rows=BATCH_ROWS)
    for batch in batches:
        rows = _kept(batch, inputs)
        yield pl.concat([texts(rows), rows.select(columns)], how="horizontal")


def _kept(rows: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    rows = rows.filter(pl.col("duplicate_of").is_null())
    filtered = inputs.read("filtered_rows", columns=["instance_id"])
    return rows.filter(~pl.col("instance_id").is_in(filtered["instance_id"].to_list()))
