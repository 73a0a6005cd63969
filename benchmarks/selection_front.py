"""What the knobs of a selection trade: share against variety against quality, on eight held-out targets.

    python benchmarks/selection_front.py                  # results/selection_front.json; some minutes
    python benchmarks/selection_front.py --cache bed.pkl  # keeps the grounded pool for the next run
    python benchmarks/selection_front.py --only few       # prints that table and keeps nothing

Five tables, by the measures of ``alignment_probe.py`` (share of the picks truly of the target's domain, its
mean over the targets; distinct sub-domains among them, the sum; even: the effective number of them, exp of
their entropy, the sum) with the mean quality of the picks, KL(T || P_S), its floor and the least certificate:

- *front*: lambda and breadth at 5% of the pool, beside nearest-to-centred-centroid and RDS+-like round robin;
- *by target*: the defaults with 50 examples, each target on its own;
- *few*: 2 to 50 examples, with the target smoothed down the tree and not, by closeness alone;
- *ways*: a target said by examples, by a description in words, by weights on nodes;
- *global*: no target; how fair shares and branch lengths bear on the hidden labels that a selection covers.
"""

# The checkout comes first on the path.
# ruff: noqa: E402

from __future__ import annotations

import argparse
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from alignment_probe import ROOT, centroid_scores, read_data, read_truth, tree_of, with_languages
from results import Table, interval, save

from tags_assets.method.concepts.assignment import assign_concepts, combine
from tags_assets.method.concepts.student import embed_rows
from tags_assets.method.concepts.vocabulary import build_vocabulary
from tags_assets.method.scoring.scores import score
from tags_assets.method.scoring.text_signals import text_signals
from tags_assets.method.selection import objective, problem
from tags_assets.method.selection.alignment import closeness, departure, target_from_pool
from tags_assets.method.selection.near_texts import text_groups
from tags_assets.method.selection.request import (
    DEFAULT_ALIGNMENT,
    DEFAULT_BREADTH,
    DEFAULT_TEXT_SHARE,
    Budget,
    SelectionRequest,
)
from tags_assets.method.selection.selector import select
from tags_assets.method.tagging.keyphrase import KeyphraseTagger
from tags_assets.method.target.distribution import (
    PoolText,
    back_off_weights,
    target_from_description,
    target_from_examples,
    target_from_weights,
)
from tags_assets.method.text.embedding import centred, row_texts, unit
from tags_assets.method.tree.grounding import ground
from tags_assets.models.minilm import MiniLM

TITLES = {
    "creative_roleplay": "roleplay",
    "code_mbpp": "MBPP (code)",
    "math_gsm8k_test": "GSM8K test (mathematics)",
    "medicine_medquad": "MedQuAD (medicine)",
    "medicine_pubmedqa": "PubMedQA (medicine)",
    "finance_tatqa": "TAT-QA (finance)",
    "reasoning_bbh": "BBH (reasoning games)",
    "code_humaneval": "HumanEval (code)",
}

DESCRIPTIONS = {
    "creative_roleplay": "Role-play: the assistant stays in character in a fictional scene or persona.",
    "code_mbpp": "Short Python programming problems: write a function that passes the tests.",
    "math_gsm8k_test": "Grade-school maths word problems, solved step by step.",
    "medicine_medquad": "Patients' questions about diseases, symptoms and treatments, answered by doctors.",
    "medicine_pubmedqa": "Biomedical research questions answered from the abstract of a study.",
    "finance_tatqa": "Questions about tables in companies' financial reports: revenue, costs, percentages.",
    "reasoning_bbh": "Logic puzzles and step-by-step symbolic reasoning tasks.",
    "code_humaneval": "Complete a Python function from its signature and docstring.",
}


MEASURES = {"share": 3, "variety": 0, "even": 0, "quality": 3, "KL(T, P_S)": 3, "lowest certificate": 4}
BEST = {"share": "max", "variety": "max", "even": "max"}
FEWER_DRAWS = 5
CENTROID, ROBIN = "nearest to the centred centroid", "RDS+-like round robin over the examples"
DEFAULTS = f"ours, the defaults ({DEFAULT_ALIGNMENT}, {DEFAULT_BREADTH})"


def build(data: Path) -> dict:
    """Take the pool through tagging, tree, grounding and scoring, with the embedded defaults."""
    model, tagger = MiniLM(), KeyphraseTagger()
    pool, examples = read_data(data)

    def own_tags(frame):
        tags = tagger.tag(frame["prompt"], frame["response"], frame["language"])
        return tags.with_columns(instance_id=frame["instance_id"].gather(tags["row"])).drop("row")

    vectors = embed_rows(row_texts(pool["prompt"], pool["response"]), model.embed).vectors
    tags = with_languages(own_tags(pool), pool)
    vocabulary = build_vocabulary(tags, model.embed)
    names, counts = vocabulary.tags["tag"], vocabulary.tags["count"].to_numpy()
    tag_vectors = model.embed(names.to_list())
    tree = tree_of(vocabulary, tag_vectors)

    def grounded(frame, own, rows):
        concepts = assign_concepts(rows, tag_vectors, counts, mean=vectors.mean(axis=0))
        ids = frame["instance_id"]
        both = combine(vocabulary.canonical(own), concepts, instance_ids=ids, tags=names)
        return ground(both.select("instance_id", "tag", "weight"), tree, ids)

    example_vectors = {
        name: model.embed(row_texts(frame["prompt"], frame["response"])) for name, frame in examples.items()
    }
    grounding = grounded(pool, tags, vectors)
    signals = text_signals(pool.select("instance_id", "prompt", "response"))
    return {
        "ids": pool["id"].to_list(),
        "tree": tree,
        "grounding": grounding,
        "quality": score(grounding, tree, signals)["quality"].to_numpy(),
        "vectors": vectors,
        "examples": {
            name: grounded(frame, own_tags(frame), example_vectors[name]) for name, frame in examples.items()
        },
        "example_vectors": example_vectors,
        "words": {name: model.embed([text]) for name, text in DESCRIPTIONS.items()},
    }


class Bench:
    def __init__(self, bed, truth):
        self.bed, self.truth = bed, truth
        self.supply = np.asarray(bed["grounding"].sum(axis=0)).ravel()
        self.n = bed["grounding"].shape[0]
        self.texts = text_groups(bed["grounding"], bed["vectors"])
        self.tables = {}
        self.picked = {}  # rows by line and target, and the figures of a selection

    def target(self, name, rows=None, back_off=None, *, text=True):
        examples = self.bed["examples"][name]
        vectors = self.bed["example_vectors"][name]
        if rows is not None:
            examples, vectors = examples[rows], vectors[rows]
        told = PoolText(vectors, self.bed["vectors"], self.bed["grounding"]) if text else None
        return target_from_examples(examples, self.bed["tree"], self.supply, back_off=back_off, text=told)

    def by_target(self, picks_of_targets):
        """Share and variety of each target."""
        found = []
        for picks, true in zip(picks_of_targets, self.truth.is_true, strict=True):
            of_domain = picks[true[picks]]
            found.append((len(of_domain) / len(picks), len(np.unique(self.truth.subdomain[of_domain]))))
        return found

    def measure(self, picks_of_targets):
        shares, variety, even, quality = [], [], [], []
        for picks, true in zip(picks_of_targets, self.truth.is_true, strict=True):
            found = picks[true[picks]]
            shares.append(len(found) / len(picks))
            counts = np.unique(self.truth.subdomain[found], return_counts=True)[1]
            variety.append(len(counts))
            p = counts / max(counts.sum(), 1)
            even.append(np.exp(-np.sum(p * np.log(p))))
            quality.append(self.bed["quality"][picks].mean())
        return np.mean(shares), sum(variety), sum(even), np.mean(quality), shares

    def head(self, title, first=""):
        self.rows = []
        self.tables[title] = Table({first: None} | MEASURES, self.rows, BEST)
        print(f"\n**{title}**\n\n| {' | '.join(self.tables[title].columns)} |", flush=True)

    def line(self, name, picks, figures=()):
        share, variety, even, quality, shares = self.measure(picks)
        self.picked[name] = picks, figures
        found = [name, float(share), variety, float(even), float(quality), *self.of_figures(figures)]
        self.rows.append(found)
        cells = ["" if cell is None else f"{cell:.4g}" for cell in found[1:]]
        print(f"| {name} | {' | '.join(cells)} | {' '.join(f'{s:.2f}' for s in shares)} |", flush=True)

    @staticmethod
    def of_figures(figures):
        """KL and least certificate of selections, where there are any."""
        if not figures:
            return [None, None]
        return [float(np.mean([f.kl for f in figures])), min(f.certificate for f in figures)]

    def mean_line(self, name, picks_of_draws, figures=()):
        """Set the means of several draws with the half-widths of their intervals."""
        *cells, _ = zip(*map(self.measure, picks_of_draws), strict=True)
        found = [name, *map(interval, cells), *self.of_figures(figures)]
        self.rows.append(found)
        print(
            f"| {name} | {' | '.join(f'{mean:.4g} ({half:.2g})' for mean, half in found[1:5])} |", flush=True
        )

    def top(self, scores, n):
        return [np.argsort(-score, kind="stable")[:n] for score in scores]

    def selections(self, targets, **request):
        asked = SelectionRequest(budget=Budget(fraction=0.05), texts=self.texts, **request)
        bed = self.bed
        return [select(bed["grounding"], bed["tree"], bed["quality"], t, asked) for t in targets]

    def run(self, name, targets, **request):
        found = self.selections(targets, **request)
        self.line(name, [f.rows for f in found], [f.figures for f in found])


def round_robin(vectors, examples):
    """RDS+-like: each example in turn takes its nearest row; scores whose order that is."""
    cosines = [centred(vectors) @ unit(e - vectors.mean(axis=0)).T for e in examples]
    ranks = [np.argsort(np.argsort(-like, axis=0), axis=0).min(axis=1) for like in cosines]
    return [like.max(axis=1) * 1e-6 - rank for like, rank in zip(cosines, ranks, strict=True)]


def front(bench):
    n = bench.n // 20
    bench.head("front", "50 examples")
    rng = np.random.default_rng(0)
    bench.line("random", [rng.choice(bench.n, n, replace=False) for _ in bench.truth.names])
    vectors, examples = bench.bed["vectors"], bench.bed["example_vectors"].values()
    bench.line(CENTROID, bench.top(centroid_scores(vectors, list(examples)), n))
    bench.line(ROBIN, bench.top(round_robin(vectors, list(examples)), n))
    targets = [bench.target(name) for name in bench.truth.names]
    for breadth in (0.0, 0.1, 0.3, 1.0):
        bench.run(f"ours, alignment 1, breadth {breadth:g}", targets, alignment=1.0, breadth=breadth)
    bench.run(DEFAULTS, targets)
    for alignment in (0.75, 0.5, 0.25, 0.0):
        if alignment != DEFAULT_ALIGNMENT:
            bench.run(f"ours, alignment {alignment:g}", targets, alignment=alignment)
    for share in (0.0, 0.5, 1.0):
        if share != DEFAULT_TEXT_SHARE:
            bench.run(f"ours, `text_share: {share:g}`", targets, text_share=share)
    by_target(bench)
    fewer_examples(bench, n)


def fewer_examples(bench, n):
    """Set the defaults beside the baselines where few examples are known, over several draws of them."""
    bench.head("fewer", "fewer examples")
    vectors, examples = bench.bed["vectors"], bench.bed["example_vectors"]
    for count in (20, 10, 5, 2):
        drawn = [
            {
                name: np.sort(np.random.default_rng([count, draw, at]).choice(50, count, replace=False))
                for at, name in enumerate(bench.truth.names)
            }
            for draw in range(FEWER_DRAWS)
        ]
        fewer = [[vectors_of[rows[name]] for name, vectors_of in examples.items()] for rows in drawn]
        for title, scores in (("centred centroid", centroid_scores), ("round robin", round_robin)):
            picks = [bench.top(scores(vectors, known), n) for known in fewer]
            bench.mean_line(f"{count}: {title}", picks)
        for title, knobs in (
            ("ours", {}),
            ("ours, alignment 1, breadth 0", {"alignment": 1.0, "breadth": 0.0}),
        ):
            made = [
                bench.selections([bench.target(name, rows[name]) for name in rows], **knobs) for rows in drawn
            ]
            bench.mean_line(
                f"{count}: {title}",
                [[one.rows for one in of_draw] for of_draw in made],
                [one.figures for of_draw in made for one in of_draw],
            )


def by_target(bench):
    """Set each target's figures beside one another, from the lines of the front."""
    lines = [bench.picked[name] for name in (DEFAULTS, CENTROID, ROBIN)]
    of_line = [bench.by_target(picks) for picks, _ in lines]
    rows = []
    for at, name in enumerate(bench.truth.names):
        figures = lines[0][1][at]
        rows.append(
            [
                TITLES[name],
                float(bench.truth.is_true[at].mean()),
                *(found[at][0] for found in of_line),
                ", ".join(f"{found[at][1]}" for found in of_line),
                f"{figures.kl:.3f}, {figures.kl_random:.3f}, {figures.kl_floor:.3f}",
                figures.certificate,
            ]
        )
    columns = {
        "target": None,
        **dict.fromkeys(("in the pool", "ours", "centroid", "round robin"), 3),
        "sub-domains: ours, centroid, round robin": None,
        "KL: ours, random rows, floor": None,
        "certificate": 4,
    }
    bench.tables["by target"] = Table(columns, rows)


def few(bench):
    smoothed = back_off_weights(bench.bed["tree"])
    flat = np.zeros_like(smoothed)
    flat[0], flat[-1] = 1 - smoothed[-1], smoothed[-1]
    target = target_from_pool(bench.bed["tree"], bench.supply)
    departs = departure(bench.bed["grounding"], target, bench.bed["tree"])
    rows = []
    for count in (2, 5, 20, 50):
        cells = [count]
        for weights, text in ((smoothed, True), (smoothed, False), (flat, False)):
            rng = np.random.default_rng(count)
            draws = []
            for _ in range(1 if count == 50 else 4):
                scores = []
                for target in bench.truth.names:
                    known = np.sort(rng.choice(50, count, replace=False))
                    asked = bench.target(target, known, weights, text=text)
                    near = closeness(bench.bed["grounding"], asked)
                    scores.append((near - near.mean()) / departs)
                draws.append(bench.measure(bench.top(scores, 500)))
            cells += [float(np.mean([draw[part] for draw in draws])) for part in range(2)]
        rows.append(cells)
        print("|", " | ".join(f"{cell:.4g}" for cell in cells), "|", flush=True)
    columns = {"examples": 0, "ours: share": 3, "ours: variety": 0}
    columns |= {"tree only: share": 3, "tree only: variety": 0}
    columns |= {"leaves and pool only: share": 3, "leaves and pool only: variety": 0}
    bench.tables["few"] = Table(columns, rows)


def estimate(bench):
    """Cross-entropy of the concepts of 25 examples under T of some of the others, less that under pi."""
    smoothed = back_off_weights(bench.bed["tree"])
    flat = np.zeros_like(smoothed)
    flat[0], flat[-1] = 1 - smoothed[-1], smoothed[-1]
    rows = []
    for count in (2, 5, 12, 25):
        found = []
        for name in bench.truth.names:
            for draw in range(4):
                order = np.random.default_rng(draw).permutation(50)
                told, asked = np.sort(order[:count]), bench.bed["examples"][name][np.sort(order[25:])]
                mean = np.asarray(asked.sum(axis=0)).ravel() / asked.sum()
                targets = [bench.target(name, told, flat, text=False), bench.target(name, told, text=False)]
                targets.append(bench.target(name, told))
                found.append([float(mean @ np.log(t.pool / t.mass)) for t in targets])
        rows.append([count, *np.mean(found, axis=0).tolist()])
        print("|", " | ".join(f"{cell:.3f}" for cell in rows[-1]), "|", flush=True)
    columns = {
        "examples": 0,
        "leaves and pool only": 3,
        "smoothed down the tree": 3,
        "and with similar rows": 3,
    }
    bench.tables["estimate"] = Table(columns, rows)


def ways(bench):
    bench.head("ways")
    tree, supply, names = bench.bed["tree"], bench.supply, bench.truth.names
    bench.run("50 examples", [bench.target(name) for name in names])
    bench.run("5 examples (the first)", [bench.target(name, np.arange(5)) for name in names])
    rows = {"row_vectors": bench.bed["vectors"], "grounding": bench.bed["grounding"]}
    for title, options in (
        ("a one-sentence description, by the nearest rows", rows),
        ("the same, by the nearest leaves", {}),
    ):
        words = [target_from_description(bench.bed["words"][name], tree, supply, **options) for name in names]
        bench.run(title, words)
    bench.run("weights on the three nearest nodes two levels up", [weights_of(bench, name) for name in names])


def weights_of(bench, name):
    """Do what a reader of the tree would: name the three nearest concepts two levels above leaves."""
    tree, vector = bench.bed["tree"], bench.bed["words"][name]
    nodes = np.flatnonzero(tree.level == min(2, int(tree.level.max()) - 1))
    mean = tree.vectors[nodes].mean(axis=0)
    near = nodes[np.argsort(-(unit(tree.vectors[nodes] - mean) @ unit(vector - mean)[0]))[:3]]
    weights = {tree.node_ids[v]: 1.0 for v in near}
    rows = {"row_vectors": bench.bed["vectors"], "grounding": bench.bed["grounding"]}
    return target_from_weights(weights, tree, bench.supply, **rows)


def everything(bench):
    print(f"\n**global, {bench.n // 20} picks**\n")
    print("| | sub-domains | effective sub-domains | quality | certificate |")
    print("|---|---|---|---|---|")
    target = target_from_pool(bench.bed["tree"], bench.supply)

    def line(name, rows, certificate=""):
        _, counts = np.unique(bench.truth.subdomain[rows], return_counts=True)
        p = counts / counts.sum()
        effective = np.exp(-np.sum(p * np.log(p)))
        quality = bench.bed["quality"][rows].mean()
        print(f"| {name} | {len(counts)} | {effective:.0f} | {quality:.3f} | {certificate} |", flush=True)

    n = bench.n // 20
    line("random", np.random.default_rng(0).choice(bench.n, n, replace=False))
    line("highest quality", np.argsort(-bench.bed["quality"], kind="stable")[:n])
    plain, temper = problem.node_weights, objective.FAIR_TEMPER
    variants = {"ours": {}}
    variants |= {f"capacity {c} x fair share": {"capacity_share": c} for c in (0.3, 1.0, 10.0)}
    for name, options in variants.items():
        problem.node_weights = lambda *args, options=options: plain(*args, **options)
        found = bench.selections([target])[0]
        line(name, found.rows, f"{found.figures.certificate:.4f}")
    for power in (0.0, 1.0):
        problem.node_weights, objective.FAIR_TEMPER = plain, power
        found = bench.selections([target])[0]
        line(f"fair share pi^{power:g}", found.rows, f"{found.figures.certificate:.4f}")
    objective.FAIR_TEMPER = temper
    for name, weigh in {
        "leaves alone (no tree)": lambda tree: (tree.level == 0) * 1.0,
        "every branch of length 1": lambda tree: (tree.level < tree.level.max()) * 1.0,
    }.items():
        problem.node_weights = lambda tree, *args, weigh=weigh: replace(
            plain(tree, *args), weight=weigh(tree)
        )
        found = bench.selections([target])[0]
        line(name, found.rows, f"{found.figures.certificate:.4f}")
    problem.node_weights = plain


def open_bench(data: Path, cache: Path | None) -> Bench:
    """Open the grounded pool kept in `cache`, or ground the pool in `data` and keep it there."""
    if not (data / "pool_mixed.jsonl.gz").is_file():
        sys.exit(f"{data}: pool_mixed.jsonl.gz is not there. Name its folder with --data.")
    if cache and cache.is_file():
        bed = pickle.loads(cache.read_bytes())  # noqa: S301 (our own file)
    else:
        bed = build(data)
        if cache:
            cache.write_bytes(pickle.dumps(bed))
    return Bench(bed, read_truth(data, bed["ids"], list(bed["examples"])))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cache", type=Path, help="keep the grounded pool here")
    parser.add_argument("--only", choices=["front", "few", "estimate", "ways", "global"], action="append")
    given = parser.parse_args()
    bench = open_bench(given.data, given.cache)
    for name, table in {
        "front": front,
        "few": few,
        "estimate": estimate,
        "ways": ways,
        "global": everything,
    }.items():
        if name in (given.only or ["front", "few", "estimate", "ways"]):
            table(bench)
    if not given.only:
        save("selection_front", bench.tables)


if __name__ == "__main__":
    main()
