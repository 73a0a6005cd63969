"""docs/benchmarks.md is what the results make: no figure on it was typed."""

from __future__ import annotations

import importlib
import json
import re
import sys

import pytest

from tags_assets_tests.requirements_of_tests import CHECKOUT

BENCHMARKS = CHECKOUT / "benchmarks"


@pytest.fixture(scope="module")
def scripts():
    """The modules as their scripts import them: from their own folder."""
    before = list(sys.path)
    sys.path.insert(0, str(BENCHMARKS))
    yield {name: importlib.import_module(name) for name in ("render", "results", "run")}
    sys.path[:] = before


def test_page_is_what_the_renderer_makes_of_the_results(scripts):
    render = scripts["render"]
    assert render.PAGE.read_text(encoding="utf-8") == render.page(render.read_results()), (
        "docs/benchmarks.md is stale: run `python benchmarks/render.py`"
    )


def test_every_plot_is_drawn_from_its_result(scripts):
    render = scripts["render"]
    wanted = render.figures(render.read_results())
    stale = [
        name for name, figure in wanted.items() if not render.is_drawn(render.IMAGES / f"{name}.svg", figure)
    ]
    assert not stale, f"{stale}: run `python benchmarks/render.py`"
    assert {path.stem for path in render.IMAGES.glob("*.svg")} == set(wanted)


def test_every_result_and_plot_is_on_the_page(scripts):
    render = scripts["render"]
    text = render.PAGE.read_text(encoding="utf-8")
    template = render.TEMPLATE.read_text(encoding="utf-8")
    assert not [name for name in render.PLOTS if f'plot("{name}")' not in template]
    assert not [
        f"{name}: {title}"
        for name, result in render.read_results().items()
        for title in result["tables"]
        if not re.search(rf'table\(\s*"{name}",\s*"{re.escape(title)}"', template)
    ]
    for picture in re.findall(r"\]\((images/[^)]*)\)", text):
        assert (CHECKOUT / "docs" / picture).is_file()


def test_every_benchmark_of_the_one_command_is_there(scripts):
    for benchmark in scripts["run"].BENCHMARKS.values():
        assert (CHECKOUT / benchmark.arguments[0]).is_file()


def test_what_has_no_result_is_said_to_be_unmeasured(scripts):
    text = scripts["render"].page({})
    for benchmark in scripts["run"].BENCHMARKS.values():
        assert f"- {benchmark.asks}: *Not measured yet: `python {benchmark.arguments[0]}" in text
    assert "images/benchmarks" not in text


def test_best_cells_are_bold_and_intervals_shown(scripts, tmp_path, monkeypatch):
    results, render = scripts["results"], scripts["render"]
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    columns = {"": None, "share": 2, "near": 1}
    rows = [["a", [0.514, 0.01], 3], ["b", [0.511, 0.2], 1234.5], ["c", None, None]]
    path = results.save(
        "peers", {"t": results.Table(columns, rows, {"share": "max", "near": "min"})}, {"n": 7}
    )
    page = render.Page({"peers": json.loads(path.read_text())})
    assert page.table("peers", "t").splitlines()[2:] == [
        "| a | **0.51 ± 0.01** | **3.0** |",
        "| b | **0.51 ± 0.20** | 1,234.5 |",
        "| c |  |  |",
    ]
    assert page.cell("peers", "t", "b", "share") == "0.51"
    assert page.value("peers", "n") == "7"
    assert page.about("peers").startswith("*Measured 20")


def test_interval_is_student_s(scripts):
    mean, half = scripts["results"].interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
