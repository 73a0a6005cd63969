"""The queue of lazy greedy: rows by the last gain that was taken of each, compiled.

A plain heap of a million rows spends most of its time waiting for memory: every look at a row is a handful of
cache misses in a row's features and another in the heap. So only the rows whose keys reach a threshold are in
a heap, which stays small. The others lie in buckets of falling keys, in no order. When the heap is empty the
threshold falls by one bucket. All rows of that bucket would have to be looked at before any row below it may
be picked, so all are, a block at a time: first each row of the block is touched, which lets their misses
overlap, then their gains are taken. What falls below the threshold goes to a later bucket at the cost of one
write.

None of this changes which row is picked: a key is always an upper bound of the gain now, but for rounding,
and every row with a key that reaches the best gain is looked at before a pick.
"""

# The functions take tuples of arrays, whose types numba infers at the call, by position.
# ruff: noqa: ANN001, ANN201, ANN202, PLR0917
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from tags_assets.method.selection.objective import row_gain

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 32
_ROWS_PER_BUCKET = 128
_SMALL = 4096  # rows that are as well off in one heap

# Places in the vector of counters that the compiled parts share with Python.
SIZE, PICKED, LEFT, CLASS, EVALUATED, BUCKET, FREE, TOUCHED = range(8)
N_COUNTERS = 8


class Queue(NamedTuple):
    """Arrays of a queue over n rows with B buckets.

    Attributes
    ----------
    keys, rows, stamps
        The heap: float64, int32, and the number of picks at which the key was taken, int32; (n,).
    bounds
        Least key of each bucket, falling, the last -inf, float64 (B,).
    head
        First block of each bucket, -1 where it is empty, int32 (B,).
    block_rows, block_fill, block_next
        Blocks of rows: int32 (n_blocks, BLOCK), rows in it int32 (n_blocks,), next block int32 (n_blocks,).
        Blocks that are not in use are chained from the counter FREE.
    """

    keys: NDArray[np.float64]
    rows: NDArray[np.int32]
    stamps: NDArray[np.int32]
    bounds: NDArray[np.float64]
    head: NDArray[np.int32]
    block_rows: NDArray[np.int32]
    block_fill: NDArray[np.int32]
    block_next: NDArray[np.int32]


def make_queue(rows, features, counters, cost, per_cost) -> Queue:
    """Look at every row and lay them out by their gains."""
    n = len(rows)
    keys = np.empty(n)
    take_keys(rows, keys, features, counters, cost, per_cost)
    if n <= _SMALL:
        bounds = np.array([-np.inf])
    else:
        # Bounds at equal numbers of rows; rows of one key share a bucket, however many they are.
        falling = -np.sort(-keys)
        bounds = np.append(np.unique(falling[_ROWS_PER_BUCKET::_ROWS_PER_BUCKET])[::-1], -np.inf)
    n_blocks = n // BLOCK + len(bounds) + 2
    queue = Queue(
        keys=np.empty(n),
        rows=np.empty(n, dtype=np.int32),
        stamps=np.empty(n, dtype=np.int32),
        bounds=bounds,
        head=np.full(len(bounds), -1, dtype=np.int32),
        block_rows=np.empty((n_blocks, BLOCK), dtype=np.int32),
        block_fill=np.zeros(n_blocks, dtype=np.int32),
        block_next=np.arange(1, n_blocks + 1, dtype=np.int32),
    )
    counters[SIZE] = counters[BUCKET] = counters[FREE] = 0
    fill_buckets(rows, keys, queue, counters)
    return queue


@njit(cache=True, nogil=True)
def look(row, features, counters, cost, per_cost):
    """Take the row's gain (or gain per cost) now."""
    indptr, indices, values, scale, filled, bonus = features
    counters[EVALUATED] += 1
    gain = row_gain(row, indptr, indices, values, scale, filled, bonus)
    return gain / cost[row] if per_cost else gain


@njit(cache=True, nogil=True)
def take_keys(rows, keys, features, counters, cost, per_cost):
    """Look at rows in their order."""
    for at in range(len(rows)):
        keys[at] = look(rows[at], features, counters, cost, per_cost)


@njit(cache=True, nogil=True)
def fill_buckets(rows, keys, queue, counters):
    """Put each row into the bucket of its key."""
    for at in range(len(rows)):
        _put_off(queue, counters, keys[at], rows[at])


@njit(cache=True, nogil=True)
def _put_off(queue, counters, key, row):
    """Put a row into the first bucket whose bound its key reaches."""
    low, high = counters[BUCKET], len(queue.bounds) - 1
    while low < high:
        middle = (low + high) // 2
        if queue.bounds[middle] <= key:
            high = middle
        else:
            low = middle + 1
    block = queue.head[low]
    if block < 0 or queue.block_fill[block] == BLOCK:
        fresh = counters[FREE]
        counters[FREE] = queue.block_next[fresh]
        queue.block_next[fresh] = block
        queue.block_fill[fresh] = 0
        queue.head[low] = fresh
        block = fresh
    queue.block_rows[block, queue.block_fill[block]] = row
    queue.block_fill[block] += 1


@njit(cache=True, nogil=True)
def threshold(queue, counters):
    """Least key of the rows in the heap; every other row's key lies below it."""
    return queue.bounds[counters[BUCKET] - 1] if counters[BUCKET] > 0 else np.inf


@njit(cache=True, nogil=True)
def lower_threshold(queue, features, counters, cost, per_cost):
    """Look at the rows of the next bucket: those above its bound join the heap. False where there is none."""
    bucket = counters[BUCKET]
    if bucket >= len(queue.bounds):
        return False
    counters[BUCKET] = bucket + 1
    indptr, indices, values = features[0], features[1], features[2]
    batch = np.empty(BLOCK, dtype=np.int32)
    block = queue.head[bucket]
    queue.head[bucket] = -1
    while block >= 0:
        size = queue.block_fill[block]
        for b in range(size):
            batch[b] = queue.block_rows[block, b]
        following = queue.block_next[block]
        queue.block_next[block] = counters[FREE]
        counters[FREE] = block
        block = following
        touched = 0.0
        for b in range(size):
            start, end = indptr[batch[b]], indptr[batch[b] + 1]
            for j in range(start, end, 16):  # 16 entries of four bytes are one cache line
                touched += values[j] + indices[j]
        counters[TOUCHED] = np.int64(touched)
        for b in range(size):
            key = look(batch[b], features, counters, cost, per_cost)
            place(queue, counters, key, batch[b], counters[PICKED])
    return True


@njit(cache=True, nogil=True)
def place(queue, counters, key, row, stamp):
    """Put a row where its key belongs: into the heap or a later bucket."""
    if key < threshold(queue, counters):
        _put_off(queue, counters, key, row)
        return
    keys, rows, stamps = queue.keys, queue.rows, queue.stamps
    at = counters[SIZE]
    counters[SIZE] = at + 1
    while at > 0:
        above = (at - 1) // 2
        if keys[above] >= key:
            break
        keys[at], rows[at], stamps[at] = keys[above], rows[above], stamps[above]
        at = above
    keys[at], rows[at], stamps[at] = key, row, stamp


@njit(cache=True, nogil=True)
def sink(queue, counters):
    """Restore the heap after the key at its root has fallen."""
    keys, rows, stamps = queue.keys, queue.rows, queue.stamps
    size, at = counters[SIZE], 0
    key, row, stamp = keys[0], rows[0], stamps[0]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] > keys[child]:
            child += 1
        if keys[child] <= key:
            break
        keys[at], rows[at], stamps[at] = keys[child], rows[child], stamps[child]
        at = child
    keys[at], rows[at], stamps[at] = key, row, stamp


@njit(cache=True, nogil=True)
def pop(queue, counters):
    """Take the root off the heap: its key, row and stamp."""
    top = (queue.keys[0], queue.rows[0], queue.stamps[0])
    size = counters[SIZE] - 1
    counters[SIZE] = size
    queue.keys[0], queue.rows[0], queue.stamps[0] = queue.keys[size], queue.rows[size], queue.stamps[size]
    if size > 1:
        sink(queue, counters)
    return top
