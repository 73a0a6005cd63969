import numpy as np
import pytest
from scipy import sparse

from tags_assets.method.selection import near_texts
from tags_assets.method.selection.near_texts import ALONE, text_groups
from tags_assets.method.text.embedding import unit


def templates(n_groups=12, n_each=5, n_alone=40, n_leaves=6, seed=0):
    """Rows of some templates each on one leaf, and rows of their own; with the group that is theirs."""
    random = np.random.default_rng(seed)
    heads = random.normal(size=(n_groups, 64))
    copies = np.repeat(heads, n_each, axis=0) + random.normal(size=(n_groups * n_each, 64)) * 0.1
    vectors = unit(np.concatenate([copies, random.normal(size=(n_alone, 64))]))
    group = np.concatenate([np.repeat(np.arange(n_groups), n_each), np.full(n_alone, ALONE)])
    leaf = np.where(group >= 0, group % n_leaves, random.integers(0, n_leaves, len(group)))
    order = random.permutation(len(group))
    return on_leaves(leaf[order], n_leaves), vectors[order], group[order]


def on_leaves(leaf, n_leaves):
    rows = np.arange(len(leaf))
    return sparse.csr_array((np.ones(len(leaf)), (rows, leaf)), shape=(len(leaf), n_leaves))


def numbered_by_first(groups):
    """The same groups, numbered in the order of their first rows."""
    seen = {}
    return [ALONE if group < 0 else seen.setdefault(group, len(seen)) for group in groups.tolist()]


def test_rows_of_one_template_are_a_group_and_others_are_alone():
    grounding, vectors, truth = templates()
    assert text_groups(grounding, vectors).tolist() == numbered_by_first(truth)


def test_a_crowded_leaf_is_halved_and_tears_few_groups_apart(monkeypatch):
    monkeypatch.setattr(near_texts, "MOST_COMPARED", 32)
    grounding, vectors, truth = templates(n_leaves=1)
    found = text_groups(grounding, vectors)
    together, wanted = (g[:, None] == g[None] for g in (found, truth))
    wanted &= ~np.eye(len(truth), dtype=bool) & (truth >= 0)
    together &= ~np.eye(len(truth), dtype=bool) & (found >= 0)
    assert not np.any(together & ~wanted)
    assert np.sum(together) > 0.7 * np.sum(wanted)


def test_texts_that_are_all_alike_are_cut_as_they_come(monkeypatch):
    monkeypatch.setattr(near_texts, "MOST_COMPARED", 8)
    like = np.random.default_rng(0).normal(size=(1, 16))
    vectors = unit(np.concatenate([np.repeat(like, 30, axis=0), -like]))
    groups = text_groups(on_leaves(np.zeros(31, dtype=int), 1), vectors)
    assert groups[-1] == ALONE
    assert np.all(np.bincount(groups[:-1]) >= 7)


def test_what_is_alike_on_other_leaves_is_no_group():
    vectors = unit(np.array([[1.0, 0.1], [1.0, 0.0], [-1.0, 0.0]]))
    assert text_groups(on_leaves(np.array([0, 1, 0]), 2), vectors).tolist() == [ALONE] * 3


def test_a_row_without_mass_is_of_no_group():
    vectors = unit(np.array([[1.0, 0.1], [1.0, 0.0], [1.0, 0.05], [-1.0, 0.0]]))
    grounding = sparse.csr_array(np.array([[1.0], [0.0], [1.0], [1.0]]))
    assert text_groups(grounding, vectors).tolist() == [0, ALONE, 0, ALONE]


def test_a_row_weighs_where_most_of_it_is():
    vectors = unit(np.array([[1.0, 0.1], [1.0, 0.0], [-1.0, 0.0]]))
    grounding = sparse.csr_array(np.array([[0.4, 0.6], [0.3, 0.7], [0.9, 0.1]]))
    assert text_groups(grounding, vectors).tolist() == [0, 0, ALONE]


def test_no_rows_have_no_groups():
    assert text_groups(sparse.csr_array((0, 3)), np.zeros((0, 4), dtype=np.float32)).tolist() == []


def test_rows_and_vectors_must_match():
    with pytest.raises(ValueError, match="3 rows and 2 vectors"):
        text_groups(on_leaves(np.zeros(3, dtype=int), 1), np.ones((2, 2), dtype=np.float32))
