"""Does a real judge tell corrupted twins from their originals, and what does it do to the score?

    python benchmarks/model_judge.py HOME                               # the tests' small model, 20 minutes
    python benchmarks/model_judge.py HOME --base-url URL --model NAME   # a server of yours
    python benchmarks/model_judge.py HOME --keep DIR                    # keeps the answers for another run

``score_ablation.py`` asks what a judge does of a stand-in of a stated accuracy; this asks a language model,
through the product's judge and its prompt. 200 rows of the public pool, each with one corrupted twin (see
``corrupted_twins.py``), all tagged and grounded as the pipeline does. A server of yours is asked about all
pairs at once, the small model about pair after pair, in random order, until `--minutes` are over. The AUC is
how likely an original scores above a twin, among the pairs of which both were judged; with the half-width of
its 95% interval (2,000 bootstrap draws of the pairs). The results of all models stand beside one another.
"""

# The checkout comes first on the path.
# ruff: noqa: E402

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

import peers
import score_ablation
from corrupted_twins import KINDS
from quality_twins import auc
from results import RESULTS, Table, save

from tags_assets.llm import Client, ClientSettings
from tags_assets.llm.judge import Judge
from tags_assets.llm.rating import DIMENSIONS, JUDGEMENTS_SCHEMA
from tags_assets.method.scoring.scores import ScoringConfig, score
from tags_assets.method.scoring.text_signals import SIGNALS
from tags_assets_tests.llm import model_server

N_PAIRS, PAIRS_A_CALL, DRAWS = 200, 2, 2_000
TERMS = (
    "quality",
    "soundness",
    "richness",
    "information_content",
    "concepts",
    "spread",
    "peer_standing",
)
ASKED = (
    "pairs asked",
    "pairs judged",
    "tokens of a row",
    "rows judged",
    "different ratings",
    "audited",
    "caught",
)


def pairs_of(bed):
    """Places of the originals and of their twins in a random order, (n_pairs, 2)."""
    place = {name: at for at, name in enumerate(bed.rows["instance_id"])}
    twins = np.random.default_rng(0).permutation(np.flatnonzero(bed.is_twin))
    names = bed.rows["instance_id"].to_list()
    return np.array([[place[names[at].removeprefix("twin of ")], at] for at in twins])


def judged(judge, bed, pairs, seconds, pairs_a_call):
    """Judge pair after pair until the time is over; judgements, and the number of pairs that were asked."""
    found, start = [pl.DataFrame(schema=JUDGEMENTS_SCHEMA)], time.monotonic()
    for at in range(0, len(pairs), pairs_a_call):
        rows = bed.rows[pairs[at : at + pairs_a_call].ravel()]
        said = [
            [{"role": "user", "content": prompt or ""}, {"role": "assistant", "content": response or ""}]
            for prompt, response in rows.select("prompt", "response").iter_rows()
        ]
        result = judge.judge(rows["instance_id"], said)
        found.append(result.judgements)
        passed = time.monotonic() - start
        print(f"{at + len(rows) // 2} pairs, {passed:.0f} s: {result.figures}", file=sys.stderr, flush=True)
        if passed > seconds:
            break
    return pl.concat(found), min(at + pairs_a_call, len(pairs))


def auc_of(values, pairs):
    """AUC, and the half-width of its interval."""
    random = np.random.default_rng(1)
    draws = [values[pairs[random.integers(len(pairs), size=len(pairs))]] for _ in range(DRAWS)]
    low, high = np.quantile([auc(draw[:, 0], draw[:, 1]) for draw in draws], [0.025, 0.975])
    return [auc(values[pairs[:, 0]], values[pairs[:, 1]]), float(high - low) / 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--keep", type=Path, help="folder of the prepared pool and of the answers")
    parser.add_argument("--base-url")
    parser.add_argument("--model")
    parser.add_argument("--minutes", type=float, default=20.0, help="of the small model")
    parser.add_argument("--row-tokens", type=int, default=300, help="of a row that are shown")
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one call")
    given = parser.parse_args()
    for needed in (given.home / "warehouse.duckdb", given.data / "pool_mixed.jsonl.gz"):
        if not needed.is_file():
            sys.exit(f"{needed} is not there. See the head of peers.py.")
    own = bool(given.base_url and given.model)
    if not own and not model_server.is_installed():
        sys.exit(f"This needs {model_server.NEEDED}, or --base-url URL --model NAME.")
    keep = given.keep or Path(tempfile.mkdtemp())
    keep.mkdir(parents=True, exist_ok=True)
    bed = peers.kept_bed(keep / "bed.pkl", given.home, given.data, N_PAIRS)
    pairs = pairs_of(bed)
    with nullcontext(given.base_url) if own else model_server.running() as url:
        settings = ClientSettings(
            base_url=url,
            model=given.model if own else model_server.MODEL,
            concurrency=given.concurrency,
            timeout_s=given.timeout,
            row_tokens=given.row_tokens,
        )
        with Client(settings, keep / "answers.sqlite") as client:
            judge = Judge(client, failure_limit=1.0)
            a_call = len(pairs) if own else PAIRS_A_CALL
            judgements, n_asked = judged(judge, bed, pairs, 60 * given.minutes, a_call)
    tree, leaves = bed.trees["ours"]
    grounding = sparse.csr_array(bed.weights @ leaves)
    signals = bed.rows.select("instance_id", *SIGNALS)
    ids = signals.select("instance_id")
    by_row = ids.join(judgements, on="instance_id", how="left", maintain_order="left")
    rating = by_row["rating"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    both = pairs[~np.isnan(rating[pairs]).any(axis=1)]
    kind = score_ablation.kinds_of(bed, N_PAIRS)
    terms = score(grounding, tree, signals)
    scores = {
        "the judge's rating alone": rating,
        "the score without a judge": terms["quality"].to_numpy(),
        f"the score with it (weight {ScoringConfig().judge})": score(
            grounding, tree, signals, judgements=judgements
        )["quality"].to_numpy(),
    }
    of_kind = {name: both[kind[both[:, 1]] == name] for name in KINDS}
    model = given.model if own else model_server.MODEL
    originals = both[:, 0]
    agreement = [
        [model, name, float(spearmanr(terms[name].to_numpy()[originals], rating[originals]).statistic)]
        for name in TERMS
    ]
    rows = [
        [
            model,
            name,
            auc_of(values, both),
            *(auc(*values[some].T) if len(some) else None for some in of_kind.values()),
        ]
        for name, values in scores.items()
    ]
    means = []
    for name in ("rating", *DIMENSIONS):
        values = by_row[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        known = both[~np.isnan(values[both]).any(axis=1)]
        means.append([model, name, *values[known].mean(axis=0).tolist(), auc_of(values, known), len(known)])
    asked = [
        model,
        n_asked,
        len(both),
        given.row_tokens,
        len(judgements),
        int(judgements["rating"].n_unique()),
        int(judgements["audited"].sum()),
        int(judgements["caught"].sum()),
    ]
    found = {"auc": rows, "means": means, "asked": [asked], "agreement": agreement}
    rows, means, asked, agreement = beside_other_models(model, found).values()
    save(
        "model_judge",
        {
            "auc": Table({"judge": None, "": None, "AUC": 3, **dict.fromkeys(KINDS, 2)}, rows),
            "means": Table(
                {"judge": None, "": None, "originals": 3, "twins": 3, "AUC": 3, "pairs": 0}, means
            ),
            "asked": Table({"judge": None, **dict.fromkeys(ASKED, 0)}, asked),
            "agreement": Table({"judge": None, "": None, "rank correlation": 2}, agreement),
        },
    )


def beside_other_models(model: str, tables: dict[str, list]) -> dict[str, list]:
    """Rows of the models that were measured before, and then these."""
    path = RESULTS / "model_judge.json"
    kept = json.loads(path.read_text())["tables"] if path.is_file() else {}
    return {
        name: [row for row in kept.get(name, {"rows": []})["rows"] if row[0] != model] + rows
        for name, rows in tables.items()
    }


if __name__ == "__main__":
    main()
