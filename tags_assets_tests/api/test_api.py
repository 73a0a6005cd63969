"""The Python API answers as the command line does, from one home."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing

import polars as pl
import pytest

import tags_assets
from tags_assets.errors import InvalidInputError, NotFoundError, UserError
from tags_assets.explanation.knobs import KNOBS, Knobs
from tags_assets.report.charts import COLOUR_SCALE
from tags_assets.store.opening import open_store
from tags_assets_tests.requirements_of_tests import CHECKOUT

FUNCTIONS = sorted(name for name in set(tags_assets.__all__) - {"__version__"} if name.islower())


@pytest.fixture
def home(selected_home, monkeypatch):
    monkeypatch.setenv("TAGS_HOME", str(selected_home))
    return selected_home


def test_the_package_is_imported_in_no_time():
    program = (
        "import sys, tags_assets\n"
        "assert 'tags_assets.errors' not in sys.modules\n"
        "assert not {'polars', 'numpy', 'duckdb', 'dagster'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_function_is_typed_and_documented():
    assert len(FUNCTIONS) == 14
    page = (CHECKOUT / "docs" / "python.md").read_text(encoding="utf-8")
    for name in FUNCTIONS:
        function = getattr(tags_assets, name)
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(of.annotation is not of.empty for of in signature.parameters.values())
        assert "Parameters" in function.__doc__, name
        assert f"`{name}" in page, name


def test_what_is_not_there_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'selekt'"):
        _ = tags_assets.selekt


def test_keywords_are_the_knobs_of_the_command_line():
    assert list(typing.get_type_hints(Knobs, localns=vars(typing))) == list(KNOBS)


def test_versions_and_load_read_what_is_stored(home):
    store = open_store(home)
    listed = tags_assets.versions("selected_subset")
    assert listed["current"].to_list() == [True]
    version = listed["version"][0]
    assert tags_assets.load("selected_subset", "maths", version=version[:6]).equals(
        store.read("selected_subset", partition="maths")
    )
    assert tags_assets.load("knowledge_tree", table="tags").columns[:2] == ["tag", "node_id"]
    assert tags_assets.load("raw_instances", columns=["id"], home=str(home)).width == 1


@pytest.mark.parametrize(
    ("arguments", "kind", "fix"),
    [
        (("selected",), NotFoundError, "Did you mean 'selected_subset'"),
        (("selected_subset",), InvalidInputError, "Name one of: maths"),
        (("selected_subset", "math"), NotFoundError, "Did you mean 'maths'"),
        (("raw_instances", "maths"), InvalidInputError, "Leave the target out"),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_wrong_name_is_one_line(arguments, kind, fix):
    with pytest.raises(kind, match=fix):
        tags_assets.load(*arguments)


def test_a_home_without_artifacts_is_said(tmp_path):
    with pytest.raises(UserError, match="no artifact in this home"):
        tags_assets.open_home(tmp_path)


@pytest.mark.usefixtures("home")
def test_query_sees_assets_and_views():
    answer = tags_assets.query(
        "select count(*) as n from why_selected where target = $target and rank = 1", {"target": "maths"}
    )
    assert answer["n"][0] > 0


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("sql", "params"),
    [("selec 1", None), ("from nothing_of_this_name", None), ("select $a", None), ("select 1", {"b": 2})],
)
def test_a_wrong_query_is_one_line(sql, params):
    with pytest.raises(UserError, match="Error: ") as raised:
        tags_assets.query(sql, params)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("home")
def test_tree_is_that_of_the_table():
    tree = tags_assets.tree()
    assert sorted(tree.node_ids) == sorted(tags_assets.load("knowledge_tree")["node_id"])


@pytest.mark.usefixtures("home")
def test_select_turns_knobs_and_keeps_the_others():
    selected = tags_assets.select("maths", budget=5, max_share={"source": {"maths": 0.4}})
    assert selected.rows.height == 5
    assert selected.rows.filter(pl.col("source") == "maths").height == 2
    assert selected.figures["alignment"] == 0.7


@pytest.mark.usefixtures("home")
def test_what_if_compares_the_selection_that_select_makes():
    answer = tags_assets.what_if(budget=5)
    assert answer.selected.rows.equals(tags_assets.select(budget=5).rows)
    assert "budget 12 rows -> 5 rows" in str(answer)


@pytest.mark.usefixtures("home")
def test_rows_are_explained_in_and_out():
    picked = tags_assets.load("selected_subset", "maths")["instance_id"]
    assert tags_assets.explain(picked[0]).selected
    out = tags_assets.why_not("maths")
    assert out.height + len(picked) == 75  # every line of the pool is in or is told why not
    assert set(out["why"]) >= {"rejected", "duplicate", "not_picked"}
    missing = out.filter(pl.col("why") == "not_picked")["id"][0]
    [one] = tags_assets.why_not("maths", [missing]).iter_rows(named=True)
    assert one["id"] == missing
    assert not tags_assets.explain(missing).selected


@pytest.mark.usefixtures("home")
def test_a_concept_is_explained_by_the_rows_that_it_brought_in():
    leaf = tags_assets.load("selection_attribution", "maths").sort("amount")["node_id"][-1]
    assert tags_assets.explain_concept(leaf, "maths").rows.height > 0


@pytest.mark.usefixtures("home")
def test_a_selection_is_compared_with_itself():
    assert tags_assets.compare("maths", "maths").overlap == 1.0


@pytest.mark.usefixtures("home")
def test_plots_are_figures_that_plotly_takes():
    sizes = tags_assets.plot_tree().to_dict()["data"][0]
    assert sizes["type"] == "treemap"
    assert sizes["parents"].count("") == 1
    # The report's colours, and the same way round: orange has less, blue has more.
    assert [list(step) for step in sizes["marker"]["colorscale"]] == COLOUR_SCALE
    assert (COLOUR_SCALE[0][1], COLOUR_SCALE[-1][1]) == ("#8a4500", "#084a86")
    gain = tags_assets.plot_gain("maths")
    assert max(gain.data[0].x) == 12
    assert {trace.name for trace in tags_assets.plot_concepts("maths").data} >= {
        "pool",
        "target",
        "selection",
    }
    against_target = tags_assets.plot_tree(against="target").data[0]
    assert list(against_target.marker.colors) != list(tags_assets.plot_tree().data[0].marker.colors)
