from __future__ import annotations

import numpy as np
import pytest

from tags_assets.errors import UserError
from tags_assets.method.knowledge_tree import KnowledgeTree
from tags_assets.method.tree import TreeConfig, build_tree
from tags_assets.selection.ceased import check_nodes
from tags_assets.selection.inputs import Inputs
from tags_assets.store.opening import open_store
from tags_assets_tests.method.trees import small_tree, tag_names, vectors_in_groups

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


def test_nodes_that_there_are_pass(inputs):
    tree = tree_of(inputs)
    check_nodes([tree.node_ids[0], tree.paths[3]], tree, inputs, where="maths.yaml: target.weights")


def test_a_node_that_ceased_is_named_with_its_heirs_in_one_line(inputs):
    tree = tree_of(inputs)
    gone = sorted(set(BEFORE.node_ids) - set(tree.node_ids))
    assert gone
    seen = set()
    for node_id in gone:
        with pytest.raises(UserError, match="ceased to exist when the tree was built anew") as error:
            check_nodes([tree.node_ids[0], node_id], tree, inputs, where="maths.yaml: target.weights")
        text = str(error.value)
        assert text.startswith("maths.yaml: target.weights: ")
        assert "\n" not in text
        heirs = [path for path in tree.paths if f"{path!r} (" in (error.value.mend or "")]
        seen.add(bool(heirs))
        assert heirs or "Its tags are gone too" in text
    assert True in seen


def test_a_name_that_no_tree_ever_held_is_an_unknown_name(inputs):
    with pytest.raises(UserError, match="there is no node of the tree named 'quark'"):
        check_nodes(["quark"], tree_of(inputs), inputs, where="maths.yaml: target.weights")
