"""What lambda does to each held-out target, told by examples, by a description and by weights.

    python benchmarks/alignments.py                  # ../shared/data, some minutes
    python benchmarks/alignments.py --cache bed.pkl  # the grounded pool of selection_front.py, kept or used

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
import pickle
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from alignment_probe import ROOT, read_truth
from results import Table, save
from selection_front import TITLES, Bench, build, weights_of

from tags_assets.method.target import target_from_description

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


def covered(bench, at, rows):
    """Share of the picks of the domain, and the distinct sub-domains and sources among those."""
    found = rows[bench.truth.is_true[at][rows]]
    labels = bench.truth.subdomain[found]
    sources = {label.split("/")[0] for label in labels}
    return len(found) / len(rows), len(np.unique(labels)), len(sources)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cache", type=Path, help="keep the grounded pool here")
    given = parser.parse_args()
    if not (given.data / "pool_mixed.jsonl.gz").is_file():
        sys.exit(f"{given.data}: pool_mixed.jsonl.gz is not there. Name its folder with --data.")
    if given.cache and given.cache.is_file():
        bed = pickle.loads(given.cache.read_bytes())  # noqa: S301 (our own file)
    else:
        bed = build(given.data)
        if given.cache:
            given.cache.write_bytes(pickle.dumps(bed))
    bench = Bench(bed, read_truth(given.data, bed["ids"], list(bed["examples"])))
    means, rows = [], []
    for way, told in WAYS.items():
        targets = [told(bench, name) for name in bench.truth.names]
        for alignment in LAMBDAS:
            made = bench.selections(targets, alignment=alignment)
            found = []
            for at, selection in enumerate(made):
                figures = selection.figures
                cells = [*covered(bench, at, selection.rows), figures.kl, figures.kl_floor]
                found.append(cells)
                said = [round(float(cell), 4) for cell in cells]
                rows.append([TITLES[bench.truth.names[at]], way, alignment, *said])
            of_all = np.array(found)
            share, _, _, kl, floor = of_all.mean(axis=0).tolist()
            n_subdomains, n_sources = of_all[:, 1:3].sum(axis=0).tolist()
            means.append([way, alignment, share, n_subdomains, n_sources, kl, floor])
            print("|", " | ".join(str(cell)[:6] for cell in means[-1]), "|", flush=True)
    measures = {"share": 3, "sub-domains": 0, "sources": 0, "KL": 3, "its floor": 3}
    rows.sort(key=lambda row: row[0])  # by target; within one as they were made
    tables = {
        "means": Table({"told by": None, "lambda": 2, **measures}, means),
        "by target": Table({"target": None, "told by": None, "lambda": 2, **measures}, rows),
    }
    save("alignments", tables)


if __name__ == "__main__":
    main()
