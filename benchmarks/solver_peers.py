"""Our solver beside its peers: the same rows, the same objective, one run, each case in a process of its own.

    python benchmarks/solver_peers.py                 # all cases, a table at the end
    python benchmarks/solver_peers.py --skip mig      # without the slow ones
    python benchmarks/solver_peers.py --json out.json # all figures of each case

Cases and peers:

- *flat*: 20,000 rows x 2,000 labels, 1,000 picks of sum over f of log(1 + m_f). Peers: MIG's sampler, written
  anew from its formula (arXiv 2504.13835, section 3.3: at each step the candidate of the largest <gradient of
  the information, information of the candidate>, dense), once gathering the candidates at each step as the
  paper's loop does, once leaner, with picked rows masked; and apricot's
  `FeatureBasedSelection(optimizer="lazy")` (pip install apricot-select), sparse.
- *tree*: 1,000,000 rows x 60,000 nodes, 50,000 picks of the information gain. No peer fits in memory (dense)
  or in patience (apricot looks at rows one by one from Python).

Ours and apricot maximise by the gain, MIG by the gradient, so its value may differ; values are given.
"""

# Each case imports what it needs, so that its process holds no other peer.
# ruff: noqa: PLC0415

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

FLAT = {"rows": 20_000, "labels": 2_000, "picks": 1_000}
TREE = {"rows": 1_000_000, "levels": [40_000, 14_000, 4_500, 1_200, 300, 60, 12], "picks": 50_000}


def flat_problem():
    from tags_assets.method.selection.objective import Objective

    rng = np.random.default_rng(0)
    n, labels, per_row = FLAT["rows"], FLAT["labels"], 8
    popularity = 1.0 / np.arange(1, labels + 1) ** 0.8
    # the labels of a row are distinct: the Gumbel trick draws without replacement
    noise = rng.gumbel(size=(n, labels)).astype(np.float32) + np.log(popularity).astype(np.float32)
    columns = np.argpartition(-noise, per_row, axis=1)[:, :per_row].astype(np.int32)
    values = (rng.random((n, per_row)) + 0.1).astype(np.float32)
    indptr = np.arange(0, n * per_row + 1, per_row)
    ones = np.ones(labels)
    return Objective(indptr, columns.ravel(), values.ravel(), ones, ones, np.zeros(n))


def tree_problem():
    from synthetic_pool import make_rows, make_tree

    from tags_assets.method.selection.objective import fair_shares, node_weights, tree_objective

    tree = make_tree(TREE["levels"])
    grounding, quality = make_rows(TREE["rows"], tree, concepts=8)
    pool = np.asarray(grounding.sum(axis=0)).ravel() + 0.5
    pool /= pool.sum()
    nodes = node_weights(tree, fair_shares(pool, pool, 0.0), TREE["picks"] * float(quality.mean()))
    return tree_objective(grounding, tree, quality, nodes)


def ours(objective, picks):
    from tags_assets.method.selection.certificate import certify
    from tags_assets.method.selection.constraints import build_constraints
    from tags_assets.method.selection.solver import greedy

    constraints = build_constraints(objective.n_rows, picks)
    greedy(objective, build_constraints(objective.n_rows, 2))  # compile, or load what was compiled
    seconds, found = timed(lambda: greedy(objective, constraints))
    checked, certificate = timed(lambda: certify(objective, constraints, found.rows))
    return found.rows, {
        "seconds": seconds,
        "evaluations": found.n_evaluations,
        "certificate": certificate.ratio,
        "certificate_seconds": checked,
    }


def mig(objective, picks, *, gather):
    from scipy import sparse

    shape = objective.n_rows, objective.n_features
    dense = sparse.csr_array((objective.values, objective.indices, objective.indptr), shape=shape).toarray()

    def sample():
        mass = np.zeros(shape[1], dtype=np.float32)
        is_open = np.ones(shape[0], dtype=bool)
        out = []
        for _ in range(picks):
            gradient = 1.0 / (1.0 + mass)
            if gather:
                pick = int(np.flatnonzero(is_open)[np.argmax(dense[is_open] @ gradient)])
            else:
                pick = int(np.argmax(np.where(is_open, dense @ gradient, -1.0)))
            out.append(pick)
            mass += dense[pick]
            is_open[pick] = False
        return np.array(out)

    seconds, rows = timed(sample)
    return rows, {"seconds": seconds}


def apricot(objective, picks):
    from apricot import FeatureBasedSelection
    from scipy import sparse

    shape = objective.n_rows, objective.n_features
    # copied: apricot sorts the indices in place
    parts = objective.values.astype(np.float64), objective.indices.copy(), objective.indptr.copy()
    rows = sparse.csr_matrix(parts, shape=shape)

    def fit(n):
        return FeatureBasedSelection(n, concave_func="log", optimizer="lazy").fit(rows)

    fit(2)  # compile
    seconds, model = timed(lambda: fit(picks))
    return np.asarray(model.ranking), {"seconds": seconds}


def timed(work):
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


CASES = {
    "flat ours": lambda: run(flat_problem, ours, FLAT["picks"]),
    "flat mig (gathering)": lambda: run(flat_problem, mig, FLAT["picks"], gather=True),
    "flat mig (masked)": lambda: run(flat_problem, mig, FLAT["picks"], gather=False),
    "flat apricot lazy": lambda: run(flat_problem, apricot, FLAT["picks"]),
    "tree ours": lambda: run(tree_problem, ours, TREE["picks"]),
}


def run(problem, solver, picks, **options):
    objective = problem()
    rows, figures = solver(objective, picks, **options)
    assert len(set(rows.tolist())) == picks
    return {
        **figures,
        "value": objective.value(np.asarray(rows)),
        "nonzeros": len(objective.indices),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=CASES, help="run one case and print it as JSON")
    parser.add_argument(
        "--skip", action="append", default=[], help="leave out cases whose name contains this"
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    if given.case:
        print(json.dumps(CASES[given.case]()))
        return
    found = {}
    for name in CASES:
        if any(word in name for word in given.skip):
            continue
        done = subprocess.run(
            [sys.executable, __file__, "--case", name], capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(f"{name}: did not run: {done.stderr.strip().splitlines()[-1]}")
            continue
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{name}: {found[name]['seconds']:.3f} s", flush=True)
    print()
    print("| case | seconds | times ours | value / ours | peak MB | certificate |")
    print("|---|---|---|---|---|---|")
    for name, figures in found.items():
        base = found.get(f"{name.split()[0]} ours", figures)
        print(
            f"| {name} | {figures['seconds']:.3f} | {figures['seconds'] / base['seconds']:,.0f} "
            f"| {figures['value'] / base['value']:.6f} | {figures['peak_mb']:,.0f} "
            f"| {figures.get('certificate', float('nan')):.4f} |"
        )
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    if set(found) == set(CASES):
        write_down(found)


TITLES = {
    "flat ours": "ours",
    "flat mig (gathering)": "MIG's dense algorithm, gathering the open rows at each step",
    "flat mig (masked)": "the same, picked rows masked",
    "flat apricot lazy": "apricot, feature-based, lazy",
}


def write_down(found):
    from results import Table, save

    ours = found["flat ours"]
    rows = [
        [
            title,
            found[case]["seconds"],
            found[case]["seconds"] / ours["seconds"],
            found[case]["value"] / ours["value"],
        ]
        for case, title in TITLES.items()
    ]
    head = f"{FLAT['rows']:,} rows x {FLAT['labels']:,} labels, {FLAT['picks']:,} picks"
    columns = {head: None, "seconds": 3, "times ours": 0, "value / ours": 4}
    tree = found["tree ours"]
    figures = {
        "flat_certificate": ours["certificate"],
        "tree_seconds": tree["seconds"],
        "tree_mb": tree["peak_mb"],
        "tree_certificate": tree["certificate"],
    }
    save("solver_peers", {"flat": Table(columns, rows)}, figures)


if __name__ == "__main__":
    main()
