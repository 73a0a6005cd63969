"""The prior that makes the tree one of knowledge: tags of one field, domain or area lean to one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tags_assets.method.concepts.fields import Subjects

LEAF_SHARE, TOP_SHARE = 0.2, 0.9
"""Share of the fields in the features of a tag when the leaves and when the topmost nodes are made; it grows
evenly in between. What means the same is for the vectors to say, what belongs together for the fields.
Share of a node's tags in its main area / domain / field, averaged over the level, without the prior and with
it: .31/.17/.06 and .67/.34/.10 (top), .52/.39/.21 and .68/.58/.33 (two below), templated pool;
.40/.26/.06 and .71/.39/.09, .58/.45/.22 and .72/.63/.35, mixed pool. Share of the target and distinct tasks
among 500 picks: .809/39 and .804/39 (given targets), .680/107 and .680/109 (tasks held out), templated pool;
.881/675 and .880/676, mixed pool. Leaves with shares of 0 and .5, and a top with .6, select no better."""

FIELD_WEIGHT, DOMAIN_WEIGHT, AREA_WEIGHT = 0.1, 0.5, 1.0
"""Weights of the subjects when the topmost nodes are made. At the leaves, fields weigh 1 and areas 0."""


def lean(features: NDArray[np.float32], subjects: Subjects, r: int, n_rounds: int) -> NDArray[np.float32]:
    """Join the tags' features with their fields, domains and areas.

    The product of two square roots of profiles is their Bhattacharyya coefficient (Bhattacharyya 1943):
    1 where two tags have the same subjects, 0 where they share none.

    Parameters
    ----------
    features
        Unit features of the tags, float32 (n_tags, n_features).
    subjects
        What the tags are about.
    r
        Round, from 0.
    n_rounds
        Rounds in all.

    Returns
    -------
    NDArray[np.float32]
        (n_tags, n_features + n_fields + n_domains + n_areas).
    """
    height = r / max(n_rounds - 1, 1)
    share = LEAF_SHARE + (TOP_SHARE - LEAF_SHARE) * height
    weights = (1.0 - (1.0 - FIELD_WEIGHT) * height, DOMAIN_WEIGHT, AREA_WEIGHT * height)
    parts = [np.sqrt(1.0 - share) * features]
    parts += [
        np.sqrt(share * weight * profile.toarray())
        for weight, profile in zip(weights, profiles(subjects), strict=True)
    ]
    return np.concatenate(parts, axis=1).astype(np.float32, copy=False)


def profiles(subjects: Subjects) -> tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array]:
    """Give the share of each field, of each domain and of each area in each tag, (n_tags, n) each."""
    lexicon = subjects.lexicon
    return (
        subjects.profile,
        subjects.profile @ _membership(lexicon.domain_of_field, len(lexicon.domains)),
        subjects.profile @ _membership(lexicon.area_of_field, len(lexicon.areas)),
    )


def _membership(group_of: NDArray[np.int64], n_groups: int) -> sparse.csr_array:
    n = len(group_of)
    ones = np.ones(n, dtype=np.float32)
    return sparse.csr_array((ones, (np.arange(n), group_of)), shape=(n, n_groups))
