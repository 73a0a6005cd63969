"""Columns of the user's own: tags, scores and embeddings in the place of ours, text under other names."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import orjson

from tags_assets.errors import UserError
from tags_assets.formats.fields import KNOWN_FIELDS
from tags_assets.formats.instance import RowError
from tags_assets.formats.turns import kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_SYNONYMS = {"quality": "score"}
_MAX_FLOAT32 = 3.4028234e38
_GIVEN = ("tags", "score", "embedding")


class Given(NamedTuple):
    """What a row brings of its own, each None where it brings none."""

    tags: list[str] | None = None
    score: float | None = None
    embedding: list[float] | None = None


class ColumnMap:
    """Which column of the user's stands for which of ours.

    Parameters
    ----------
    columns
        Our name -> the user's, as ``{"tags": "my_tags", "score": "reward", "prompt": "frage"}``. Ours are
        ``tags``, ``score`` (or ``quality``), ``embedding``, ``id``, ``source`` and the fields of text.

    Raises
    ------
    UserError
        If a name of ours does not exist.
    """

    def __init__(self, columns: Mapping[str, str] | None = None) -> None:
        known = {*_GIVEN, *_SYNONYMS, "id", "source", *KNOWN_FIELDS}
        for name in columns or {}:
            if name not in known:
                raise UserError.unknown("column to map onto", name, sorted(known), where=f"columns.{name}")
        self.columns = {_SYNONYMS.get(ours, ours): theirs for ours, theirs in (columns or {}).items()}
        self._renamed = {ours: theirs for ours, theirs in self.columns.items() if ours not in _GIVEN}

    def key(self) -> str:
        """Name the map in a few letters, the same for equal maps."""
        return orjson.dumps(self.columns, option=orjson.OPT_SORT_KEYS).decode()

    def renamed(self, row: Mapping[str, object]) -> Mapping[str, object]:
        """Return the row with the mapped columns also under our names."""
        if not self.columns:
            return row
        return {**row, **{ours: row[theirs] for ours, theirs in self._renamed.items() if theirs in row}}

    def given(self, row: Mapping[str, object]) -> Given:
        """Take tags, score and embedding from a row.

        Raises
        ------
        RowError
            If one of them is not what it is said to be.
        """
        if not self.columns:
            return Given()
        return Given(tags=self._tags(row), score=self._score(row), embedding=self._embedding(row))

    def _tags(self, row: Mapping[str, object]) -> list[str] | None:
        value = _unpacked(row.get(self.columns.get("tags", ""), None))
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
            raise RowError(f"{self.columns['tags']} (tags) is {kind_of(value)}, not a list of texts")
        return value

    def _score(self, row: Mapping[str, object]) -> float | None:
        value = row.get(self.columns.get("score", ""), None)
        if isinstance(value, str):
            with suppress(ValueError):
                value = float(value)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return None if value is None else self._finite(value, "score", sys.float_info.max)
        raise RowError(f"{self.columns['score']} (score) is {kind_of(value)}, not a number")

    def _embedding(self, row: Mapping[str, object]) -> list[float] | None:
        value = _unpacked(row.get(self.columns.get("embedding", ""), None))
        if value is None:
            return None
        if not isinstance(value, list) or not all(type(part) in (int, float) for part in value) or not value:
            raise RowError(
                f"{self.columns['embedding']} (embedding) is {kind_of(value)}, not a list of numbers"
            )
        return [self._finite(part, "embedding", _MAX_FLOAT32) for part in value]

    def _finite(self, value: float, ours: str, most: float) -> float:
        if not -most <= value <= most:  # a NaN is neither
            raise RowError(f"{self.columns[ours]} ({ours}) holds {value!s:.20}, which is out of range")
        return float(value)


def _unpacked(value: object) -> object:
    """Return what a cell says that holds a list as JSON text, as CSV cells do."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value
