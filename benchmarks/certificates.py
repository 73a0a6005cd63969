"""How much of the best possible is proved of a selection: by default, and where 0.999 is asked for.

    python benchmarks/certificates.py                  # ../shared/data, some minutes
    python benchmarks/certificates.py --cache bed.pkl  # the grounded pool of selection_front.py, kept or used

The flat case of ``solver_peers.py``, and the public pool without a target and with each held-out one, at the
defaults and at lambda 0.25; 5% of the pool and 100 rows. *Bound alone*: linearised at the selection itself,
without a Frank-Wolfe step. *Exchanged*: rows that the search changed. *Limit*: what no bound of this kind can
exceed for the rows that came out.
"""

# The checkout comes first on the path.
# ruff: noqa: E402

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from alignment_probe import ROOT
from results import Table, save
from selection_front import TITLES, open_bench
from solver_peers import FLAT, flat_problem

from tags_assets.method.selection.alignment import target_from_pool
from tags_assets.method.selection.certificate import certify
from tags_assets.method.selection.constraints import build_constraints
from tags_assets.method.selection.local_search import raise_certificate
from tags_assets.method.selection.problem import Blend, Problem
from tags_assets.method.selection.request import DEFAULT_ALIGNMENT, Budget, SelectionRequest
from tags_assets.method.selection.selector import select
from tags_assets.method.selection.solver import greedy

ASKED = 0.999
COLUMNS = {
    "": None,
    "picks": 0,
    "bound alone": 4,
    "by default": 4,
    f"{ASKED} asked": 4,
    "limit": 4,
    "exchanged": 0,
    "value gain, %": 3,
    "CPU s of the search": 1,
}


def line(name, objective, constraints, rows):
    alone = certify(objective, constraints, rows, max_steps=0).ratio
    default = certify(objective, constraints, rows).ratio
    started = time.process_time()
    raised = raise_certificate(objective, constraints, rows, ASKED)
    seconds = time.process_time() - started
    made = raised.certificate
    gained = 100 * (made.value / raised.value_before - 1)
    found = [name, len(rows), alone, default, made.ratio, made.limit, raised.n_exchanged, gained, seconds]
    print("|", " | ".join(f"{cell:.5g}" if cell != name else name for cell in found), "|", flush=True)
    return found


def of_pool(bench, title, target, **asked):
    bed = bench.bed
    request = SelectionRequest(texts=bench.texts, **asked)
    made = select(bed["grounding"], bed["tree"], bed["quality"], target, request)
    problem = Problem.build(bed["grounding"], bed["tree"], bed["quality"], target, request)
    f = made.figures
    objective = problem.objective(Blend(f.alignment, f.breadth, f.gain_scale, f.alignment_scale))
    return line(title, objective, problem.constraints, problem.candidates.searchsorted(made.rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cache", type=Path, help="keep the grounded pool here")
    given = parser.parse_args()
    bench = open_bench(given.data, given.cache)
    bed = bench.bed
    flat = flat_problem()
    constraints = build_constraints(flat.n_rows, FLAT["picks"])
    rows = greedy(flat, constraints).rows
    raise_certificate(flat, constraints, rows[: FLAT["picks"]], 0.5)  # compile, or load what was compiled
    lines = [line("flat, 20,000 rows x 2,000 labels", flat, constraints, rows)]
    pool = target_from_pool(bed["tree"], bench.supply)
    for budget in (Budget(fraction=0.05), Budget(rows=100)):
        lines.append(of_pool(bench, "pool, no target", pool, budget=budget))
        for name in bench.truth.names:
            target = bench.target(name)
            for alignment in (DEFAULT_ALIGNMENT, 0.25) if budget.rows is None else (DEFAULT_ALIGNMENT,):
                title = TITLES[name] + ("" if alignment == DEFAULT_ALIGNMENT else f", lambda {alignment:g}")
                lines.append(of_pool(bench, title, target, budget=budget, alignment=alignment))
    save("certificates", {"certificates": Table(COLUMNS, lines)})


if __name__ == "__main__":
    main()
