"""The prior of the fields: whatever the vectors say, tags of one subject are nearer to one another."""

from __future__ import annotations

import numpy as np
import pytest

from tags_assets.method.tree.field_prior import TOP_SHARE, lean, profiles
from tags_assets_tests.method.concepts.lexicons import fields, tags_of


@pytest.fixture
def subjects():
    rng = np.random.default_rng(0)
    parts = [tags_of(field, 5, rng) for field in range(12)]
    tags = [tag for own, _ in parts for tag in own]
    return fields().subjects(tags, np.concatenate([vectors for _, vectors in parts]))


def test_profiles_add_up_over_domains_and_areas(subjects):
    by_field, by_domain, by_area = (profile.toarray() for profile in profiles(subjects))
    assert np.allclose(by_field.reshape(-1, 6, 2).sum(axis=2), by_domain, atol=1e-6)
    assert np.allclose(by_domain.reshape(-1, 3, 2).sum(axis=2), by_area, atol=1e-6)
    assert np.allclose(by_area.sum(axis=1), 1.0, atol=1e-5)


def test_at_the_top_areas_come_first_and_at_the_leaves_fields(subjects):
    alike = np.full((60, 4), 0.5, dtype=np.float32)
    products = [(f := lean(alike, subjects, r, 4)) @ f.T for r in range(4)]
    same_field, same_domain, same_area, apart = 1, 6, 12, 59
    leaves, top = (product[0, [same_field, same_domain, same_area, apart]] for product in products[::3])
    assert (np.diff(leaves)[:2] < 0).all()
    assert (np.diff(top) < 0).all()
    # What tells one field from the next matters at the leaves, one area from the next at the top.
    assert (leaves[0] - leaves[1]) / leaves[0] > (top[0] - top[1]) / top[0]
    assert top[2] - top[3] > leaves[2] - leaves[3]


def test_the_vectors_keep_their_share(subjects):
    features = np.eye(60, dtype=np.float32)
    top = lean(features, subjects, 3, 4)[:, :60]
    assert np.allclose(top, np.sqrt(1 - TOP_SHARE) * features)
