"""Nodes as a user names them: by name, by path or by id."""

from __future__ import annotations

import numpy as np
import pytest

from tags_assets.errors import UserError
from tags_assets.method.tree.nodes_by_name import find_node
from tags_assets_tests.method.selection.problems import small_tree


def test_nodes_are_found_by_name_path_or_id_and_ambiguous_names_list_their_paths():
    names = (
        "sums",
        "sums",
        "sums",
        "sums",
        "tides",
        "rain",
        "mathematics",
        "python",
        "weather",
        "everything",
    )
    tree = small_tree((6, 3), names=names)
    by_path = {path: v for v, path in enumerate(tree.paths)}
    assert find_node("n3", tree) == 3
    assert find_node("  PYTHON ", tree) == 7
    deep = next(path for path in by_path if " > " in path)
    assert find_node(deep.replace(" > ", ">"), tree) == by_path[deep]
    with pytest.raises(UserError, match=r"'sums' names \d nodes: .*Give the path or the node id"):
        find_node("sums", tree)


def test_of_nodes_of_one_name_above_each_other_the_highest_is_meant():
    names = (
        "python",
        "lists",
        "areas",
        "loops",
        "tides",
        "rain",
        "mathematics",
        "python",
        "weather",
        "everything",
    )
    tree = small_tree((6, 3), names=names, seed=3)
    child = int(np.flatnonzero(tree.parent == 7)[0])
    nested = tuple("python" if v in {child, 7} else f"other {v}" for v in range(10))
    assert find_node("python", small_tree((6, 3), names=nested, seed=3)) == 7
