"""The gold set of 40 documents, and the measure on it: soft F1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

GOLD = Path(__file__).parents[2] / "data" / "gold_tags.jsonl"
SAME = 0.6
"""Cosine from which two tags count as one concept (MiniLM)."""


class Document(NamedTuple):
    id: str
    domain: str
    language: str
    prompt: str
    response: str
    tags: list[str]


def gold_documents() -> list[Document]:
    return [Document(**json.loads(line)) for line in GOLD.read_text(encoding="utf-8").splitlines()]


def soft_f1(
    found: Sequence[str], gold: Sequence[str], embed: Callable[[Sequence[str]], NDArray[np.float32]]
) -> float:
    """Harmonic mean of the shares of found tags near a gold one and of gold tags near a found one."""
    if not found or not gold:
        return float(not found and not gold)
    near = embed(found) @ embed(gold).T >= SAME
    precision, recall = near.any(axis=1).mean(), near.any(axis=0).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0
