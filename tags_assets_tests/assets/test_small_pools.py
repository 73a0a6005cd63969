"""Pools of one row, of rows all alike, of one tag, of nothing: each asset makes its table or says why not."""

from __future__ import annotations

import json

import pytest
import yaml

from tags_assets.errors import UserError
from tags_assets.graph.runner import run_target
from tags_assets.settings.home import Home
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets.store.opening import open_store
from tags_assets_tests.assets.test_graph import Silent

PLANTS = {"instruction": "How does photosynthesis work?", "output": "Plants turn light into sugar."}
LISTS = {"instruction": "Reverse a list in Python.", "output": "Write items[::-1]: it is a reversed copy."}
SUMS = [{"instruction": f"What is {i} plus {3 * i}?", "output": f"It is {4 * i}."} for i in range(40)]
ONE_TAG = [{"instruction": f"Question {i}", "output": f"Reply {i}", "tags": ["algebra"]} for i in range(20)]
TARGETS = {
    "examples": {"examples": "examples.jsonl"},
    "description": {"description": "how plants live"},
    "pool": {"pool": True},
}


def selected(folder, rows, target="pool", **settings):
    """Rows selected of a pool of these rows."""
    home = Home(folder / "home").prepare()
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "examples.jsonl").write_text(json.dumps(PLANTS | {"output": "By light."}) + "\n")
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump({"budget": {"rows": 1}, "target": TARGETS[target]}))
    pool = home.pool("default").model_copy(update={"paths": [str(folder / "rows.jsonl")], **settings})
    home.save_pool("default", pool)
    runs = run_target(home, TargetRegistry(home).name(str(file), None), Silent())
    made = {run.asset: run.data_version for run in runs}
    store = open_store(home.path)
    return len(store.read("selected_subset", partition="small", data_version=made["selected_subset"]))


@pytest.mark.parametrize("target", TARGETS)
def test_two_rows_are_a_pool_for_every_kind_of_target(tmp_path, target):
    assert selected(tmp_path, [PLANTS, LISTS], target) == 1


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        ([PLANTS], {}),
        ([PLANTS] * 30, {}),
        (ONE_TAG, {"columns": {"tags": "tags"}}),
    ],
    ids=["one row", "all duplicates", "one tag"],
)
def test_one_row_one_tag_and_duplicates_are_a_pool(tmp_path, rows, settings):
    assert selected(tmp_path, rows, **settings) == 1


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        (SUMS, {}, "no row has a concept to select by"),
        ([PLANTS, LISTS], {"filters": {"all": "prompt_tokens > 0"}}, "your rules take every row out"),
    ],
    ids=["rows without a concept", "all filtered"],
)
def test_where_nothing_can_be_selected_one_line_says_why(tmp_path, rows, settings, said):
    with pytest.raises(UserError, match=said) as error:
        selected(tmp_path, rows, **settings)
    assert "defect" not in str(error.value)
    assert "\n" not in str(error.value)
