"""Two selections are compared by what their rows say, not by where they lie."""

from __future__ import annotations

import polars as pl
import pytest

from tags_assets.errors import UserError
from tags_assets.explanation.diff import CALLED, _change, diff
from tags_assets.explanation.lineage import Lineage
from tags_assets.store.versions import VersionRecord
from tags_assets_tests.explanation.test_explainer import UPSTREAM, stored
from tags_assets_tests.sql.pool import lineage_tables


@pytest.fixture(scope="module")
def tables():
    return lineage_tables()


@pytest.fixture(scope="module")
def store(tables, tmp_path_factory):
    """A second version of ``maths``: three picks of the first are gone, two others are in."""
    store = stored(tmp_path_factory.mktemp("home"), tables)
    maths = tables["selected_subset"].filter(pl.col("target") == "maths")
    others = (
        tables["instance_scores"]
        .join(maths, on="instance_id", how="anti")
        .head(2)
        .join(tables["raw_instances"], on="instance_id")
        .select(
            pl.lit("maths").alias("target"),
            *("instance_id", "id", pl.lit(0).alias("rank"), pl.lit(0.1).alias("gain"), "quality"),
            *("source", "language", "prompt_tokens", "response_tokens"),
        )
    )
    later = pl.concat([maths.head(5), others], how="vertical_relaxed").with_columns(
        rank=pl.int_range(1, pl.len() + 1)
    )
    record = VersionRecord(
        config={"alignment": 0.8, "budget": {"rows": 7}},
        upstream=dict.fromkeys(UPSTREAM["selected_subset"], "v1"),
    )
    store.write("selected_subset", "v2abc", {"data": later}, partition="maths", record=record)
    return store


def test_kept_dropped_and_added_rows_are_told_apart(store, tables):
    one = diff(store, "maths~1", "maths")
    before = tables["selected_subset"].filter(pl.col("target") == "maths")
    assert one.kept["instance_id"].to_list() == before["instance_id"].head(5).to_list()
    assert one.dropped["instance_id"].to_list() == before["instance_id"].tail(3).to_list()
    assert one.added.height == 2
    assert one.overlap == pytest.approx(5 / 10)
    assert "5 rows kept, 3 removed, 2 added" in one.to_text()


def test_shares_before_and_after_are_those_of_the_selections(store):
    one = diff(store, "maths~1", "maths")
    fields = one.shares.filter(pl.col("level") == 1)
    assert fields["before"].sum() == pytest.approx(1.0)
    assert fields["after"].sum() == pytest.approx(1.0)
    assert one.shares["change"].abs().is_sorted(descending=True)


def test_configuration_that_differs_is_the_reason(store):
    reasons = diff(store, "maths~1", "maths").reasons
    assert "alignment is now 0.8 (was not set)" in reasons


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("constraints.max_share.source", [], {"a": 0.5}, "max_share of source is now a 0.5 (was not set)"),
        ("constraints.exclude", {"where": "x > 1"}, None, "rows never in is no longer set (was where x > 1)"),
        ("examples", ["3700cd78"], ["41aa0b12"], "the content of the target's examples changed"),
        ("wish.description", None, "maths", "the target's description is now maths (was not set)"),
        ("breadth", 0.15, 0.3, "breadth is now 0.3 (was 0.15)"),
    ],
)
def test_settings_are_named_as_a_person_names_them(name, before, after, said):
    assert _change(name, before, after) == said


def test_no_asset_is_told_by_its_internal_name(tables, tmp_path):
    """Every asset upstream changes: none of their names may reach the terminal."""
    store = stored(tmp_path, tables)
    for asset in CALLED.keys() & tables.keys() - {"target_distribution"}:
        old = store.require(asset)
        store.write(asset, "v2", {"data": tables[asset]}, record=old.record)
    upstream = dict.fromkeys(UPSTREAM["selected_subset"], "v2") | {"target_distribution": "v1"}
    maths = tables["selected_subset"].filter(pl.col("target") == "maths")
    store.write(
        "selected_subset",
        "v2abc",
        {"data": maths},
        partition="maths",
        record=VersionRecord(upstream=upstream),
    )
    one = diff(store, "maths~1", "maths")
    assert any("the tree" in reason for reason in one.reasons)
    told = " ".join(one.reasons)
    assert [asset for asset in CALLED if asset in told] == []


def test_two_targets_can_be_compared(store):
    one = diff(store, "pool", "maths@v2")
    assert (one.a, one.b) == ("pool", "maths@v2")
    assert "the target is maths instead of pool" in one.reasons


def test_a_selection_compared_with_itself_has_not_moved(store):
    one = diff(store, "maths", "v2abc")
    assert one.dropped.is_empty()
    assert one.added.is_empty()
    assert one.overlap == 1.0


@pytest.mark.parametrize(
    ("name", "said"),
    [("math", "Did you mean 'maths'"), ("maths~9", "2 versions"), ("maths@zz", "no version named")],
)
def test_unknown_selection_is_one_clear_line(store, name, said):
    with pytest.raises(UserError, match=said):
        diff(store, name, "maths")


def test_a_reader_who_asks_why_sees_the_last_selection_that_has_its_attribution(store):
    """As while a run is between the two."""
    assert store.require("selected_subset", None, "maths").data_version == "v2abc"
    assert Lineage.of(store, "maths", attributed=True).selection.data_version == "v1"
    assert Lineage.of(store, "maths").selection.data_version == "v2abc"
    assert Lineage.of(store, "maths", "v2abc", attributed=True).selection.data_version == "v2abc"
