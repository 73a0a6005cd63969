"""Knobs are read as a target's file is, and a mistake is one line."""

from __future__ import annotations

import pytest

from tags_assets.errors import UserError
from tags_assets.explanation.knobs import KNOBS, parse_changes, turned
from tags_assets.method.selection.request import Budget, MaxKL
from tags_assets.settings.target_file import NOT_ASKED, ConstraintsField, TargetSpec

CONFIG = TargetSpec.of_pool().model_dump(mode="json", exclude={"name", "path", "target"}) | {
    "constraints": {
        "max_share": {"source": {"alpaca": 0.3, "dolly": 0.4}},
        "min_share": {},
        "include": ["row-1"],
        "exclude": {"where": "line > 3"},
    }
}


def turn(*texts):
    return turned(CONFIG, parse_changes(texts), target="maths")


def test_what_is_not_named_stays():
    spec = turn("alignment=0.8")
    assert spec.alignment == 0.8
    assert spec.constraints.model_dump(mode="json") == CONFIG["constraints"]
    assert spec.name == "maths"


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("budget=3%", Budget(fraction=0.03)),
        ("budget=500", Budget(rows=500)),
        ("budget=2Mtok", Budget(tokens=2_000_000)),
        ("budget=", Budget(fraction=0.05)),
    ],
)
def test_budget_is_written_as_on_the_command_line(text, budget):
    assert turn(text).method_budget == budget


@pytest.mark.parametrize("text", ["max_kl=0.1", "alignment.max_kl=0.1"])
def test_ceiling_takes_the_place_of_the_alignment(text):
    assert turn(text).method_alignment == MaxKL(0.1)


def test_one_share_is_set_and_lifted_beside_the_others():
    assert turn("max_share.source.alpaca=0.1").constraints.max_share == {
        "source": {"alpaca": 0.1, "dolly": 0.4}
    }
    assert turn("constraints.max_share.source.dolly=").constraints.max_share == {"source": {"alpaca": 0.3}}
    assert turn("max_share=").constraints.max_share == {}


def test_a_value_may_have_dots():
    assert turn("min_share.source.my.file=0.2").constraints.min_share == {"source": {"my.file": 0.2}}


def test_rows_are_included_and_excluded():
    assert turn("include=a, b").constraints.include == ("a", "b")
    assert turn("include=").constraints.include == ()
    assert turn("exclude=turns = 2").constraints.exclude.where == "turns = 2"
    assert turn("exclude=").constraints.exclude is None


def test_every_knob_can_be_turned_back():
    assert turn(*(f"{name}=" for name in KNOBS)) == TargetSpec.of_pool().model_copy(update={"name": "maths"})


def test_python_values_are_taken_as_they_are():
    spec = turned(CONFIG, {"max_share": {"source": {"alpaca": 0.2}}, "include": ["x"], "seed": 3}, target="m")
    assert spec.constraints.max_share == {"source": {"alpaca": 0.2}}
    assert (spec.constraints.include, spec.seed) == (("x",), 3)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["alignment"], "'alignment' is not name=value"),
        (["seed=1", "seed=2"], "seed is given twice"),
        (["aligment=1"], "Did you mean 'alignment'"),
        (["alignment=1.4"], "what-if alignment: 1.4 is too high: it must be at most 1"),
        (["alignment=nan"], "what-if alignment"),
        (["breadth=x"], "what-if breadth: must be a number, not 'x'"),
        (["budget=200%"], "not between 0% and 100%"),
        (["certificate=1.2"], "what-if certificate: 1.2 is too high: it must be at most 1"),
        (["certificate=0"], "what-if certificate: 0 is too low: it must be above 0"),
        (["certificate=true"], "what-if certificate"),
        (["seed=1.5"], "1.5 is not a whole number"),
        (["max_share=0.3"], "Write max_share.source.alpaca=0.3."),
        (["min_share.source=0.3"], "min_share.source is no knob"),
        (["budget.rows=3"], "budget has nothing below it"),
        (["target=pool"], "Edit the target's file"),
        (["min_share.source.alpaca=0.9"], "min_share 0.9 above its max_share 0.3"),
    ],
)
def test_a_mistake_is_one_line(texts, said):
    with pytest.raises(UserError) as error:
        turn(*texts)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_every_field_of_a_target_but_its_wish_is_a_knob():
    fields = {*TargetSpec.model_fields, *ConstraintsField.model_fields, "max_kl"}
    assert fields - NOT_ASKED - {"constraints"} == set(KNOBS)
