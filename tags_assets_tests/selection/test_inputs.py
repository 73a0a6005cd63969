"""What a target's constraints name must be there; a typo is one line with the nearest names."""

from __future__ import annotations

import polars as pl
import pytest

from tags_assets.errors import UserError
from tags_assets.selection.inputs import build_request
from tags_assets.settings.target_file import TargetSpec


@pytest.fixture
def rows():
    return pl.DataFrame(
        {
            "id": ["maths-1", "maths-2", None],
            "instance_id": ["aa1", "bb2", "cc3"],
            "source": ["gsm8k", "alpaca", "alpaca"],
            "prompt_tokens": [1, 2, 3],
            "response_tokens": [1, 2, 3],
        }
    )


def spec(**constraints):
    return TargetSpec.model_validate({"name": "maths", "target": "pool", "constraints": constraints})


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        (
            {"max_share": {"source": {"gsm8": 0.5}}},
            r"max_share.source: there is no source named 'gsm8'\. .*'gsm8k'",
        ),
        ({"min_share": {"source": {"zzz": 0.5}}}, r"no source named 'zzz'\. There are 'alpaca', 'gsm8k'"),
        ({"max_share": {"sauce": {"a": 0.5}}}, r"no column named 'sauce'\. Did you mean 'source'"),
        ({"include": ["maths-3"]}, r"include: there is no row that takes part named 'maths-3'\. .*'maths-1'"),
    ],
)
def test_a_name_that_is_not_there_is_one_line_with_those_that_are(rows, constraints, said):
    with pytest.raises(UserError, match=said):
        build_request(spec(**constraints), rows)


def test_a_row_is_found_by_its_own_id_and_by_ours(rows):
    assert build_request(spec(include=["maths-2", "cc3"]), rows).include.tolist() == [1, 2]


def test_a_cap_on_each_value_names_none(rows):
    asked = build_request(spec(max_share={"source": 0.5}), rows)
    assert list(asked.max_share) == ["source"]


def test_a_row_of_include_that_takes_no_part_is_named_as_such(rows):
    read = pl.concat(
        [rows.select("id", "instance_id"), pl.DataFrame({"id": ["twin"], "instance_id": ["dd4"]})]
    )
    for name in ("twin", "dd4"):
        with pytest.raises(UserError, match=f"the row '{name}' takes no part"):
            build_request(spec(include=[name]), rows, read)
    with pytest.raises(UserError, match="Did you mean"):
        build_request(spec(include=["maths-22"]), rows, read)
