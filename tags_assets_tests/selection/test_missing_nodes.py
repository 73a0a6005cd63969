from __future__ import annotations

import numpy as np
import pytest

from tags_assets.errors import UserError
from tags_assets.method.text.embedding import unit
from tags_assets.method.tree.builder import TreeConfig, build_tree
from tags_assets.method.tree.heirs import heirs
from tags_assets.method.tree.knowledge_tree import KnowledgeTree
from tags_assets.selection.missing_nodes import CLEAR_HEIR, resolve_nodes
from tags_assets.store.opening import open_store
from tags_assets.store.upstream import Inputs
from tags_assets_tests.method.tree.trees import small_tree, tag_names, vectors_in_groups

BEFORE = small_tree(60)
CONFIG = TreeConfig(tags_per_leaf=6, branching=2.0, n_roots=3)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A store with the tree before, and the tree now: larger leaves, and a fifth of the tags gone."""
    store = open_store(tmp_path_factory.mktemp("home"))
    vectors, _ = vectors_in_groups(60)
    now = build_tree(tag_names(60)[:48], np.ones(48), vectors[:48], config=CONFIG, previous=BEFORE)
    for name, tree in (("before", BEFORE), ("now", now)):
        nodes, tags = tree.to_frames()
        version = store.write("knowledge_tree", name, {"data": nodes, "tags": tags})
    return Inputs(store, {"knowledge_tree": version}, lambda *_: None)


def tree_of(inputs):
    return KnowledgeTree.from_frames(inputs.read("knowledge_tree"), inputs.read("knowledge_tree", "tags"))


def resolve(weights, inputs, embed=None):
    tree = tree_of(inputs)
    rng = np.random.default_rng(0)

    def far(texts):
        return unit(rng.normal(size=(len(texts), tree.vectors.shape[1])).astype(np.float32)) * 0.01

    where = "maths.yaml: target.weights"
    return resolve_nodes(weights, tree, np.ones(tree.n_leaves), inputs, embed or far, where=where)


def test_nodes_that_there_are_keep_their_weights_without_a_note(inputs):
    tree = tree_of(inputs)
    found, notes = resolve({tree.node_ids[0]: 1.0, tree.paths[3]: 2.0}, inputs)
    assert found == {tree.node_ids[0]: 1.0, tree.node_ids[3]: 2.0}
    assert not notes


def test_a_missing_node_hands_its_weight_to_a_clear_heir_and_else_is_named_with_its_heirs(inputs):
    tree = tree_of(inputs)
    gone = sorted(set(BEFORE.node_ids) - set(tree.node_ids))
    seen = set()
    for node_id in gone:
        held = heirs(BEFORE.number_of[node_id], BEFORE, tree)
        clear = bool(held) and held[0][1] >= CLEAR_HEIR
        seen.add(clear)
        if clear:
            found, [note] = resolve({node_id: 0.7}, inputs)
            assert found == {tree.node_ids[held[0][0]]: 0.7}
            assert tree.paths[held[0][0]] in note
            continue
        with pytest.raises(UserError, match="no longer exists since the tree was rebuilt") as error:
            resolve({tree.node_ids[0]: 1.0, node_id: 1.0}, inputs)
        text = str(error.value)
        assert text.startswith("maths.yaml: target.weights: ")
        assert "\n" not in text
        assert "name these nodes" in text or "Its tags no longer exist" in text
    assert seen == {True, False}


def test_words_are_read_as_the_concept_nearest_to_them_with_a_note(inputs):
    tree = tree_of(inputs)
    inner = int(np.flatnonzero(tree.level == 1)[0])
    found, [note] = resolve({"sums and such": 1.0}, inputs, lambda _: tree.vectors[[inner]])
    assert found == {tree.node_ids[inner]: 1.0}
    assert "'sums and such'" in note
    assert tree.paths[inner] in note


def test_words_near_no_concept_are_an_unknown_name(inputs):
    with pytest.raises(UserError, match="there is no node of the tree named 'quark'") as error:
        resolve({"quark": 1.0}, inputs, lambda texts: -tree_of(inputs).vectors[[-1]].repeat(len(texts), 0))
    assert "Nearest in meaning" in str(error.value)


def test_a_misspelt_name_is_an_error_even_where_its_meaning_is_near(inputs):
    tree = tree_of(inputs)
    inner = int(np.flatnonzero(tree.level == 1)[0])
    name = tree.paths[inner].rsplit(" > ", 1)[-1]
    wrong = name[:-1] + "_"
    with pytest.raises(UserError, match=f"named '{wrong}'.*Did you mean") as error:
        resolve({wrong: 1.0}, inputs, lambda _: tree.vectors[[inner]])
    assert repr(name) in str(error.value)
