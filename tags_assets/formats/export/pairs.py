"""Preference pairs, whole: the prompt, the chosen answer and the rejected one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from tags_assets.formats.export.turns import MESSAGE
from tags_assets.formats.instance import RowError
from tags_assets.formats.recognise import recognise
from tags_assets.formats.turns import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tags_assets.formats.instance import Message

PAIR_SCHEMA: dict[str, pl.DataType] = {
    "prompt": pl.List(MESSAGE),
    "chosen": MESSAGE,
    "rejected": MESSAGE,
    "reason": pl.String(),
}

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def pairs(rows: pl.DataFrame) -> pl.DataFrame:
    """Lay out both sides of preference rows.

    Parameters
    ----------
    rows
        Rows of the format ``preference`` with the columns ``messages``, ``structure`` and ``raw``.

    Returns
    -------
    ``rows`` with the columns of `PAIR_SCHEMA`; ``reason`` says why a row is not a pair that a trainer can
    use, and is null where it is. This walks over the selected pairs one by one, as the reader of the pool
    does.
    """
    held = [
        _read_again(raw) if structure is None else structure
        for structure, raw in rows.select("structure", "raw").iter_rows()
    ]
    read = [_pair(messages, structure) for messages, structure in zip(rows["messages"], held, strict=True)]
    structures = pl.Series("structure", held, dtype=pl.String)
    return rows.with_columns(structures).hstack(pl.DataFrame(read, schema=PAIR_SCHEMA, orient="row"))


def _pair(
    messages: Sequence[Message], structure: str
) -> tuple[list[Message] | None, Message | None, Message | None, str | None]:
    held: dict[str, Any] = orjson.loads(structure)
    if "rejected" not in held:
        return None, None, None, held.get("unpaired", "the rejected side is empty")
    turns = list(messages)
    return turns[:-1], turns[-1], as_text(held["rejected"], "the rejected side"), None


def _read_again(raw: str) -> str:
    """Read the structure of a row that was stored before rows had one."""
    try:
        return recognise(parse(raw)).structure or "{}"
    except (RowError, ValueError) as error:
        return orjson.dumps({"unpaired": f"the rejected side cannot be read ({error})"}).decode()


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
