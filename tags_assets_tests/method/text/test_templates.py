from __future__ import annotations

import numpy as np
import polars as pl

from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.objective import Objective
from tags_assets.method.selection.request import EVERY
from tags_assets.method.selection.solver import maximise
from tags_assets.method.text.templates import templates


def test_prompts_that_begin_alike_but_for_numbers_and_names_are_of_one_template():
    prompts = [
        "In a test Leo scored 62, 76 and 71 points. What is the mean?",
        "In a test Mia scored 8, 9 and 10 points. Which score gives 9?",
        "What is 3 plus 4?",
        "What is 12 plus 70?",
        "Hi",
        "Hi",
        "Explain photosynthesis to a child of ten years",
    ]
    rows = pl.DataFrame({"instance_id": [str(i) for i in range(len(prompts))], "prompt": prompts})
    found = dict(templates(rows).iter_rows())
    assert sorted(found) == ["0", "1", "2", "3"]
    assert found["0"] == found["1"] != found["2"] == found["3"]
    assert templates(rows.head(0)).is_empty()


def test_a_cap_on_every_template_holds_and_leaves_rows_alone_that_are_of_none():
    template = np.array(["a"] * 10 + ["b"] * 10 + [""] * 10)
    value = np.repeat([3.0, 2.0, 1.0], 10)
    caps = {"template": {EVERY: 0.2}}
    constraints = build_constraints(30, 12, attributes={"template": template}, max_share=caps)
    none = np.zeros(0)
    alike = Objective(
        np.zeros(31, dtype=np.int64), none.astype(np.int32), none.astype(np.float32), none, none, value
    )
    picked = template[maximise(alike, constraints).rows]
    assert np.unique(picked, return_counts=True)[1].tolist() == [8, 2, 2]
    small = build_constraints(30, 4, attributes={"template": template}, max_share=caps)
    picked = template[maximise(alike, small).rows]
    assert np.unique(picked, return_counts=True)[1].tolist() == [2, 1, 1], (
        "one row of a template is never too many"
    )
