"""What rows hold beyond a conversation of text, counted for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tags_assets.formats.instance import Recognised

TRAITS: dict[str, str] = {
    "reasoning": "reasoning in a field of its own",
    "tools": "tools or tool calls",
    "attachments": "pictures, films, sounds or files",
    "preference": "a chosen and a rejected answer",
    "unpaired": "a chosen answer without a usable rejected one",
    "label": "a label for KTO",
    "masked": "turns that are not to be learnt",
    "python_repr": "a list written as Python's repr where JSON should be",
}
"""Traits of rows, as people read them."""


def held(counts: Mapping[str, int]) -> str:
    """Say in a line how many rows hold what, empty where all are plain."""
    return "; ".join(f"{counts[name]:,} with {words}" for name, words in TRAITS.items() if counts.get(name))


def traits_of(row: Recognised) -> Iterator[str]:
    """Yield the traits of a row that is not plain, its label aside."""
    structure = orjson.loads(row.structure or "{}")
    turns = structure.get("turns", ())
    if any("reasoning" in turn for turn in turns):
        yield "reasoning"
    if "tools" in structure or any("tool_calls" in turn for turn in turns):
        yield "tools"
    if row.attachments:
        yield "attachments"
    if "rejected" in structure:
        yield "preference"
    if "unpaired" in structure:
        yield "unpaired"
    if any(turn.get("train") is False for turn in turns):
        yield "masked"
