"""What a person must know before they trust a selection: notes that stand first wherever it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tags_assets.formats.language import DEFAULT, NAMES, of_short_text
from tags_assets.method.selection.against_random import farther_than_random

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOSTLY = 0.5
"""Share of rows in other languages above which a pool, or a target's examples, is mostly not English."""

ENGLISH_ONLY = "and the built-in embedder reads English only"
OTHER_EMBEDDER = "use an embedder that knows {}: --embedder api --llm embedding_model=NAME"


def language_notes(
    pool: pl.Series, *, description: str | None = None, examples: pl.Series | None = None
) -> list[str]:
    """Say where an embedder that reads English only is given another language.

    Parameters
    ----------
    pool
        Language of each row of the pool, ISO 639-1.
    description
        The target's description.
    examples
        Language of each example of the target.
    """
    notes = []
    share, name = _foreign(pool)
    if share > MOSTLY:
        way = "" if examples is not None else "A target of example rows still works; a description does not. "
        notes.append(
            f"{share:.0%} of the pool's rows are not English (mostly {name}), {ENGLISH_ONLY}: concepts and "
            f"picks may be off topic. {way}Better, {OTHER_EMBEDDER.format(name)}"
        )
    code = None if description is None or notes else of_short_text(description)
    if code is not None:
        name = NAMES.get(code, "another language")
        notes.append(
            f"The target's description reads as {name}, {ENGLISH_ONLY}: the picks may be off topic. Give 10 "
            f"to 50 example rows instead, or {OTHER_EMBEDDER.format(name)}"
        )
    share, name = _foreign(examples)
    if share > MOSTLY:
        notes.append(
            f"{share:.0%} of the target's examples are not English (mostly {name}), {ENGLISH_ONLY}. Examples "
            f"usually work even so; check the first picks, or {OTHER_EMBEDDER.format(name)}"
        )
    return notes


def notes_of(selection: Mapping[str, object], target: Mapping[str, object]) -> list[str]:
    """Gather what stands first: a selection worse than random rows, what the target's text is, the rest.

    Parameters
    ----------
    selection, target
        Figures of `selected_subset` and of `target_distribution`.
    """
    kl, random = selection.get("kl"), selection.get("kl_random")
    worse = []
    asked = target.get("kind") != "pool" and selection.get("alignment", 1.0) != 0
    if asked and farther_than_random(selection):
        worse.append(
            f"Worse than random rows: the selection is {kl:.3f} nats from the target, a random "
            f"selection of this size {random:.3f}. Look at the rows before you train on them."
        )
    return [f"{str(note).rstrip('.')}." for note in (*worse, *_texts(target, "notes"))] + _texts(
        selection, "messages"
    )


def _texts(figures: Mapping[str, object], name: str) -> list[str]:
    given = figures.get(name)
    return [str(one) for one in given] if isinstance(given, list | tuple) else []


def _foreign(languages: pl.Series | Sequence[str] | None) -> tuple[float, str]:
    """Share of the rows that are not English, and the name of the most frequent other language."""
    codes = pl.Series("language", languages, dtype=pl.String).fill_null(DEFAULT)
    others = codes.filter(codes != DEFAULT)
    if others.is_empty():
        return 0.0, ""
    most = others.value_counts(sort=True).sort("count", "language", descending=[True, False])["language"][0]
    return len(others) / len(codes), NAMES.get(most, f"language {most!r}")
