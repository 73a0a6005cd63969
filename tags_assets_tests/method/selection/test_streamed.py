from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest

from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.objective import Objective
from tags_assets.method.selection.solver import greedy
from tags_assets.method.selection.streamed import (
    ParquetRows,
    parquet_frames,
    threshold_greedy,
    two_round_greedy,
)
from tags_assets_tests.method.selection.problems import random_objective

SOLVERS = {"threshold": threshold_greedy, "two rounds": two_round_greedy}


@pytest.fixture
def stored(tmp_path):
    def store(objective, rows_per_block):
        path = tmp_path / "rows.parquet"
        pl.concat(list(parquet_frames(objective, 37))).write_parquet(path, row_group_size=50)
        return ParquetRows.open(path, objective.weight, objective.capacity, rows_per_block=rows_per_block)

    return store


def test_rows_come_back_from_parquet_as_they_were_also_those_without_features(stored):
    objective = random_objective(0, 90, 12, signed=True)
    indptr = np.insert(objective.indptr, 40, objective.indptr[40])  # an empty row
    objective = Objective(
        indptr,
        objective.indices,
        objective.values,
        objective.weight,
        objective.capacity,
        np.arange(91.0) - 45,
    )
    rows = stored(objective, 25)
    assert rows.starts.tolist() == [0, 25, 50, 75, 91]
    blocks = [rows.read(b) for b in range(4)]
    assert np.concatenate([np.diff(b.indptr) for b in blocks]).tolist() == np.diff(indptr).tolist()
    assert np.concatenate([b.indices for b in blocks]).tolist() == objective.indices.tolist()
    assert np.concatenate([b.values for b in blocks]).tolist() == objective.values.tolist()
    assert np.concatenate([b.bonus for b in blocks]).tolist() == objective.bonus.tolist()


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("n_picks", [1, 40, 300])
def test_exactly_k_distinct_rows_whose_gains_add_up_to_the_value(stored, name, signed, n_picks):
    objective = random_objective(1, 300, 20, signed=signed)
    found = SOLVERS[name](stored(objective, 70), n_picks)
    assert len(set(found.rows.tolist())) == n_picks
    assert found.gains.sum() == pytest.approx(objective.value(found.rows))
    assert found.masses == pytest.approx(objective.masses(found.rows))


@pytest.mark.parametrize("name", SOLVERS)
def test_little_is_lost_against_the_exact_solver(stored, name):
    objective = random_objective(2, 2000, 60)
    exact = greedy(objective, build_constraints(2000, 100)).value
    found = SOLVERS[name](stored(objective, 300), 100)
    assert objective.value(found.rows) > 0.97 * exact


@pytest.mark.parametrize("seed", range(5))
def test_the_guarantee_of_the_threshold_holds_where_every_set_can_be_tried(stored, seed):
    objective = random_objective(seed, 12, 6)
    best = max(objective.value(np.array(rows)) for rows in combinations(range(12), 4))
    found = threshold_greedy(stored(objective, 5), 4, loss=0.1)
    assert objective.value(found.rows) >= (1 - 1 / np.e - 0.1) * best


def test_with_one_block_two_rounds_are_greedy_and_a_small_loss_comes_near_it(stored):
    objective = random_objective(3, 400, 30)
    exact = greedy(objective, build_constraints(400, 50))
    assert two_round_greedy(stored(objective, 1000), 50).rows.tolist() == exact.rows.tolist()
    near = threshold_greedy(stored(objective, 60), 50, loss=0.001)
    assert objective.value(near.rows) > 0.999 * exact.value


def test_blocks_in_which_nothing_reaches_the_threshold_are_not_read_again(stored):
    objective = random_objective(4, 1000, 30)
    scaled = objective.values * np.repeat(np.where(np.arange(1000) < 100, 1.0, 0.001), 4)
    objective = Objective(
        objective.indptr,
        objective.indices,
        scaled.astype(np.float32),
        objective.weight,
        objective.capacity,
        objective.bonus,
    )
    found = threshold_greedy(stored(objective, 100), 20, loss=0.1)
    assert set(found.rows) <= set(range(100))
    passes = found.blocks_read - 10
    assert 0 < passes < 60


def test_numbers_out_of_range_are_refused(stored):
    rows = stored(random_objective(0, 10, 5), 5)
    for solve in SOLVERS.values():
        with pytest.raises(ValueError, match="11 picks of 10 rows"):
            solve(rows, 11)
    with pytest.raises(ValueError, match="a loss of 1"):
        threshold_greedy(rows, 2, loss=1)
