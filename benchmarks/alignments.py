"""What lambda does to each held-out target, told by examples, by a description and by weights.

    python benchmarks/alignments.py                  # ../shared/data, some minutes
    python benchmarks/alignments.py --cache bed.pkl  # the grounded pool of selection_front.py, kept or used
    python benchmarks/alignments.py --only "5 examples"  # the other ways as they were measured before

Lambda 0, .25, .5, .75 and 1, everything else by default, 5% of the pool; 50, 20 and 5 examples (one draw), a
sentence, and weights on the three nodes nearest to it. Of each selection: the share of picks that are truly
of the target's domain, the distinct sub-domains and sources among those, KL(T || P_S) and its floor. KL is to
the T that was told: a T of few examples is another one than that of many, so compare it with its own floor
alone.
"""

# The checkout comes first on the path.
# ruff: noqa: E402

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from alignment_probe import ROOT
from results import RESULTS, Table, save
from selection_front import TITLES, open_bench, weights_of

from tags_assets.method.selection.problem import Problem
from tags_assets.method.selection.request import Budget, SelectionRequest
from tags_assets.method.selection.selector import _Selector
from tags_assets.method.target.distribution import target_from_description

LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def drawn(count):
    return np.sort(np.random.default_rng(count).choice(50, count, replace=False))


def described(bench, name):
    bed = bench.bed
    rows = {"row_vectors": bed["vectors"], "grounding": bed["grounding"]}
    return target_from_description(bed["words"][name], bed["tree"], bench.supply, **rows)


WAYS = {
    "50 examples": lambda bench, name: bench.target(name),
    "20 examples": lambda bench, name: bench.target(name, drawn(20)),
    "5 examples": lambda bench, name: bench.target(name, drawn(5)),
    "a description": described,
    "weights": weights_of,
}


def solved(bench, target):
    """Select with every lambda: rows and KL of each, and the floor, which is that of them all."""
    bed, budget = bench.bed, Budget(fraction=0.05)
    request = SelectionRequest(budget=budget, texts=bench.texts)
    problem = Problem.build(bed["grounding"], bed["tree"], bed["quality"], target, request)
    selector = _Selector(problem, None)
    found = []
    for alignment in LAMBDAS:
        rows = selector.solve(replace(request, alignment=alignment))[1].rows
        found.append((problem.candidates[rows], problem.kl(rows)))
    return found, problem.kl_floor(len(found[0][0]))


def covered(bench, at, rows):
    """Share of the picks of the domain, and the distinct sub-domains and sources among those."""
    found = rows[bench.truth.is_true[at][rows]]
    labels = bench.truth.subdomain[found]
    sources = {label.split("/")[0] for label in labels}
    return len(found) / len(rows), len(np.unique(labels)), len(sources)


def kept(ways):
    """Read what was measured before of some ways: means, rows and CPU seconds."""
    path = RESULTS / "alignments.json"
    if not ways or not path.is_file():
        return [], [], 0
    before = json.loads(path.read_text())
    means, rows = before["tables"]["means"]["rows"], before["tables"]["by target"]["rows"]
    seconds = before["cpu_seconds"] or 0
    return [row for row in means if row[0] in ways], [row for row in rows if row[1] in ways], seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cache", type=Path, help="keep the grounded pool here")
    parser.add_argument("--only", choices=list(WAYS), action="append")
    given = parser.parse_args()
    bench = open_bench(given.data, given.cache)
    asked = given.only or list(WAYS)
    means, rows, seconds = kept([way for way in WAYS if way not in asked])
    for way in asked:
        made = [solved(bench, WAYS[way](bench, name)) for name in bench.truth.names]
        for number, alignment in enumerate(LAMBDAS):
            found = []
            for at, (selections, floor) in enumerate(made):
                picks, reached = selections[number]
                found.append([*covered(bench, at, picks), reached, floor])
                said = [round(float(cell), 4) for cell in found[-1]]
                rows.append([TITLES[bench.truth.names[at]], way, alignment, *said])
            of_all = np.array(found)
            share, _, _, kl, floor = of_all.mean(axis=0).tolist()
            n_subdomains, n_sources = of_all[:, 1:3].sum(axis=0).tolist()
            means.append([way, alignment, share, n_subdomains, n_sources, kl, floor])
            print("|", " | ".join(str(cell)[:6] for cell in means[-1]), "|", flush=True)
    order = list(WAYS)
    means.sort(key=lambda row: (order.index(row[0]), row[1]))
    rows.sort(key=lambda row: (row[0], order.index(row[1]), row[2]))
    measures = {"share": 3, "sub-domains": 0, "sources": 0, "KL": 3, "floor": 3}
    tables = {
        "means": Table({"described by": None, "lambda": 2, **measures}, means),
        "by target": Table({"target": None, "described by": None, "lambda": 2, **measures}, rows),
    }
    used = time.process_time() + seconds
    save("alignments", tables, cpu_seconds=round(used))


if __name__ == "__main__":
    main()
