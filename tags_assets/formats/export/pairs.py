"""Preference pairs, whole: the prompt, the chosen answer and the rejected one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import orjson
import polars as pl

from tags_assets.formats.export.turns import MESSAGE
from tags_assets.formats.instance import RowError
from tags_assets.formats.recognise import recognise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tags_assets.formats.instance import Message

PAIR_SCHEMA: dict[str, pl.DataType] = {
    "prompt": pl.List(MESSAGE),
    "chosen": MESSAGE,
    "rejected": MESSAGE,
    "reason": pl.String(),
}

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def pairs(rows: pl.DataFrame) -> pl.DataFrame:
    """Read both sides of preference rows from the rows as they came.

    Parameters
    ----------
    rows
        Rows of the format ``preference`` with the column ``raw``.

    Returns
    -------
    ``rows`` with the columns of `PAIR_SCHEMA`; ``reason`` says why a row is not a pair that a trainer can
    use, and is null where it is. This walks over the selected pairs one by one, as the reader of the pool
    does.
    """
    read = [_pair(raw) for raw in rows["raw"]]
    return rows.hstack(pl.DataFrame(read, schema=PAIR_SCHEMA, orient="row"))


def _pair(raw: str) -> tuple[list[Message] | None, Message | None, Message | None, str | None]:
    try:
        row = parse(raw)
        chosen = recognise(row).messages
        rejected = recognise({**row, "chosen": row["rejected"]}).messages
    except (RowError, ValueError, KeyError, TypeError) as error:
        return None, None, None, f"the rejected side cannot be read ({error})"
    if len(chosen) != len(rejected) or chosen[:-1] != rejected[:-1]:
        return None, None, None, "the two sides do not answer the same prompt"
    if chosen[-1]["role"] != "assistant" or rejected[-1]["role"] != "assistant":
        return None, None, None, "a side does not end with the assistant"
    if chosen[-1] == rejected[-1]:
        return None, None, None, "both sides are the same"
    return chosen[:-1], chosen[-1], rejected[-1], None


def parse(raw: str) -> Mapping[str, object]:
    """Read a row as it came; half of a surrogate pair, which no loader takes, becomes U+FFFD.

    Raises
    ------
    ValueError
        If it is not a JSON object.
    """
    try:
        row = orjson.loads(raw)
    except orjson.JSONDecodeError:
        row = _mended(json.loads(raw))
    if not isinstance(row, dict):
        raise ValueError("the row is not a JSON object")  # noqa: TRY004 (the row is wrong, not the caller)
    return row


def _mended(value: object) -> object:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value
