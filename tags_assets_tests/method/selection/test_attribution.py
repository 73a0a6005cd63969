from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tags_assets.method.selection.attribution import (
    ATTRIBUTION_SCHEMA,
    PARTS,
    attribute,
    find_runners_up,
    lost_to_repetition,
)
from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.objective import with_texts
from tags_assets.method.selection.solver import greedy
from tags_assets_tests.method.selection.problems import random_objective, small_tree


def replay(objective, rows, n_nodes):
    return attribute(objective, rows, n_nodes=n_nodes, n_features=objective.n_features)


def test_the_parts_of_each_pick_add_up_to_its_gain():
    objective = random_objective(0, 500, 30)
    found = greedy(objective, build_constraints(500, 80))
    parts = replay(objective, found.rows, 20)
    assert np.abs(parts.totals(80).sum(axis=1) - found.gains).max() < 1e-12
    assert set(parts.part.tolist()) == {PARTS.index("gain"), PARTS.index("coverage")}
    assert parts.node.max() < 20


def test_the_table_names_picks_nodes_and_parts():
    tree = small_tree((20, 6, 3))
    objective = random_objective(0, 50, tree.n_nodes + 20)
    found = greedy(objective, build_constraints(50, 3))
    frame = replay(objective, found.rows, tree.n_nodes).to_frame(tree, ["x", "y", "z"])
    assert dict(frame.schema) == ATTRIBUTION_SCHEMA
    assert set(frame["instance_id"]) == {"x", "y", "z"}
    assert set(frame["node_id"]) <= set(tree.node_ids)
    sums = frame.group_by("instance_id", maintain_order=True).agg(pl.col("amount").sum())["amount"].to_numpy()
    assert sums == pytest.approx(found.gains)


def test_runners_up_are_the_best_rows_left_and_name_the_pick_that_cost_them_most():
    objective = random_objective(3, 200, 15)
    constraints = build_constraints(200, 20)
    rows = greedy(objective, constraints).rows
    runners = find_runners_up(objective, rows, constraints, n=5)
    gains = objective.gains(objective.masses(rows))
    gains[rows] = -np.inf
    assert runners.rows.tolist() == np.argsort(-gains)[:5].tolist()
    for row, beaten_by in zip(runners.rows, runners.beaten_by, strict=True):
        steps = [objective.gains(objective.masses(rows[:n]))[row] for n in range(21)]
        assert beaten_by == rows[np.argmax(-np.diff(steps))]


def test_a_full_cap_is_the_reason_that_is_given():
    objective = random_objective(3, 100, 15)
    source = np.array(["a"] * 90 + ["b"] * 10)
    constraints = build_constraints(100, 10, attributes={"source": source}, max_share={"source": {"a": 0.2}})
    rows = greedy(objective, constraints).rows
    runners = find_runners_up(objective, rows, constraints)
    assert "max_share of source=a is used up" in runners.reasons


def test_there_are_no_runners_up_where_all_rows_are_picked():
    objective = random_objective(3, 10, 5)
    constraints = build_constraints(10, 10)
    assert len(find_runners_up(objective, np.arange(10), constraints).rows) == 0


def test_what_repeats_a_text_loses_the_part_that_picks_before_it_took():
    plain, groups = random_objective(4, 60, 12), np.arange(60) % 7 - 1  # some rows are of no group
    quality = np.random.default_rng(0).random(60)
    objective = with_texts(plain, groups, quality, 0.8)
    found = greedy(objective, build_constraints(60, 25))
    without = replay(plain, found.rows, 12).totals(25).sum(axis=1)
    lost = lost_to_repetition(objective, found.rows, 12)
    assert without - lost == pytest.approx(found.gains)
    _, first = np.unique(groups[found.rows], return_index=True)
    assert lost[first] == pytest.approx(0.0, abs=1e-15)
    again = np.setdiff1d(np.flatnonzero(groups[found.rows] >= 0), first)
    assert np.all(lost[again] > 0)
    assert np.all(lost[groups[found.rows] < 0] == 0)
