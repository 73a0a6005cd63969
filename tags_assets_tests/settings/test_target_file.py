from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tags_assets.errors import UserError
from tags_assets.method.selection.request import Budget, MaxKL
from tags_assets.settings.budget_text import parse_budget
from tags_assets.settings.target_file import (
    TargetSpec,
    find_targets,
    load_target,
    resolve_target,
    slug,
)

WHOLE = """\
budget: {fraction: 0.05}
breadth: 0.3
alignment: 0.5
target:
  examples: dev.jsonl
constraints:
  max_share: {source: {alpaca: 0.3}, language: {no: 0.4}}
  min_share: {language: {de: 0.05}}
  include: ["id-1", 12]
  exclude: {where: "response_tokens > 4096"}
min_quality: 0.2
seed: 0
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "dev.jsonl").write_text("{}\n")

    def write(text, name="grade_school.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refused(path):
    with pytest.raises(UserError) as caught:
        load_target(path)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


def test_every_field_is_read(write, tmp_path):
    spec = load_target(write(WHOLE))
    assert spec.name == "grade_school"
    assert spec.method_budget == Budget(fraction=0.05)
    assert (spec.breadth, spec.method_alignment, spec.min_quality, spec.seed) == (0.3, 0.5, 0.2, 0)
    assert spec.target.kind == "examples"
    assert spec.examples_source == str(tmp_path / "dev.jsonl")
    assert spec.files == (tmp_path / "grade_school.yaml", tmp_path / "dev.jsonl")
    assert spec.constraints.max_share == {"source": {"alpaca": 0.3}, "language": {"no": 0.4}}
    assert spec.constraints.include == ("id-1", "12")
    assert spec.constraints.exclude.where == "response_tokens > 4096"


def test_what_is_left_out_takes_the_defaults(write):
    spec = load_target(write("target: pool\n"))
    assert spec.target.kind == "pool"
    assert spec.budget is None
    assert spec.method_budget == Budget(fraction=0.05)
    assert spec.constraints.include == ()
    assert TargetSpec.of_pool().name == "pool"
    assert TargetSpec.of_pool().files == ()


def test_other_forms_are_read(write):
    spec = load_target(
        write(
            "target: {weights: {maths: 0.7, 'programming > python': .3}}\n"
            "budget: 2Mtok\nalignment: {max_kl: 0.1}"
        )
    )
    assert spec.target.weights == {"maths": 0.7, "programming > python": 0.3}
    assert spec.method_budget == Budget(tokens=2_000_000)
    assert spec.method_alignment == MaxKL(0.1)
    assert load_target(
        write("target: {description: grade-school maths}\nbudget: 5%")
    ).method_budget == Budget(fraction=0.05)


def test_a_file_of_examples_is_a_target_with_everything_by_default(write, tmp_path):
    spec = load_target(write("{}", name="GSM8K dev.jsonl.gz"))
    assert spec.name == "gsm8k_dev"
    assert spec.examples_source == str(tmp_path / "GSM8K dev.jsonl.gz")
    assert spec.files == (tmp_path / "GSM8K dev.jsonl.gz",)


def test_the_command_line_overrides_the_budget(write):
    spec = load_target(write(WHOLE)).with_budget(Budget(rows=7))
    assert spec.method_budget == Budget(rows=7)
    assert spec.breadth == 0.3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("targt: pool", ":1: targt: there is no such field. Did you mean target?"),
        ("target: pool\nbreath: 1", ":2: breath: there is no such field. Did you mean breadth?"),
        ("target: pool\nname: x", ":2: name: there is no such field. Known are budget, breadth,"),
        (
            "target: pool\nconstraints:\n  max_shares: {}",
            ":3: constraints.max_shares: there is no such field. Did you mean max_share?",
        ),
        (
            "target: pool\nalignment: {max_lk: 1}",
            ":2: alignment.max_lk: there is no such field. Did you mean max_kl?",
        ),
        ("breadth: 1", ":1: target: is missing. Say what is wanted"),
        ("target: maths", ":1: target: say which kind: {examples: maths}"),
        (
            "target: {examples: dev.jsonl, pool: true}",
            "one of examples, weights, description and pool, not examples and pool",
        ),
        ("target: {examples: nope.jsonl}", "there is no file"),
        ("target: {weights: {a: -1}}", ":1: target.weights.a: -1 is too low: it must be at least 0"),
        ("target: {weights: {}}", ":1: target.weights: is empty"),
        ("target: pool\nbudget: {fraction: 2}", ":2: budget.fraction: 2 is too high: it must be at most 1"),
        (
            "target: pool\nbudget: {rows: 5, tokens: 3}",
            ":2: budget: one of fraction, rows and tokens, not rows and tokens",
        ),
        ("target: pool\nbudget: {rows: 1.5}", ":2: budget.rows: 1.5 is not a whole number"),
        ("target: pool\nbudget: lots", ":2: budget: 'lots' is not a budget"),
        ("target: pool\nbudget: true", ":2: budget: write {fraction: 0.05}"),
        ("target: pool\nalignment: 3", ":2: alignment: 3 is too high"),
        ("target: pool\nalignment: true", ":2: alignment: must be a number, not true or false"),
        ("target: pool\nmin_quality: high", ":2: min_quality: must be a number, not 'high'"),
        ("target: pool\nseed: -1", ":2: seed: -1 is too low"),
        (
            "target: pool\nconstraints:\n  exclude: a > 3",
            ":3: constraints.exclude: must be a mapping, not 'a > 3'",
        ),
        ("target: pool\nconstraints: {include: id}", ":2: constraints.include: must be a list, not 'id'"),
        (
            "target: pool\nconstraints:\n  max_share:\n    source:\n      a: 1.5",
            ":5: constraints.max_share.source.a: 1.5 is too high",
        ),
        (
            "target: pool\nconstraints:\n  min_share: {a: {b: .5}}\n  max_share: {a: {b: .4}}",
            "a=b has min_share 0.5 above its max_share 0.4",
        ),
        ("target: pool\nconstraints:\n  min_share: {a: {b: .5, c: .6}}", "min_share of a adds up to 1.1"),
        ("target: pool\n\ntarget: pool", ":3: 'target' is given twice, also in line 1"),
        ("target: pool\nbudget:", ":2: 'budget' has no value"),
        ("target: [", ":1: is not valid YAML"),
        ("target: pool\n\tbudget: 3", "is not valid YAML"),
        ("target: !!python/object:os.system {}", ":1: is not valid YAML: the tag"),
        ("", ": is empty"),
        ("- a", ": is not a mapping"),
        ("target: &a [*a]", ":1: an alias stands for what it is part of"),
        (b"target: pool\n# \xff\xfe", ":2: is not UTF-8 text"),
        ('target: {description: "a\x00b"}', ":1: has the character U+0000"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(write, text, said):
    assert said in refused(write(text))


def test_names_are_slugs_and_pool_is_taken(write):
    assert slug("Maths (v2)") == "maths_v2"
    assert slug("Größe 2") == "grosse_2"
    with pytest.raises(UserError, match="taken by the pool itself"):
        load_target(write("target: pool", name="Pool.yaml"))
    with pytest.raises(UserError, match="no letter or digit"):
        load_target(write("target: pool", name="!!.yaml"))


def test_two_files_of_one_name_are_an_error(write, tmp_path):
    write("target: pool", name="maths-v2.yaml")
    assert list(find_targets(tmp_path).found) == ["maths_v2"]
    write("target: pool", name="Maths V2.yml")
    write("target: pool", name="日本語.yaml")
    write("target: " + "[" * 20_000, name="deep.yaml")
    found, problems = find_targets(tmp_path)
    assert list(found) == ["deep", "maths_v2"]
    said = "; ".join(map(str, problems))
    assert "has the same name, 'maths_v2', as" in said
    assert "日本語.yaml: the name '日本語' has no letter or digit of ASCII" in said
    assert find_targets(tmp_path / "nowhere") == ({}, ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("breadth: .inf", "breadth: inf is not a finite number"),
        ("breadth: 1e308", "is too high"),
        ("text_share: .nan", "nan is not a finite number"),
        ("certificate: .nan", "nan is not a finite number"),
        ("alignment: {max_kl: .inf}", "inf is not a finite number"),
        ("budget: {rows: 99999999999999999999999}", "is too high"),
        ("budget: {rows: 1e300}", "is too large"),
        ("budget: 9999999999999999999999G", "is too large"),
        ("limits: {kl: 3}", "limits.kl: there is no such field"),
        ("limits: {kl_above_floor: .inf}", "inf is not a finite number"),
    ],
)
def test_numbers_that_nobody_means_are_one_line(write, text, said):
    with pytest.raises(UserError, match=re.escape(said)):
        load_target(write(f"target: pool\n{text}"))


@pytest.mark.parametrize("weights", ["{a: .inf}", "{a: 1e308, b: 1e308}", "{a: 0}"])
def test_weights_that_no_distribution_has_are_one_line(write, weights):
    with pytest.raises(UserError, match=r"not a finite number|is too high|every weight is 0"):
        load_target(write(f"target: {{weights: {weights}}}"))


def test_a_target_is_found_by_path_or_by_name(write, tmp_path):
    path = write("target: pool", name="maths.yaml")
    assert resolve_target(str(path), tmp_path) == path
    assert resolve_target("maths", tmp_path) == path
    assert resolve_target("Maths", tmp_path) == path
    with pytest.raises(UserError, match="Did you mean 'maths'"):
        resolve_target("math", tmp_path)
    with pytest.raises(UserError, match="there is no such file"):
        resolve_target("nowhere/x.yaml", tmp_path)


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("5%", Budget(fraction=0.05)),
        ("0.5 %", Budget(fraction=0.005)),
        ("100%", Budget(fraction=1.0)),
        ("5000", Budget(rows=5000)),
        ("10k", Budget(rows=10_000)),
        ("1.5k rows", Budget(rows=1500)),
        ("2Mtok", Budget(tokens=2_000_000)),
        ("2_000_000 tokens", Budget(tokens=2_000_000)),
        ("1,000", Budget(rows=1000)),
    ],
)
def test_budgets_are_read(text, budget):
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text", ["", "x", "0", "-3", "0%", "101%", "5k%", "1.5", "0.5", "tok", "1e5", "5 %%"]
)
def test_other_budgets_are_refused(text):
    with pytest.raises(UserError):
        parse_budget(text)


@given(st.text(max_size=12))
def test_no_text_breaks_the_reading_of_a_budget(text):
    with suppress(UserError):
        assert parse_budget(text) is not None


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000 + "b", "\\uD800", "~nobody-of-this-name/x"])
def test_examples_of_a_name_that_no_file_may_have_are_one_line(tmp_path, name):
    file = tmp_path / "t.yaml"
    file.write_text(f'target: {{examples: "{name}"}}')
    with pytest.raises(UserError) as error:
        load_target(file)
    assert len(str(error.value)) < 4000
    with pytest.raises(UserError):
        resolve_target(name, tmp_path)
    file.write_text(f"target: {'a' * 70_000}")
    with pytest.raises(UserError, match="say which kind") as error:
        load_target(file)
    assert len(str(error.value)) < 1000
    file.write_text('target: "\\uD800"')
    with pytest.raises(UserError, match="say which kind"):
        load_target(file)
