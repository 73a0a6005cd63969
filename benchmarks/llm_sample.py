"""Does a language model's tagging push the front of share against variety? A sample, tagged both ways.

    python benchmarks/llm_sample.py FOLDER --base-url URL --model NAME   # with a server of yours
    python benchmarks/llm_sample.py FOLDER                               # with the tests' small model
    python benchmarks/llm_sample.py FOLDER --measure ...                 # again, of what is in FOLDER

2,400 rows of the public pool, seeded: half of them of the held-out targets' domains, equally from each
target's, half of all others as the pool has them (for the small model 400, an hour's work of one core). They
are tagged by the model and by the built-in tagger, each in a home of its own, through the product; all else
is its defaults.

Each domain is then told by 8 of its rows, which may not be selected, and a tenth of the sample is selected
with several breadths and shares of the whole text: the same rows and examples for both taggers, five draws of
the examples, and beside them the rows nearest to the examples' centred centroid. Share and variety are those
of ``alignment_probe.py``.
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
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

from alignment_probe import centroid_scores, read_truth
from results import Table, interval, save

from tags_assets.method.selection.request import Budget, SelectionRequest
from tags_assets.method.selection.selector import select
from tags_assets.method.target.distribution import PoolText, target_from_examples
from tags_assets.method.tree.grounding import from_frame
from tags_assets.method.tree.knowledge_tree import KnowledgeTree
from tags_assets.store.opening import open_store
from tags_assets_tests.llm import model_server

N_ROWS, N_ROWS_SMALL, ROW_TOKENS = 2_400, 400, 600
N_EXAMPLES, DRAWS = 8, 5
TAGGERS = {"keyphrase": "the built-in tagger", "llm": "the language model"}
SETTINGS = {
    "concepts alone, breadth 0": {"text_share": 0.0, "breadth": 0.0},
    "concepts alone, breadth 0.15": {"text_share": 0.0, "breadth": 0.15},
    "concepts alone, breadth 1": {"text_share": 0.0, "breadth": 1.0},
    "the defaults": {},
    "the defaults, breadth 1": {"breadth": 1.0},
}
DOMAINS = {
    "math_gsm8k_test": "mathematics",
    "code_mbpp": "code",
    "medicine_medquad": "medicine",
    "finance_tatqa": "finance",
    "creative_roleplay": "roleplay",
    "reasoning_bbh": "reasoning games",
}
"""Of two targets of one domain the first stands for it."""


def sample(data: Path, folder: Path, n_rows: int) -> None:
    """Write ``pool.jsonl``."""
    with gzip.open(data / "pool_mixed.jsonl.gz") as file:
        lines = [line for line in file.read().splitlines() if line]
    ids = [json.loads(line)["id"] for line in lines]
    targets = list(json.loads((data / "heldout_targets_mixed.json").read_text()))
    truth = read_truth(data, ids, targets)
    rng = np.random.default_rng(0)
    chosen = np.zeros(len(ids), bool)
    for true in truth.is_true:
        free = np.flatnonzero(true & ~chosen)
        chosen[rng.choice(free, n_rows // 2 // len(truth.is_true), replace=False)] = True
    others = np.flatnonzero(~np.logical_or.reduce(truth.is_true))
    chosen[rng.choice(others, n_rows // 2, replace=False)] = True
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pool.jsonl").write_bytes(b"".join(lines[i] + b"\n" for i in np.flatnonzero(chosen)))


def tag(folder: Path, base_url: str, model: str, *, concurrency: int, timeout: float) -> None:
    """Take the sample through the product once with each tagger, in a home for each."""
    said = ["--tagger", "llm", "--model", model, "--base-url", base_url, "--llm", f"row_tokens={ROW_TOKENS}"]
    said += ["--llm", f"concurrency={concurrency}", "--llm", f"timeout_s={timeout:g}"]
    for tagger in TAGGERS:
        command = [sys.executable, "-m", "tags_assets", "select", "pool.jsonl", "--out", f"out/{tagger}"]
        command += said if tagger == "llm" else []
        home = {"PYTHONPATH": str(ROOT), "TAGS_HOME": str(folder / f"home-{tagger}")}
        subprocess.run(command, cwd=folder, env={**os.environ, **home}, check=True)


def measure(data: Path, folder: Path, name: str) -> None:
    """Select with every setting from what the homes hold, and hold the picks against the hidden labels."""
    stores = {tagger: open_store(folder / f"home-{tagger}") for tagger in TAGGERS}
    tagged = [store.read("grounded_instances")["instance_id"].unique() for store in stores.values()]
    numbers = stores["llm"].read("instance_scores", columns=["instance_id"])["instance_id"]
    both = numbers.filter(numbers.is_in(tagged[0].implode()) & numbers.is_in(tagged[1].implode()))
    names = stores["llm"].read("raw_instances", columns=["instance_id", "id"])
    ids = both.to_frame().join(names, on="instance_id", maintain_order="left")["id"].to_list()
    truth = read_truth(data, ids, list(DOMAINS))
    k = len(ids) // 10
    figures = {
        "rows": len(ids),
        "picks": k,
        "random_share": float(np.mean([true.mean() for true in truth.is_true])),
        "best_share": float(np.mean([min(1.0, (true.sum() - N_EXAMPLES) / k) for true in truth.is_true])),
    }
    rows = [nearest_to_centroid(stores["llm"], both, truth, k)]
    for tagger, title in TAGGERS.items():
        store = stores[tagger]
        extracted = store.read("atomic_tags")
        figures[f"{tagger}_tags_per_row"] = len(extracted) / extracted["instance_id"].n_unique()
        figures[f"{tagger}_distinct_tags"] = store.read("instance_tags")["tag"].n_unique()
        tagged = Tagged(store, both)
        for setting, knobs in SETTINGS.items():
            rows.append(line(setting, title, truth, k, partial(tagged.picked, k, knobs)))
    order = ["", *SETTINGS]
    rows.sort(key=lambda row: order.index(row[0]))
    columns = {"": None, "tags of": None, "share": 3, "variety": 1, **dict.fromkeys(DOMAINS.values(), 2)}
    save(name, {"front": Table(columns, rows)}, figures)


class Tagged:
    """The sample as one home has it."""

    def __init__(self, store, ids):
        self.tree = KnowledgeTree.from_frames(
            store.read("knowledge_tree"), store.read("knowledge_tree", "tags")
        )
        self.grounding = from_frame(store.read("grounded_instances"), self.tree, ids)
        scores = store.read("instance_scores", columns=["instance_id", "quality"])
        by_row = ids.to_frame().join(scores, on="instance_id", maintain_order="left")
        self.quality = by_row["quality"].to_numpy()
        self.vectors = vectors_of(store, ids)
        self.supply = np.asarray(self.grounding.sum(axis=0)).ravel()

    def picked(self, k, knobs, known):
        """Rows selected for the target that some rows tell, these rows left out."""
        text = PoolText(self.vectors[known], self.vectors, self.grounding)
        target = target_from_examples(self.grounding[known], self.tree, self.supply, text=text)
        eligible = np.ones(len(self.quality), dtype=bool)
        eligible[known] = False
        request = SelectionRequest(budget=Budget(rows=k), eligible=eligible, **knobs)
        return select(self.grounding, self.tree, self.quality, target, request).rows


def vectors_of(store, ids):
    """Vectors of rows, (n, n_dims)."""
    held = store.read_vectors("instance_embeddings")
    place = {instance: at for at, instance in enumerate(held.ids)}
    return held.matrix[[place[instance] for instance in ids]]


def line(setting, title, truth, k, picked):
    """Draw the examples, pick by them, and measure: a row of the table."""
    shares, variety = np.zeros((DRAWS, len(DOMAINS))), np.zeros(DRAWS)
    for draw in range(DRAWS):
        for at, true in enumerate(truth.is_true):
            known = np.random.default_rng(draw).choice(np.flatnonzero(true), N_EXAMPLES, replace=False)
            rows = picked(known)
            found = rows[true[rows]]
            shares[draw, at] = len(found) / k
            variety[draw] += len(np.unique(truth.subdomain[found]))
    cells = [setting, title, interval(shares.mean(axis=1)), interval(variety), *shares.mean(axis=0).tolist()]
    print("|", " | ".join(str(cell)[:30] for cell in cells), "|", flush=True)
    return cells


def nearest_to_centroid(store, ids, truth, k):
    """The rows nearest to the centred centroid of the examples, which needs no tags."""
    vectors = vectors_of(store, ids)

    def picked(known):
        score = centroid_scores(vectors, [vectors[known]])[0]
        score[known] = -np.inf
        return np.argsort(-score, kind="stable")[:k]

    return line("", "nearest to the centred centroid", truth, k, picked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--base-url")
    parser.add_argument("--model")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one call")
    parser.add_argument("--measure", action="store_true")
    given = parser.parse_args()
    folder = given.folder.resolve()
    small = not (given.base_url and given.model)
    if not given.measure:
        sample(given.data, folder, given.rows or (N_ROWS_SMALL if small else N_ROWS))
        calls = {"concurrency": given.concurrency, "timeout": given.timeout}
        if not small:
            tag(folder, given.base_url, given.model, **calls)
        elif model_server.is_installed():
            with model_server.running() as url:
                tag(folder, url, model_server.MODEL, **calls)
        else:
            sys.exit(f"This needs {model_server.NEEDED}, or --base-url URL --model NAME.")
    measure(given.data, folder, "llm_sample_small" if small else "llm_sample")


if __name__ == "__main__":
    main()
