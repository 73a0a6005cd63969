"""The fields of knowledge that tags belong to, by name and by vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from scipy import sparse

from tags_assets.method.text.embedding import blocks, unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tags_assets.method.concepts.lexicon import Lexicon
    from tags_assets.method.text.embedding import Embed

N_NEAREST = 8
"""Nearest fields that a tag may belong to."""

SHARPNESS = 12.0
"""Inverse temperature of the softmax over the nearest fields. Of 3,000 concepts kept out of the centres, 47%
have their own field nearest (MiniLM, 363 fields), 61% one of the same domain, and 68% have their own among
the nearest three: so a tag is spread over several fields, and what they share decides."""

NAMED = 0.7
"""Weight of the field of the concept that a tag names; the rest is by vector, since a name may mean two
things."""


@dataclass(frozen=True, eq=False)
class FieldVectors:
    """Centres of the fields of a lexicon in the space of an embedder.

    Attributes
    ----------
    mean
        Mean vector of the concepts, float32 (n_dims,).
    centres
        Unit centre of each field's concepts, their common mean taken off, float32 (n_fields, n_dims).
    """

    mean: NDArray[np.float32]
    centres: NDArray[np.float32]

    @classmethod
    def of(cls, lexicon: Lexicon, embed: Embed) -> FieldVectors:
        """Embed all concepts and average them by field."""
        vectors = embed(lexicon.concepts)
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        centres = np.zeros((len(lexicon.fields), vectors.shape[1]), dtype=np.float32)
        np.add.at(centres, lexicon.field_of_concept, unit(vectors - mean))
        return cls(mean, unit(centres))

    def save(self, file: BinaryIO, made_of: str) -> None:
        """Write the vectors with the name of what they were made of; centres as float16, 0.3 MB."""
        centres = self.centres.astype(np.float16)
        np.savez_compressed(file, mean=self.mean, centres=centres, made_of=np.array(made_of))

    @classmethod
    def load(cls, file: BinaryIO, made_of: str) -> FieldVectors | None:
        """Read vectors that were saved; None if they were made of something else."""
        with np.load(file, allow_pickle=False) as saved:
            if str(saved["made_of"]) != made_of:
                return None
            return cls(saved["mean"], unit(saved["centres"].astype(np.float32)))


@dataclass(frozen=True, eq=False)
class Subjects:
    """What tags are about.

    Attributes
    ----------
    profile
        Share of each field in each tag, float32 (n_tags, n_fields), rows sum to 1.
    lexicon
        Whose fields they are.
    """

    profile: sparse.csr_array
    lexicon: Lexicon


@dataclass(frozen=True, eq=False)
class Fields:
    """A lexicon's fields of knowledge, to say what tags are about.

    Attributes
    ----------
    lexicon
        The fields by name.
    vectors
        The fields by vector, in the space of the embedder that also makes the tags' vectors.
    """

    lexicon: Lexicon
    vectors: FieldVectors

    def subjects(
        self,
        tags: Sequence[str],
        vectors: NDArray[np.float32],
        languages: Sequence[str | None] | None = None,
    ) -> Subjects:
        """Spread each tag over the fields that it belongs to.

        Ours: the softmax of the cosines to the `N_NEAREST` field centres, mixed with the field of the concept
        that the tag names, if any. A word of a language that the embedder cannot read has a vector that says
        nothing; its language is its field.

        Parameters
        ----------
        tags
            Canonical tags, (n_tags,).
        vectors
            Their unit vectors, float32 (n_tags, n_dims).
        languages
            Name of the language of each tag that the embedder cannot read, else None, (n_tags,).

        Raises
        ------
        ValueError
            If the vectors have other dimensions than the fields.
        """
        centres = self.vectors.centres
        if vectors.shape[1] != centres.shape[1]:
            raise ValueError(f"{vectors.shape[1]} dimensions, but the fields have {centres.shape[1]}")
        n_fields = len(centres)
        k = min(N_NEAREST, n_fields)
        nearest = np.empty((len(tags), k), dtype=np.int64)
        weight = np.empty((len(tags), k), dtype=np.float64)
        for part in blocks(len(tags), 8192):
            cosine = unit(vectors[part] - self.vectors.mean) @ centres.T
            nearest[part] = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
            own = np.take_along_axis(cosine, nearest[part], axis=1).astype(np.float64)
            weight[part] = np.exp(SHARPNESS * (own - own.max(axis=1, keepdims=True)))
        weight /= weight.sum(axis=1, keepdims=True)

        concept = self.lexicon.concepts_named(tags)
        language = [None] * len(tags) if languages is None else languages
        of_language = dict.fromkeys(sorted({name for name in language if name is not None}))
        lexicon = self.lexicon.with_languages(tuple(of_language))
        numbers = {name: n_fields + i for i, name in enumerate(of_language)}
        foreign = np.array([numbers.get(name or "", -1) for name in language], dtype=np.int64)
        foreign[concept >= 0] = -1
        unread = np.flatnonzero(foreign >= 0)
        named = np.flatnonzero(concept >= 0)
        weight[named] *= 1.0 - NAMED
        weight[unread] = 0.0
        rows = np.concatenate([np.repeat(np.arange(len(tags)), k), named, unread])
        columns = np.concatenate(
            [nearest.ravel(), self.lexicon.field_of_concept[concept[named]], foreign[unread]]
        )
        values = np.concatenate([weight.ravel(), np.full(len(named), NAMED), np.ones(len(unread))])
        # Two entries of one cell add up.
        profile = sparse.csr_array(
            (values.astype(np.float32), (rows, columns)), shape=(len(tags), len(lexicon.fields))
        )
        return Subjects(profile, lexicon)
