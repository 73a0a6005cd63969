"""What the solvers for rows that do not fit in memory lose against the exact one, and what they hold.

    python benchmarks/streamed_solvers.py                       # 1,000,000 rows x 60,000 nodes, 50,000 picks
    python benchmarks/streamed_solvers.py --rows 100000 --picks 5000

The rows are written to a Parquet file first, in ten blocks; each solver runs in a process of its own and
reads them from there, the exact one whole. The objective is the information gain of `solver_peers.py`.
"""

# The checkout comes first on the path; each case imports what it needs.
# ruff: noqa: PLC0415

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

CASES = ("exact", "threshold 0.2", "threshold 0.1", "threshold 0.05", "two rounds")


def write(folder, n_rows, n_picks):
    import pyarrow.parquet as pq
    import solver_peers

    from tags_assets.method.selection.streamed import parquet_frames

    solver_peers.TREE.update(rows=n_rows, picks=n_picks)
    objective = solver_peers.tree_problem()
    np.savez(folder / "nodes.npz", weight=objective.weight, capacity=objective.capacity)
    size, writer = -(-n_rows // 10), None
    for frame in parquet_frames(objective, size):
        table = frame.to_arrow()
        writer = writer or pq.ParquetWriter(folder / "rows.parquet", table.schema)
        writer.write_table(table)
    writer.close()
    return size


def peak_mb():
    # not getrusage: its peak begins with that of the process that started this one
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def solve(folder, case, size, n_picks):
    from tags_assets.method.selection import streamed
    from tags_assets.method.selection.constraints import build_constraints
    from tags_assets.method.selection.solver import greedy

    nodes = np.load(folder / "nodes.npz")
    whole = case == "exact"
    rows = streamed.ParquetRows.open(
        folder / "rows.parquet",
        nodes["weight"],
        nodes["capacity"],
        rows_per_block=10**9 if whole else size,
    )
    start = time.perf_counter()
    if whole:
        objective = rows.read(0)
        found = greedy(objective, build_constraints(objective.n_rows, n_picks))
        value, blocks, looked = found.value, 1, found.n_evaluations
    else:
        loss = float(case.split()[1]) if case.startswith("threshold") else None
        found = (
            streamed.two_round_greedy(rows, n_picks)
            if loss is None
            else streamed.threshold_greedy(rows, n_picks, loss=loss)
        )
        value, blocks, looked = float(found.gains.sum()), found.blocks_read, found.n_evaluations
    return {
        "seconds": time.perf_counter() - start,
        "value": value,
        "blocks": blocks,
        "evaluations": looked,
        "peak_mb": peak_mb(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--picks", type=int, default=50_000)
    parser.add_argument("--case", nargs=3, metavar=("CASE", "FOLDER", "SIZE"), help="run one, as JSON")
    given = parser.parse_args()
    if given.case:
        case, folder, size = given.case
        print(json.dumps(solve(Path(folder), case, int(size), given.picks)))
        return
    with tempfile.TemporaryDirectory() as name:
        size = write(Path(name), given.rows, given.picks)
        print("| solver | seconds | value / exact | blocks read | evaluations | peak MB |")
        print("|---|---|---|---|---|---|")
        exact = None
        for case in CASES:
            run = [sys.executable, __file__, "--picks", str(given.picks), "--case", case, name, str(size)]
            found = json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
            exact = exact or found["value"]
            print(
                f"| {case} | {found['seconds']:.1f} | {found['value'] / exact:.5f} | {found['blocks']} "
                f"| {found['evaluations']:,} | {found['peak_mb']:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
