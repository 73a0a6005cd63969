"""The fields of knowledge that a run knows: its lexicon, in the space of its embedder."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from tags_assets.formats.language import NAMES
from tags_assets.method.concepts.fields import Fields, FieldVectors
from tags_assets.method.concepts.lexicon import Lexicon, own_lexicon, read_lexicon
from tags_assets.models.minilm import MiniLM
from tags_assets.resources.embedder import LOCAL_EMBEDDER, TAG_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tags_assets.method.text.embedding import Embed
    from tags_assets.settings.home import PoolSettings

PACKAGED_VECTORS = files("tags_assets.models").joinpath("data", "field-vectors.npz")
"""Vectors of the fields of our lexicon for the local embedder: to compute them takes a minute."""


def lexicon_of(settings: PoolSettings) -> Lexicon:
    """Read the lexicon that the settings name, else ours.

    Raises
    ------
    UserError
        If the file is missing or is not a lexicon.
    """
    return _own() if settings.lexicon is None else read_lexicon(Path(settings.lexicon))


def fields_of(settings: PoolSettings, embed: Embed) -> Fields:
    """Place the fields of the lexicon in the space of the embedder.

    Parameters
    ----------
    settings
        Name the lexicon and the embedder.
    embed
        The embedder; it reads each concept of the lexicon, unless the vectors are packaged.
    """
    lexicon = lexicon_of(settings)
    vectors = packaged_vectors(lexicon) if settings.embedder == "minilm" else None
    return Fields(lexicon, vectors or FieldVectors.of(lexicon, embed))


def packaged_vectors(lexicon: Lexicon) -> FieldVectors | None:
    """Read the packaged vectors; None if they are not of this lexicon."""
    with Path(str(PACKAGED_VECTORS)).open("rb") as file:
        return FieldVectors.load(file, made_of(lexicon))


def made_of(lexicon: Lexicon) -> str:
    """Name the lexicon and the embedder that the packaged vectors are of."""
    return f"{lexicon.content_hash}:{LOCAL_EMBEDDER}:{TAG_TOKENS}"


def unread_languages(settings: PoolSettings, languages: Iterable[str | None]) -> list[str | None]:
    """Name the languages that the embedder cannot read: for the local one, all but English.

    Parameters
    ----------
    languages
        ISO 639-1 code of each tag, None for English.
    """
    if settings.embedder != "minilm":
        return [None for _ in languages]
    return [None if code is None else NAMES.get(code, code) for code in languages]


@cache
def _own() -> Lexicon:
    return own_lexicon()


def _package() -> None:
    """Write the packaged vectors anew; about a minute."""
    lexicon = own_lexicon()
    with Path(str(PACKAGED_VECTORS)).open("wb") as file:
        FieldVectors.of(lexicon, MiniLM(max_tokens=TAG_TOKENS).embed).save(file, made_of(lexicon))


if __name__ == "__main__":
    _package()
