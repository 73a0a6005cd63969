"""Does a language model's tagging push the front of share against variety? A sample, tagged both ways.

    python benchmarks/llm_sample.py FOLDER                               # with the tests' small model
    python benchmarks/llm_sample.py FOLDER --base-url URL --model NAME   # with a server of yours
    python benchmarks/llm_sample.py FOLDER --measure                     # of what is in FOLDER already

400 rows of the public pool, seeded: half of them of the held-out targets' domains, about equally from each
target's, half of all others as the pool has them (480 are drawn so and the first 400 taken: as many as
a small model tags in an hour of a busy core). Each target is told by 8 of its examples. The same rows and the
same examples are tagged by the model and by the built-in tagger, each in a home of its own, through the
product; all else is its defaults. Then a tenth of the rows is selected with several breadths and shares of
the whole text, and held against the hidden labels.
"""

# The checkout comes first on the path.
# ruff: noqa: E402

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

from alignment_probe import read_truth
from results import Table, save

from tags_assets.lineage import Lineage
from tags_assets.method.request import Budget
from tags_assets.method.selection import select
from tags_assets.selection.inputs import Inputs
from tags_assets.selection.knobs import turned
from tags_assets.selection.selection_inputs import SelectionInputs
from tags_assets.store.opening import open_store
from tags_assets_tests.llm import model_server

N_DRAWN, N_ROWS, ROW_TOKENS = 480, 400, 300
EXAMPLES_DRAWN, N_EXAMPLES = 20, 8
TAGGERS = {"keyphrase": "the built-in tagger", "llm": "the language model"}
SETTINGS = {
    "concepts alone, breadth 0": {"text_share": 0.0, "breadth": 0.0},
    "concepts alone, breadth 0.15": {"text_share": 0.0, "breadth": 0.15},
    "concepts alone, breadth 1": {"text_share": 0.0, "breadth": 1.0},
    "the defaults": {},
    "the defaults, breadth 1": {"breadth": 1.0},
}


def sample(data: Path, folder: Path) -> None:
    """Write ``pool.jsonl``, and for each target its examples and its file."""
    with gzip.open(data / "pool_mixed.jsonl.gz") as file:
        lines = [line for line in file.read().splitlines() if line]
    ids = [json.loads(line)["id"] for line in lines]
    held_out = json.loads((data / "heldout_targets_mixed.json").read_text())
    truth = read_truth(data, ids, list(held_out))
    rng = np.random.default_rng(0)
    chosen = np.zeros(len(ids), bool)
    for true in truth.is_true:
        free = np.flatnonzero(true & ~chosen)
        chosen[rng.choice(free, N_DRAWN // 2 // len(truth.is_true), replace=False)] = True
    others = np.flatnonzero(~np.logical_or.reduce(truth.is_true))
    chosen[rng.choice(others, N_DRAWN // 2, replace=False)] = True
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    (folder / "pool.jsonl").write_bytes(b"".join(lines[i] + b"\n" for i in np.flatnonzero(chosen)[:N_ROWS]))
    for name, content in held_out.items():
        drawn = np.sort(rng.choice(50, EXAMPLES_DRAWN, replace=False))[:N_EXAMPLES]
        rows = [content["rows"][i] for i in drawn]
        path = folder / "targets" / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "targets" / f"{name}.yaml").write_text(f"target:\n  examples: {path.name}\n")


def tag(folder: Path, base_url: str, model: str) -> None:
    """Select every target by the product, once with each tagger, in a home for each."""
    said = ["--tagger", "llm", "--model", model, "--base-url", base_url, "--llm", f"row_tokens={ROW_TOKENS}"]
    said += ["--llm", "concurrency=2", "--llm", "timeout_s=600"]
    for tagger in TAGGERS:
        for file in sorted((folder / "targets").glob("*.yaml")):
            command = [sys.executable, "-m", "tags_assets", "select", "pool.jsonl"]
            command += said if tagger == "llm" else []
            command += ["--target", str(file.relative_to(folder)), "--out", f"out/{tagger}/{file.stem}"]
            home = {"PYTHONPATH": str(ROOT), "TAGS_HOME": str(folder / f"home-{tagger}")}
            subprocess.run(command, cwd=folder, env={**os.environ, **home}, check=True)


def measure(data: Path, folder: Path) -> None:
    """Select with every setting from what the homes hold, and hold the picks against the hidden labels."""
    rows, figures = [], {}
    for tagger, title in TAGGERS.items():
        store = open_store(folder / f"home-{tagger}")
        targets = sorted(path.stem for path in (folder / "targets").glob("*.yaml"))
        problems = []
        for name in targets:
            lineage = Lineage.of(store, name)
            spec = turned(lineage.selection.config, {}, target=name)
            inputs = Inputs(store, lineage.versions, lambda _done, _total: None, base=lineage.selection)
            problems.append(SelectionInputs.read(inputs, spec))
        ids = problems[0].rows["id"].to_list()
        truth = read_truth(data, ids, targets)
        tags = store.read("instance_tags")
        figures[f"{tagger}_tags_per_row"] = len(tags) / tags["instance_id"].n_unique()
        figures[f"{tagger}_distinct_tags"] = tags["tag"].n_unique()
        figures["rows"] = len(ids)
        k = len(ids) // 10
        for setting, knobs in SETTINGS.items():
            found = []
            for at, problem in enumerate(problems):
                asked = replace(problem.request, budget=Budget(rows=k), **knobs)
                made = select(problem.grounding, problem.tree, problem.quality, problem.target, asked)
                true = made.rows[truth.is_true[at][made.rows]]
                found.append((len(true) / k, len(np.unique(truth.subdomain[true]))))
            shares, variety = zip(*found, strict=True)
            rows.append([setting, title, float(np.mean(shares)), sum(variety), *map(float, shares)])
            print("|", " | ".join(str(cell)[:30] for cell in rows[-1]), "|", flush=True)
    rows.sort(key=lambda row: list(SETTINGS).index(row[0]))
    figures["random_share"] = float(np.mean([true.mean() for true in truth.is_true]))
    figures["best_share"] = float(np.mean([min(1.0, true.sum() / k) for true in truth.is_true]))
    figures["picks"] = k
    columns = {"": None, "tags of": None, "share": 3, "variety": 0, **dict.fromkeys(targets, 2)}
    save("llm_sample", {"front": Table(columns, rows)}, figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--base-url")
    parser.add_argument("--model")
    parser.add_argument("--measure", action="store_true")
    given = parser.parse_args()
    folder = given.folder.resolve()
    if not given.measure:
        sample(given.data, folder)
        if given.base_url and given.model:
            tag(folder, given.base_url, given.model)
        elif model_server.is_installed():
            with model_server.running() as url:
                tag(folder, url, model_server.MODEL)
        else:
            sys.exit(f"This needs {model_server.NEEDED}, or --base-url URL --model NAME.")
    measure(given.data, folder)


if __name__ == "__main__":
    main()
