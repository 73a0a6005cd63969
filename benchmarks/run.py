"""Runs every benchmark, one after the other, and writes docs/benchmarks.md of what they found.

    python benchmarks/run.py HOME                   # or: make benchmarks HOME_DIR=HOME
    python benchmarks/run.py HOME --only peers
    python benchmarks/run.py HOME --missing         # those without a result
    python benchmarks/run.py HOME --base-url URL --model NAME   # a model of yours tags and judges

HOME holds the artifacts of the public pool (``--data``, ../shared/data); it is made where it is absent.
One that fails leaves its result as it was; the others go on, and the exit code says so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Benchmark:
    """What is asked, and the script with its arguments (``{home}`` stands for the home) that answers it.

    A ``model`` "may" or "must" be named with ``--base-url`` and ``--model``; where it only may, the tests'
    small one is asked else.
    """

    asks: str
    arguments: list[str]
    model: str = ""


BENCHMARKS = {
    "selection_front": Benchmark(
        "what each knob changes; few examples; ways to describe a target", ["benchmarks/selection_front.py"]
    ),
    "alignments": Benchmark(
        "every lambda by target, for 5, 20 and 50 examples, a description and weights",
        ["benchmarks/alignments.py"],
    ),
    "llm_sample": Benchmark(
        "tags of a language model against the built-in tagger's, on a sample",
        ["benchmarks/llm_sample.py", "{home}/llm_sample"],
        model="must",
    ),
    "llm_sample_small": Benchmark(
        "the same for a very small model", ["benchmarks/llm_sample.py", "{home}/llm_sample_small"]
    ),
    "peers": Benchmark(
        "ours against other methods, on one pool with corrupted twins", ["benchmarks/peers.py", "{home}"]
    ),
    "language_model": Benchmark(
        "held-out cross-entropy of an n-gram language model trained on the subset",
        ["benchmarks/language_model.py", "{home}"],
    ),
    "small_model": Benchmark(
        "the same for a small transformer (needs PyTorch)",
        ["benchmarks/small_model.py", "{home}"],
    ),
    "solver_peers": Benchmark("the solver against MIG's and apricot's", ["benchmarks/solver_peers.py"]),
    "certificates": Benchmark(
        "how much of the optimum is proved, by default and on request", ["benchmarks/certificates.py"]
    ),
    "streamed_solvers": Benchmark(
        "solvers for rows that do not fit in memory, against the exact one",
        ["benchmarks/streamed_solvers.py"],
    ),
    "tree_purity": Benchmark(
        "the tree against exact linkage and K-Means rounds, on WordNet's nouns", ["benchmarks/tree_purity.py"]
    ),
    "tree_scale": Benchmark(
        "cost of the tree up to 1,000,000 tags, and its stability when tags change",
        ["benchmarks/tree_scale.py", "{home}"],
    ),
    "score_ablation": Benchmark(
        "what each term of the quality score contributes", ["benchmarks/score_ablation.py", "{home}"]
    ),
    "model_judge": Benchmark(
        "does a language model detect corrupted rows, alone and in the score",
        ["benchmarks/model_judge.py", "{home}"],
        model="may",
    ),
    "scaling": Benchmark(
        "cost of each stage from 1,000 to 1,000,000 rows", ["benchmarks/scaling.py", "{home}"]
    ),
}
"""By the name of their results, in the order in which they run."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("home", type=Path, help="where the public pool's artifacts are, or will be")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--only", choices=list(BENCHMARKS), action="append")
    parser.add_argument("--missing", action="store_true", help="those that have no result yet")
    parser.add_argument("--base-url")
    parser.add_argument("--model")
    given = parser.parse_args()
    pool = given.data / "pool_mixed.jsonl.gz"
    if not pool.is_file():
        sys.exit(f"{pool} is not there. Name its folder with --data.")
    home = given.home.resolve()
    if not (home / "warehouse.duckdb").is_file():
        select = [Path(sys.executable).parent / "tags-assets", "select", pool, "--home", home]
        subprocess.run([*select, "--out", home / "out"], check=True, cwd=ROOT)
    failed = []
    for name, benchmark in BENCHMARKS.items():
        has_result = (ROOT / "benchmarks" / "results" / f"{name}.json").is_file()
        if (given.only and name not in given.only) or (given.missing and has_result):
            continue
        arguments = [part.replace("{home}", str(home)) for part in benchmark.arguments]
        if benchmark.model and given.base_url and given.model:
            arguments += ["--base-url", given.base_url, "--model", given.model]
        elif benchmark.model == "must":
            print(f"== {name}: needs --base-url URL --model NAME, left out", flush=True)
            continue
        print(f"== {name}: {' '.join(arguments)}", flush=True)
        start = time.monotonic()
        if subprocess.run([sys.executable, *arguments], check=False, cwd=ROOT).returncode:
            failed.append(name)
        print(f"== {name}: {time.monotonic() - start:.0f} s", flush=True)
    subprocess.run([sys.executable, "benchmarks/render.py"], check=True, cwd=ROOT)
    if failed:
        sys.exit(f"{', '.join(failed)}: failed, what they found before stays")


if __name__ == "__main__":
    main()
