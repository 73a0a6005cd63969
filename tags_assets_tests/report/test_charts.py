"""Plots are valid plotly.js figures of the numbers that they are given."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tags_assets.report import charts
from tags_assets.report.concepts import concept_shares, partition
from tags_assets_tests.report.fixtures import HOSTILE, sample_report


@pytest.fixture(scope="module")
def report():
    return sample_report()


def all_charts(report):
    shares = concept_shares(report.nodes, report.masses)
    pool = report.pool
    quality = pool["quality"].to_numpy()
    lengths = pool["prompt_tokens"].to_numpy().astype(float)
    return {
        "gain": charts.gain_curve(report.gain_curve, 200)[0],
        "asked": charts.asked_and_reached(partition(shares)),
        "quality": charts.histogram(quality, quality[:50], title="quality"),
        "lengths": charts.histogram(lengths, lengths[:50], title="tokens", logarithmic=True),
        "sources": charts.shares(pool, "source")[0],
        "coverage": charts.coverage(report.diversity),
        "saturation": charts.saturation_bars(charts.saturation_classes(report.saturation)),
    }


def test_every_plot_passes_plotlys_own_validation(report):
    go = pytest.importorskip("plotly.graph_objects")
    for chart in all_charts(report).values():
        go.Figure(data=chart["data"], layout=chart["layout"])


def test_labels_from_rows_cannot_be_read_as_markup():
    for text in HOSTILE:
        assert "<" not in charts.axis_label(text)
        assert len(charts.axis_label("x" * 100)) == charts.LONGEST_LABEL


def test_gain_curve_is_scaled_to_the_budget_and_says_what_other_budgets_give():
    curve = pl.DataFrame({"rows": range(1, 401), "value": np.sqrt(np.arange(1, 401))})
    _, table = charts.gain_curve(curve, 100)
    said = dict(table)
    assert said[100] == pytest.approx(1.0)
    assert said[25] == pytest.approx(0.5)
    assert said[400] == pytest.approx(2.0)


def test_knee_is_where_the_curve_bends_most():
    x = np.linspace(0, 10, 1001)
    assert charts.knee(x, np.minimum(x, 2.0)) == pytest.approx(2.0)


def test_histogram_counts_every_row_once():
    rng = np.random.default_rng(0)
    pool, chosen = rng.lognormal(3, 2, 5000), rng.lognormal(3, 2, 300)
    for logarithmic in (False, True):
        for trace in charts.histogram(pool, chosen, title="", logarithmic=logarithmic)["data"]:
            assert sum(trace["y"][1:-1:2]) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5], [np.nan, np.inf, 0.2]])
def test_histogram_of_little_or_odd_data_is_drawn(values):
    data = np.array(values, dtype=float)
    charts.histogram(data, data, title="x")
    charts.histogram(data, data[:0], title="x", logarithmic=True)


def test_values_beyond_a_dozen_are_put_together(report):
    chart, table = charts.shares(report.pool, "source")
    assert table.height == charts.BARS_SHOWN
    assert table["value"][-1] == "4 others"
    assert table["pool"].sum() == pytest.approx(1.0)
    assert table["selection"].sum() == pytest.approx(1.0)
    assert len(chart["data"][0]["x"]) == charts.BARS_SHOWN


def test_saturation_classes_count_every_concept_once(report):
    classes = charts.saturation_classes(report.saturation)
    counted = classes.select(pl.sum_horizontal(charts.SATURATION_CLASSES)).to_series()
    assert counted.to_list() == classes["nodes"].to_list()
