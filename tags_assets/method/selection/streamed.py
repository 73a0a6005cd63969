"""Solvers for rows that do not fit in memory: they are read in blocks, and only the masses are held.

- `threshold_greedy` reads blocks again and again, takes whatever reaches a falling threshold, and skips the
  blocks in which nothing can. For k rows and F monotone its value is at least (1 - 1/e - loss) F(OPT).
- `two_round_greedy` reads every block once: exact greedy on each, then on the union of what they gave. Where
  rows lie in the blocks at random its expected value is at least (1 - 1/e)/2 F(OPT), in any other order at
  least F(OPT) / min(blocks, k)^(1/2) up to a constant.

Where bonuses are negative both hold for F shifted by a constant per row, as for greedy (docs/method.md); the
certificate of the selection says more than either. What both lose against the exact solver is measured in
benchmarks/streamed_solvers.py.

References
----------
Badanidiyuru and Vondrak 2014, "Fast algorithms for maximizing submodular functions", algorithm 1, with the
bounds of Minoux 1978 kept between its passes. Mirzasoleiman, Karbasi, Sarkar and Krause 2013, "Distributed
submodular maximization"; Barbosa, Ene, Nguyen and Ward 2015 for randomly placed rows.
"""

# Compiled functions take positional arguments alone.
# ruff: noqa: PLR0917

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl
from numba import njit

from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.objective import Objective, row_gain
from tags_assets.method.selection.solver import greedy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

LEAST_GAIN = 1e-2
"""Share of the mean gain of a pick, times the loss, at which the thresholds end."""


class BlockedRows(Protocol):
    """An objective whose rows are read a block at a time.

    Attributes
    ----------
    starts
        Number of the first row of each block, and of all rows, ascending from 0, int64 (n_blocks + 1,).
    """

    @property
    def starts(self) -> NDArray[np.int64]:
        """See the class."""

    def read(self, block: int) -> Objective:
        """Read a block; weights and capacities are those of all blocks."""


@dataclass(frozen=True, eq=False)
class Streamed:
    """What a streamed solver found.

    Attributes
    ----------
    rows
        The picks in their order, int64 (k,).
    gains
        What each added when it was picked, float64 (k,).
    masses
        m_f of the selection, float64 (n_features,).
    blocks_read, n_evaluations
        Blocks that were read, counted each time; gains that were computed.
    """

    rows: NDArray[np.int64]
    gains: NDArray[np.float64]
    masses: NDArray[np.float64]
    blocks_read: int
    n_evaluations: int


@dataclass(frozen=True, eq=False)
class ParquetRows:
    """Rows in a Parquet file: ``features`` (int32 list), ``values`` (float32 list), ``bonus`` (float64).

    Attributes
    ----------
    path
        The file.
    weight, capacity
        As in `Objective`.
    starts
        As in `BlockedRows`.
    """

    path: Path
    weight: NDArray[np.float64]
    capacity: NDArray[np.float64]
    starts: NDArray[np.int64]

    @classmethod
    def open(
        cls,
        path: Path,
        weight: NDArray[np.float64],
        capacity: NDArray[np.float64],
        *,
        rows_per_block: int = 100_000,
    ) -> ParquetRows:
        """Look into a file; nothing of its rows is read yet."""
        n_rows = pl.scan_parquet(path).select(pl.len()).collect().item()
        starts = np.append(np.arange(0, n_rows, rows_per_block, dtype=np.int64), n_rows)
        return cls(path, weight, capacity, starts)

    def read(self, block: int) -> Objective:
        """Read a block."""
        first, last = int(self.starts[block]), int(self.starts[block + 1])
        rows = pl.scan_parquet(self.path).slice(first, last - first).collect()
        lengths = rows["features"].list.len().to_numpy().astype(np.int64)
        held = rows.filter(pl.col("features").list.len() > 0)
        return Objective(
            indptr=np.concatenate([[0], np.cumsum(lengths)]),
            indices=held["features"].explode().to_numpy().astype(np.int32),
            values=held["values"].explode().to_numpy().astype(np.float32),
            weight=self.weight,
            capacity=self.capacity,
            bonus=rows["bonus"].to_numpy().astype(np.float64),
        )


def parquet_frames(objective: Objective, rows_per_frame: int) -> Iterator[pl.DataFrame]:
    """Write an objective's rows as frames for `ParquetRows`."""
    for start in range(0, objective.n_rows, rows_per_frame):
        stop = min(start + rows_per_frame, objective.n_rows)
        held = slice(objective.indptr[start], objective.indptr[stop])
        owner = np.repeat(np.arange(stop - start), np.diff(objective.indptr[start : stop + 1]))
        listed = (
            pl.DataFrame({"row": owner, "f": objective.indices[held], "v": objective.values[held]})
            .group_by("row", maintain_order=True)
            .agg(features=pl.col("f"), values=pl.col("v"))
        )
        frame = pl.DataFrame({"row": np.arange(stop - start), "bonus": objective.bonus[start:stop]})
        yield frame.join(listed, on="row", how="left", maintain_order="left").select(
            pl.col("features").fill_null([]), pl.col("values").fill_null([]), "bonus"
        )


def threshold_greedy(rows: BlockedRows, n_picks: int, *, loss: float = 0.05) -> Streamed:
    """Pick rows of a falling threshold, block by block.

    Held are the masses, the picks, and a bound of every row's gain (float32: 4 bytes a row); of the rows
    themselves one block. The first pass takes every row's gain on its own; the threshold then falls from the
    largest by a factor of 1 - `loss`, or to the largest bound where that is lower. A row's last gain bounds
    what it can still give, so a block is read where a bound of it reaches the threshold. Within one threshold
    the earlier row goes first. Deterministic.

    Parameters
    ----------
    rows
        The rows, with weights, capacities and bonuses.
    n_picks
        k, at most the number of rows.
    loss
        What may be lost of greedy's guarantee, in (0, 1); smaller is nearer to greedy and reads more.

    Raises
    ------
    ValueError
        For a number of picks or a loss out of range.
    """
    n_rows = int(rows.starts[-1])
    if not 0 < n_picks <= n_rows:
        raise ValueError(f"{n_picks} picks of {n_rows} rows")
    if not 0 < loss < 1:
        raise ValueError(f"a loss of {loss}")
    n_blocks = len(rows.starts) - 1
    bounds, least = np.empty(n_rows, dtype=np.float32), 0.0
    filled = scale = capacity = np.zeros(0)
    for b in range(n_blocks):
        block = rows.read(b)
        if b == 0:
            capacity, scale = block.capacity, block.scale
            filled = capacity.copy()
        least = min(least, float(block.bonus.min(initial=0.0)))
        gains = block.gains(np.zeros(block.n_features)).astype(np.float32)
        bounds[rows.starts[b] : rows.starts[b + 1]] = np.nextafter(gains, np.float32(np.inf))
    shift = -least
    best = np.array([bounds[rows.starts[b] : rows.starts[b + 1]].max() for b in range(n_blocks)]) + shift
    picks, taken = np.empty(n_picks, dtype=np.int64), np.empty(n_picks)
    n, n_read, n_evaluations = 0, n_blocks, n_rows
    tau = end = float(best.max())
    while n < n_picks:
        for b in range(n_blocks):
            if best[b] < tau or n == n_picks:
                continue
            start, block = int(rows.starts[b]), rows.read(b)
            n_read += 1
            mine = bounds[start : rows.starts[b + 1]]
            found, looked = _take_from(block, scale, filled, mine, tau - shift, picks[n:], taken[n:])
            picks[n : n + found] += start
            n += found
            n_evaluations += looked
            best[b] = float(mine.max()) + shift
        # Below this, k rows more would add less than a small part of the loss: their order hardly matters.
        end = LEAST_GAIN * loss * float(taken[:n].sum() + n * shift) / n_picks
        if best.max() <= end:
            break
        tau = min(tau * (1.0 - loss), float(best.max()))
    if n < n_picks:
        rest = np.argsort(-bounds, kind="stable")[: n_picks - n]
        n = _fill(rows, np.sort(rest), filled, scale, picks, taken, n)
    return Streamed(picks, taken, filled - capacity, n_read, n_evaluations)


def _fill(
    rows: BlockedRows,
    rest: NDArray[np.int64],
    filled: NDArray[np.float64],
    scale: NDArray[np.float64],
    picks: NDArray[np.int64],
    taken: NDArray[np.float64],
    n: int,
) -> int:
    """Take given rows whatever they give: the user asked for k."""
    for b in np.unique(np.searchsorted(rows.starts, rest, side="right") - 1):
        block, start = rows.read(int(b)), int(rows.starts[b])
        inside = rest[(rest >= start) & (rest < rows.starts[b + 1])] - start
        mine = np.full(block.n_rows, -np.inf, dtype=np.float32)
        mine[inside] = np.inf
        found, _ = _take_from(block, scale, filled, mine, -np.inf, picks[n:], taken[n:])
        picks[n : n + found] += start
        n += found
    return n


def _take_from(
    block: Objective,
    scale: NDArray[np.float64],
    filled: NDArray[np.float64],
    bounds: NDArray[np.float32],
    tau: float,
    picks: NDArray[np.int64],
    taken: NDArray[np.float64],
) -> tuple[int, int]:
    """Hand a block's arrays to `_take`."""
    found, looked = _take(
        block.indptr, block.indices, block.values, scale, filled, block.bonus, bounds, tau, picks, taken
    )
    return int(found), int(looked)


def two_round_greedy(rows: BlockedRows, n_picks: int) -> Streamed:
    """Pick `n_picks` rows of each block, then of the union of what they gave; the better of that and the
    best block.

    Held at once are one block and the features of ``n_blocks n_picks`` rows. The blocks may as well lie on
    other machines: a block's picks are all that leaves it.

    Parameters
    ----------
    rows
        The rows; the guarantee wants them in the blocks at random.
    n_picks
        k, at most the number of rows.

    Raises
    ------
    ValueError
        For a number of picks out of range.
    """
    n_rows = int(rows.starts[-1])
    if not 0 < n_picks <= n_rows:
        raise ValueError(f"{n_picks} picks of {n_rows} rows")
    numbers, parts, n_evaluations = [], [], 0
    best: tuple[float, NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]] | None = None
    for b in range(len(rows.starts) - 1):
        block = rows.read(b)
        found = greedy(block, build_constraints(block.n_rows, min(n_picks, block.n_rows)))
        n_evaluations += found.n_evaluations
        chosen = np.sort(found.rows)
        numbers.append(chosen + rows.starts[b])
        parts.append(_rows_of(block, chosen))
        if len(chosen) == n_picks and (best is None or found.value > best[0]):
            own = found.rows + rows.starts[b]
            best = found.value, own, found.gains, block.masses(found.rows)
    union = Objective(
        indptr=np.concatenate([[0], np.cumsum(np.concatenate([np.diff(part.indptr) for part in parts]))]),
        indices=np.concatenate([part.indices for part in parts]),
        values=np.concatenate([part.values for part in parts]),
        weight=parts[0].weight,
        capacity=parts[0].capacity,
        bonus=np.concatenate([part.bonus for part in parts]),
    )
    last = greedy(union, build_constraints(union.n_rows, n_picks))
    n_evaluations += last.n_evaluations
    n_read = len(rows.starts) - 1
    if best is not None and best[0] > last.value:
        return Streamed(*best[1:], n_read, n_evaluations)
    picks = np.concatenate(numbers)[last.rows]
    return Streamed(picks, last.gains, union.masses(last.rows), n_read, n_evaluations)


def _rows_of(objective: Objective, chosen: NDArray[np.int64]) -> Objective:
    """Copy some rows out of an objective."""
    lengths = np.diff(objective.indptr)[chosen]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    held = np.repeat(objective.indptr[chosen] - indptr[:-1], lengths) + np.arange(indptr[-1])
    return Objective(
        indptr=indptr,
        indices=objective.indices[held],
        values=objective.values[held],
        weight=objective.weight,
        capacity=objective.capacity,
        bonus=objective.bonus[chosen],
    )


@njit(cache=True, nogil=True)
def _take(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    values: NDArray[np.float32],
    scale: NDArray[np.float64],
    filled: NDArray[np.float64],
    bonus: NDArray[np.float64],
    bounds: NDArray[np.float32],
    tau: float,
    picks: NDArray[np.int64],
    taken: NDArray[np.float64],
) -> tuple[int, int]:
    """Take the rows of a block that give `tau` or more, lower the bounds of the others that were looked at.

    `filled`, `bounds`, `picks` and `taken` are written to; a picked row's bound is -inf. Returned are the
    numbers of rows taken and looked at.
    """
    n, looked = 0, 0
    for i in range(len(bounds)):
        if n == len(picks):
            break
        if bounds[i] < tau or bounds[i] == -np.inf:
            continue
        gain = row_gain(i, indptr, indices, values, scale, filled, bonus)
        looked += 1
        if gain >= tau:
            picks[n] = i
            taken[n] = gain
            n += 1
            bounds[i] = -np.inf
            for j in range(indptr[i], indptr[i + 1]):
                filled[indices[j]] += values[j]
        else:
            # rounded up, so that it stays a bound
            bounds[i] = np.float32(gain) + np.float32(1e-6) * abs(np.float32(gain)) + np.float32(1e-30)
    return n, looked
