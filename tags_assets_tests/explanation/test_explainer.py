"""Explanations are read from one consistent world and add up."""

from __future__ import annotations

import io
from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from rich.console import Console

from tags_assets.errors import UserError
from tags_assets.explanation.explainer import explain_row, why_node
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.versions import VersionRecord
from tags_assets_tests.sql.pool import HOSTILE, lineage_tables

UPSTREAM = {
    "selected_subset": (
        "raw_instances",
        "knowledge_tree",
        "grounded_instances",
        "instance_scores",
        "target_distribution",
    ),
    "selection_attribution": ("selected_subset",),
    "grounded_instances": ("instance_tags", "knowledge_tree"),
    "instance_tags": ("atomic_tags", "tag_vocabulary"),
}
AUXILIARY = {
    "knowledge_tree_tags": ("knowledge_tree", "tags"),
    "tag_vocabulary_aliases": ("tag_vocabulary", "aliases"),
}
ORDER = (
    *("raw_instances", "rejected_rows", "filtered_rows", "atomic_tags", "tag_vocabulary", "instance_tags"),
    *("knowledge_tree", "grounded_instances", "instance_scores"),
    *("target_distribution", "selected_subset", "selection_attribution"),
)


def stored(home, tables, version="v1"):
    """Write tables as versions whose records name each other, as the assets do."""
    store = ArtifactStore(home)
    for asset in ORDER:
        record = VersionRecord(
            upstream=dict.fromkeys(UPSTREAM.get(asset, ()), version), metadata={"figures": {"rows": 1}}
        )
        extra = {aux: tables[name] for name, (owner, aux) in AUXILIARY.items() if owner == asset}
        frame = tables[asset]
        if "target" in frame.columns:
            for (target,), part in frame.group_by("target", maintain_order=True):
                more = {}
                if asset == "selected_subset":
                    own = tables["selected_subset_left_out"].filter(pl.col("target") == target)
                    more = {"runners_up": runners_up(tables, target), "left_out": own}
                store.write(asset, version, {"data": part, **more}, partition=target, record=record)
        else:
            store.write(asset, version, {"data": frame, **extra}, record=record)
    return store


def runners_up(tables, target):
    picked = tables["selected_subset"].filter(pl.col("target") == target)
    left = tables["instance_scores"].join(picked, on="instance_id", how="anti").head(2)
    return left.select(
        "instance_id", pl.lit(0.01).alias("gain"), pl.lit(picked["instance_id"][0]).alias("beaten_by")
    )


@pytest.fixture(scope="module")
def tables():
    return lineage_tables()


@pytest.fixture(scope="module")
def store(tables, tmp_path_factory):
    return stored(tmp_path_factory.mktemp("home"), tables)


@pytest.fixture(scope="module")
def pick(tables):
    return tables["selected_subset"].filter(pl.col("target") == "maths").row(0, named=True)


def test_parts_and_tags_of_a_pick_each_add_up_to_its_gain(store, pick):
    one = explain_row(store, pick["instance_id"], "maths")
    assert one.selected
    assert one.rank == pick["rank"]
    assert one.gain == pytest.approx(pick["gain"])
    assert one.parts["amount"].sum() == pytest.approx(pick["gain"])
    assert one.tag_shares["amount"].sum() == pytest.approx(pick["gain"])
    assert one.parts.select(
        pl.sum_horizontal("gain", "closeness", "coverage")
    ).to_series().to_list() == pytest.approx(one.parts["amount"].to_list())
    assert one.parts["path"].to_list().count("whole text") == 1


def test_tags_carry_the_words_that_the_row_used(store, tables, pick):
    one = explain_row(store, pick["instance_id"], "maths")
    assert one.tags["weight"].sum() == pytest.approx(1.0)
    said = {tag for given in one.tags["given_as"] for tag in given}
    atomic = tables["atomic_tags"].filter(pl.col("instance_id") == pick["instance_id"])["tag"]
    assert said == set(atomic)


def test_row_is_found_by_its_own_id_and_by_file_and_line(store, tables):
    raw = tables["raw_instances"].row(3, named=True)
    for name in (raw["instance_id"], raw["id"], f"pool.jsonl:{raw['line']}"):
        assert explain_row(store, name, "maths").row["instance_id"] == raw["instance_id"]


@pytest.mark.parametrize(
    ("row", "why", "said"),
    [
        ("i000056", "near_duplicate", "nearly the same as i000000"),
        ("i000057", "duplicate", "the same as i000000"),
        ("i000058", "filtered", "no_pii"),
        ("i000059", "untagged", "it has no tag"),
        ("pool.jsonl:9001", "rejected", "not JSON"),
        ("mute", "rejected", "the response is empty"),
    ],
)
def test_row_that_could_not_be_picked_says_why(store, row, why, said):
    one = explain_row(store, row, "maths")
    assert not one.selected
    assert one.why == why
    assert said in one.reason
    assert said in one.to_text()


def test_row_that_lost_names_the_picks_that_cover_its_concepts(store, tables):
    close = runners_up(tables, "maths")["instance_id"][0]
    one = explain_row(store, close, "maths")
    assert one.why == "not_picked"
    assert one.would_add == pytest.approx(0.01)
    assert "It came close" in one.reason
    held = tables["grounded_instances"]
    mine = dict(held.filter(pl.col("instance_id") == close).select("node_id", "mass").iter_rows())
    for rival in one.rivals.iter_rows(named=True):
        theirs = dict(
            held.filter(pl.col("instance_id") == rival["rival_id"]).select("node_id", "mass").iter_rows()
        )
        assert rival["overlap"] == pytest.approx(
            sum(min(mine[n], theirs[n]) for n in mine.keys() & theirs.keys())
        )


def test_unknown_row_and_target_name_the_nearest(store):
    with pytest.raises(UserError, match="Did you mean 'row-1"):
        explain_row(store, "row-1111", "maths")
    with pytest.raises(UserError, match="Did you mean 'maths'"):
        explain_row(store, "row-2", "math")


def test_id_of_several_rows_lists_them(tables, tmp_path):
    twice = tables["raw_instances"].with_columns(pl.lit("same").alias("id"))
    store = stored(tmp_path, tables | {"raw_instances": twice})
    with pytest.raises(UserError, match="more than five rows have the id 'same'"):
        explain_row(store, "same", "maths")
    assert explain_row(store, "i000003", "maths").row["id"] == "same"


def test_text_of_rows_is_neither_markup_nor_terminal_code(store):
    one = explain_row(store, "i000001", "maths")
    assert one.row["id"] == HOSTILE
    text = one.to_text()
    assert "\x1b" not in text
    assert "\u202e" not in text
    out = io.StringIO()
    Console(file=out, force_terminal=False, width=300).print(one)
    assert "[bold red]" in out.getvalue()


def test_node_brings_in_the_rows_that_its_attribution_names(store, tables):
    one = why_node(store, "field 1", "maths")
    parts = tables["selection_attribution"].filter(pl.col("target") == "maths")
    of_node = parts.filter(pl.col("node_id") == "f1")
    assert one.kind == "node"
    assert one.totals["rows"].item() == of_node["instance_id"].n_unique()
    assert one.totals["amount"].item() == pytest.approx(of_node["amount"].sum())
    assert one.totals["share"].item() == pytest.approx(of_node["amount"].sum() / parts["amount"].sum())
    assert "field 1" in one.to_text()


def test_node_is_found_by_path_id_and_last_steps(store):
    for name in ("f1l2", "field 1 > concept 1.2", "CONCEPT 1.2"):
        assert why_node(store, name, "maths").key == "f1l2"


def test_tag_and_its_alias_bring_in_the_same_rows_in_every_target(store):
    one, other = why_node(store, "tag 1.1.1"), why_node(store, "tag 1.1.1s")
    assert one.kind == other.kind == "tag"
    assert_frame_equal(one.rows, other.rows)
    assert set(one.totals["target"]) == {"maths", "pool"}


def test_unknown_concept_names_the_nearest(store):
    with pytest.raises(UserError, match="Did you mean 'field 1'"):
        why_node(store, "field 11", "maths")


def test_selection_is_explained_against_the_tree_that_it_was_made_with(tables, tmp_path, pick):
    store = stored(tmp_path, tables)
    renamed = tables["knowledge_tree"].with_columns(pl.col("path") + " (rebuilt)")
    store.write("knowledge_tree", "v2", {"data": renamed, "tags": tables["knowledge_tree_tags"]})
    one = explain_row(store, pick["instance_id"], "maths")
    assert one.versions["knowledge_tree"] == "v1"
    assert not any("rebuilt" in path for path in one.parts["path"])


def test_selection_without_its_attribution_says_what_is_missing(tables, tmp_path, pick):
    store = stored(tmp_path, tables)
    later = tables["selected_subset"].filter(pl.col("target") == "maths")
    record = VersionRecord(upstream=dict.fromkeys(UPSTREAM["selected_subset"], "v1"))
    store.write("selected_subset", "v2", {"data": later}, partition="maths", record=record)
    with pytest.raises(UserError, match="selection_attribution has not been made yet"):
        explain_row(store, pick["instance_id"], "maths", data_version="v2")
    # Who names no version asks while a run is between the two: the selection before is explained.
    now = explain_row(store, pick["instance_id"], "maths")
    assert (now.versions["selected_subset"], now.rank) == ("v1", pick["rank"])


def test_a_row_that_the_targets_own_file_leaves_out_says_so(tmp_path, tables):
    store = stored(tmp_path, tables)
    own = tables["selected_subset_left_out"]
    for row in own.iter_rows(named=True):
        one = explain_row(store, row["instance_id"], row["target"])
        assert one.why == row["why"]
        assert row["detail"] in one.reason
        assert "The target's file excludes it" in one.to_text()


def test_a_selection_of_older_code_is_explained_without_the_table(tmp_path, tables):
    store = stored(tmp_path, tables)
    version = store.current("selected_subset", "maths")
    only = {"data": tables["selected_subset"].filter(pl.col("target") == "maths")}
    store.write("selected_subset", "v0", only, partition="maths", record=version.record)
    excluded = tables["selected_subset_left_out"]["instance_id"][0]
    assert explain_row(store, excluded, "maths", data_version="v0").why == "not_picked"


def test_inferred_concepts_are_left_out_of_a_small_pools_explanation_and_still_add_up(store, pick):
    one = explain_row(store, pick["instance_id"], "maths")
    assert not one.shows_inferred
    assert set(one.tags.filter("inferred")["origin"]) <= {"assigned"}
    assert set(one.tags.filter(~pl.col("inferred"))["origin"]) <= {"extracted"}
    assert one.tags["inferred"].any()
    inferred = one.tags.filter("inferred")["tag"]
    section = one.to_text().split("\nTags\n")[1].split("\n\n")[0]
    assert not any(f"  {tag} (" in section for tag in inferred)
    assert f"{len(inferred)} inferred, not shown: unreliable in a pool of under 5,000 rows" in section


def test_inferred_concepts_of_a_large_pool_are_marked(store, pick):
    one = replace(explain_row(store, pick["instance_id"], "maths"), shows_inferred=True)
    text = one.to_text()
    for tag, inferred in one.tags.select("tag", "inferred").iter_rows():
        assert f"{tag} ({'inferred' if inferred else 'extracted'}" in text
    for tag in one.tag_shares.filter("inferred")["tag"]:
        assert f"  {tag} (inferred)" in text
    assert "not shown" not in text


def test_a_concept_is_marked_inferred_where_most_of_the_weight_below_it_is(store, tables, pick):
    one = explain_row(store, pick["instance_id"], "maths")
    tags = tables["instance_tags"].filter(pl.col("instance_id") == pick["instance_id"])
    at_leaf = tags.join(tables["knowledge_tree_tags"], on="tag").group_by("node_id")
    share = dict(
        at_leaf.agg(
            (pl.col("weight") * (pl.col("origin") == "assigned")).sum() / pl.col("weight").sum()
        ).iter_rows()
    )
    leaves = one.parts.filter(pl.col("level") == 0)
    assert leaves.height > 0
    for node, inferred in leaves.select("node_id", "inferred").iter_rows():
        assert inferred == (share[node] > 0.5)
    assert not one.parts.filter(pl.col("path") == "whole text")["inferred"].any()


def test_matches_of_a_concept_that_are_inferred_are_marked(store, tables):
    one = why_node(store, "tag 1.1.1")
    origin = tables["instance_tags"].filter(pl.col("tag") == "tag 1.1.1").select("instance_id", "origin")
    of_rows = one.rows.join(origin, on="instance_id", maintain_order="left")
    assert of_rows["inferred"].to_list() == (of_rows["origin"] == "assigned").to_list()
    hidden = one.rows["inferred"].sum()
    assert (f"{hidden} inferred, not shown" in one.to_text()) == (hidden > 0)
    marked = replace(one, shows_inferred=True).to_text()
    assert marked.count("(inferred)") == hidden


def test_a_row_without_a_near_pick_does_not_deny_what_is_listed_below(store, tables):
    """Picks that share a little are listed: the sentence above them must not say that there are none."""
    out = tables["instance_scores"].join(
        tables["selected_subset"].filter(pl.col("target") == "maths"), on="instance_id", how="anti"
    )
    for row in out["instance_id"]:
        one = explain_row(store, row, "maths")
        assert "No pick is about the same things" not in one.to_text()
