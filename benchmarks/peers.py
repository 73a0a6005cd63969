"""Ours beside its peers: one pool, one budget, measures that none of them optimises.

    python benchmarks/peers.py HOME               # results/peers.json; about six minutes a seed on one core
    python benchmarks/peers.py HOME --seeds 3

HOME is made by ``tags-assets select ../shared/data/pool_mixed.jsonl.gz --home HOME``; its tags, vectors, tree
and grounding are used by all methods. Each seed leaves out a tenth of the rows, adds corrupted twins (see
``corrupted_twins.py``) of a twentieth, and takes 40 of a target's 50 examples; a budget of 5%. Means over the
seeds with the half-width of their 95% interval (Student).

- sub-domains: distinct hidden sub-domains among the picks; even: their effective number, exp of the entropy;
  for a target those of its domain alone, summed over the eight targets;
- share: of the picks, those truly of the target's domain (mean of the targets);
- twins: share of the picks that are corrupted; near: share of the picks within cosine .95 of an earlier pick.
"""

# The checkout comes first on the path.
# ruff: noqa: E402

from __future__ import annotations

import argparse
import pickle
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import samplers
from alignment_probe import ROOT, read_data, read_truth
from corrupted_twins import corrupted_twins
from results import Table, interval, save
from tree_purity import kmeans_rounds

from tags_assets.formats.conversation import texts
from tags_assets.method.concepts.assignment import assign_concepts, combine
from tags_assets.method.concepts.vocabulary import Vocabulary
from tags_assets.method.scoring.scores import score
from tags_assets.method.scoring.text_signals import SIGNALS, text_signals
from tags_assets.method.selection.near_texts import text_groups
from tags_assets.method.selection.request import Budget, SelectionRequest
from tags_assets.method.selection.selector import select
from tags_assets.method.tagging.keyphrase import KeyphraseTagger
from tags_assets.method.target.distribution import PoolText, target_from_examples, target_from_pool
from tags_assets.method.text.embedding import row_texts, unit
from tags_assets.method.tree.knowledge_tree import KnowledgeTree
from tags_assets.models.minilm import MiniLM
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.upstream import Inputs, read_tree

READ = (
    "raw_instances",
    "tag_vocabulary",
    "tag_embeddings",
    "instance_embeddings",
    "instance_tags",
    "knowledge_tree",
    "instance_scores",
)


@dataclass(frozen=True, eq=False)
class Bed:
    """The pool with its twins behind it, and the examples of the targets."""

    rows: pl.DataFrame  # instance_id, id, prompt, response and the text signals
    is_twin: np.ndarray
    weights: sparse.csr_array  # of all tags, rows of sum 1
    pool: samplers.Pool
    trees: dict[str, tuple[KnowledgeTree, sparse.csr_array]]  # with tag -> leaf
    examples: dict[str, sparse.csr_array]  # tags of the examples
    example_rows: dict[str, pl.DataFrame]
    example_vectors: dict[str, np.ndarray]
    truth: object


def kept_bed(path, home, data, n_twins):
    """Read the bed from a file where there is one, else make it and keep it there (no path: only make it)."""
    if path and path.is_file():
        return pickle.loads(path.read_bytes())  # noqa: S301 (our own file)
    bed = read_bed(home, data, n_twins)
    if path:
        path.write_bytes(pickle.dumps(bed))
    return bed


def read_bed(home, data, n_twins):
    """Take everything from a home, and put twins of `n_twins` rows through the same steps."""
    store = ArtifactStore(home)
    inputs = Inputs(store, {asset: store.current(asset) for asset in READ}, lambda _done, _total: None)
    tree = read_tree(inputs)
    tags = inputs.vectors("tag_embeddings", "tag")
    vectors = inputs.vectors("instance_embeddings", "instance_id")
    vocabulary = Vocabulary(inputs.read("tag_vocabulary"), inputs.read("tag_vocabulary", "aliases"))
    counts = vocabulary.tags["count"].to_numpy()
    said = inputs.read("raw_instances", columns=["instance_id", "id", "language", "messages"])
    rows = inputs.read("instance_scores", columns=["instance_id", *SIGNALS])
    rows = rows.join(
        texts(said).with_columns(said["id"], said["language"]), on="instance_id", maintain_order="left"
    )
    model, tagger, mean = MiniLM(), KeyphraseTagger(), vectors.matrix.mean(axis=0)

    def tagged(frame):
        found = tagger.tag(frame["prompt"], frame["response"], frame["language"])
        own = found.with_columns(instance_id=frame["instance_id"].gather(found["row"])).drop("row")
        of_frame = model.embed(row_texts(frame["prompt"], frame["response"]))
        concepts = assign_concepts(of_frame, tags.matrix, counts, mean=mean)
        both = combine(vocabulary.canonical(own), concepts, instance_ids=frame["instance_id"], tags=tags.ids)
        return both, of_frame

    rng = np.random.default_rng(0)
    original = np.sort(rng.choice(len(rows), n_twins, replace=False))
    twins = corrupted_twins(rows[original], rows[np.setdiff1d(np.arange(len(rows)), original)])
    twins = twins.sample(fraction=1.0, shuffle=True, seed=0).unique("instance_id", maintain_order=True)
    languages = rows.select("instance_id", "language")
    twins = twins.join(languages, on="instance_id", how="left", maintain_order="left")
    twins = twins.with_columns(id=pl.lit(""), instance_id="twin of " + pl.col("instance_id"))
    twins = twins.join(text_signals(twins), on="instance_id", maintain_order="left")
    of_twins, twin_vectors = tagged(twins)
    _, pool_examples = read_data(data)
    examples = {name: tagged(frame) for name, frame in pool_examples.items()}
    all_rows = pl.concat([rows, twins.select(rows.columns)], how="vertical_relaxed")
    all_tags = pl.concat([inputs.read("instance_tags"), of_twins], how="vertical_relaxed")
    place = pl.DataFrame({"instance_id": vectors.ids}).with_row_index("at")
    at = rows.join(place, on="instance_id", how="left", maintain_order="left")["at"].to_numpy()
    named = _matrix(all_tags.filter(pl.col("origin") != "assigned"), all_rows["instance_id"], tags.ids)
    weights = _matrix(all_tags, all_rows["instance_id"], tags.ids)
    leaf_of = dict(zip(tree.tags, tree.tag_leaf.tolist(), strict=True))
    ours = np.array([leaf_of[tag] for tag in tags.ids])
    trees = {
        "ours": (tree, _leaves(ours, tree.n_leaves)),
        "flat tags": (_flat(tags.matrix), _leaves(np.arange(len(tags.ids)), len(tags.ids))),
        "K-Means rounds": _plain(tags.matrix, np.bincount(tree.level)[:-1].tolist()),
    }
    quality = score(weights @ trees["ours"][1], tree, all_rows.select("instance_id", *SIGNALS))["quality"]
    return Bed(
        rows=all_rows,
        is_twin=np.arange(len(all_rows)) >= len(rows),
        weights=weights,
        pool=samplers.Pool(
            texts=_texts(all_rows),
            length=all_rows["response"].str.len_chars().to_numpy().astype(np.int64),
            vectors=np.concatenate([vectors.matrix[at], twin_vectors]),
            tags=named,
            tag_vectors=tags.matrix,
            quality=quality.to_numpy(),
        ),
        trees=trees,
        examples={
            name: _matrix(found, pool_examples[name]["instance_id"], tags.ids)
            for name, (found, _) in examples.items()
        },
        example_rows=pool_examples,
        example_vectors={name: found for name, (_, found) in examples.items()},
        truth=read_truth(data, all_rows["id"].to_list(), list(examples)),
    )


def _texts(frame):
    return (frame["prompt"].fill_null("") + " " + frame["response"].fill_null("")).to_list()


def _matrix(tags, ids, names):
    """Weights of tags, CSR (n_rows, n_tags), rows of sum 1 or 0."""
    rows = pl.DataFrame({"instance_id": pl.Series(ids)}).with_row_index("row")
    columns = pl.DataFrame({"tag": pl.Series(names)}).with_row_index("column")
    held = tags.join(rows, on="instance_id").join(columns, on="tag").sort("row", "column")
    shape = len(rows), len(columns)
    found = sparse.csr_array(
        (held["weight"].to_numpy().astype(float), (held["row"].to_numpy(), held["column"].to_numpy())), shape
    )
    total = np.asarray(found.sum(axis=1)).ravel()
    return sparse.csr_array(found.multiply(1 / np.where(total > 0, total, 1)[:, None]))


def _leaves(leaf, n_leaves):
    return sparse.csr_array((np.ones(len(leaf)), leaf, np.arange(len(leaf) + 1)), shape=(len(leaf), n_leaves))


def _tree(parents, levels, vectors):
    n = len(parents)
    branch = np.zeros(n)
    branch[:-1] = np.maximum(1 - np.sum(vectors[:-1] * vectors[parents[:-1]], axis=1), 0.0)
    ids = tuple(map(str, range(n)))
    leaves = int(np.count_nonzero(np.asarray(levels) == 0))
    return KnowledgeTree(
        node_ids=ids,
        parent=np.asarray(parents, dtype=np.int32),
        level=np.asarray(levels, dtype=np.int16),
        branch_length=branch,
        names=ids,
        descriptions=("",) * n,
        vectors=vectors.astype(np.float32),
        tags=ids[:leaves],
        tag_leaf=np.arange(leaves, dtype=np.int32),
    )


def _flat(tag_vectors):
    """Every tag a leaf of its own below the root: no tree."""
    n = len(tag_vectors)
    vectors = np.concatenate([tag_vectors, unit(tag_vectors.mean(axis=0, keepdims=True))])
    tree = _tree([n] * n + [-1], [0] * n + [1], vectors)
    return replace(tree, branch_length=np.append(np.ones(n), 0.0))


def _plain(tag_vectors, sizes):
    """The published rounds: plain K-Means on each level, of our level sizes."""
    labels = [*kmeans_rounds(tag_vectors, sizes), np.zeros(len(tag_vectors), dtype=np.int64)]
    n_nodes = [int(label.max()) + 1 for label in labels]
    start = np.concatenate([[0], np.cumsum(n_nodes)])
    parents, levels, vectors = [], [], []
    for h, label in enumerate(labels):
        _, first = np.unique(label, return_index=True)
        above = labels[h + 1][first] + start[h + 1] if h + 1 < len(labels) else np.array([-1])
        parents += above.tolist()
        levels += [h] * n_nodes[h]
        vectors.append(unit(np.asarray(_leaves(label, n_nodes[h]).T @ tag_vectors)))
    return _tree(parents, levels, np.concatenate(vectors)), _leaves(labels[0], n_nodes[0])


@lru_cache(maxsize=1)
def _ngrams(bed):
    return samplers.hashed_ngrams(bed.pool.texts)


class Round:
    """One seed: which rows may be picked, which examples are known, by target."""

    def __init__(self, bed, rows, examples, rng):
        self.bed, self.rows, self.examples, self.rng = bed, rows, examples, rng
        whole = bed.pool
        self.pool = samplers.Pool(
            texts=[whole.texts[row] for row in rows],
            length=whole.length[rows],
            vectors=whole.vectors[rows],
            tags=whole.tags[rows],
            tag_vectors=whole.tag_vectors,
            quality=whole.quality[rows],
        )
        self.k = len(rows) // 20
        self.grounded = {name: bed.weights[rows] @ leaves for name, (_, leaves) in bed.trees.items()}
        self.like_texts = {}

    @cached_property
    def counts(self):
        """Hashed n-grams of the rows, which only some methods want."""
        return _ngrams(self.bed)[self.rows]

    @classmethod
    def drawn(cls, bed, seed):
        """Nine tenths of the rows with twins among them, and 40 of each target's 50 examples."""
        rng = np.random.default_rng(seed)
        originals, twins = np.flatnonzero(~bed.is_twin), np.flatnonzero(bed.is_twin)
        kept = rng.choice(originals, int(0.9 * len(originals)), replace=False)
        added = rng.choice(twins, min(len(originals) // 20, len(twins)), replace=False)
        examples = {name: np.sort(rng.choice(50, 40, replace=False)) for name in bed.examples}
        return cls(bed, np.sort(np.concatenate([kept, added])), examples, rng)

    def ours(self, name, target=None, **options):
        """Our selection on one of the trees."""
        tree, leaves = self.bed.trees[name]
        grounding = sparse.csr_array(self.grounded[name])
        supply = np.asarray(grounding.sum(axis=0)).ravel()
        if target is None:
            asked = target_from_pool(tree, supply)
        else:
            known = self.examples[target]
            wanted = sparse.csr_array(self.bed.examples[target][known] @ leaves)
            text = PoolText(self.bed.example_vectors[target][known], self.pool.vectors, grounding)
            asked = target_from_examples(wanted, tree, supply, text=text)
        if name not in self.like_texts:
            self.like_texts[name] = text_groups(grounding, self.pool.vectors)
        request = SelectionRequest(budget=Budget(rows=self.k), texts=self.like_texts[name], **options)
        return select(grounding, tree, self.pool.quality, asked, request).rows

    def everything(self):
        """Methods without a target."""
        pool, k, rng = self.pool, self.k, self.rng
        yield "random", lambda: rng.choice(len(pool), k, replace=False)
        yield "longest answers", lambda: samplers.top(pool.length, k)
        yield "highest quality (ours)", lambda: samplers.top(pool.quality, k)
        yield "k-center", lambda: samplers.k_center(pool, k, rng)
        yield "K-Means representatives", lambda: samplers.k_means(pool, k, rng)
        yield "DEITA", lambda: samplers.deita(pool, k)
        yield "InsTag, complexity first", lambda: samplers.instag(pool, k)
        yield "MIG", lambda: samplers.mig(pool, k)
        yield "ours, flat tags", lambda: self.ours("flat tags")
        yield "ours, plain K-Means rounds", lambda: self.ours("K-Means rounds")
        yield "ours, information gain alone", lambda: self.ours("ours", alignment=0.0)
        yield "ours", lambda: self.ours("ours")

    def targeted(self, target):
        """Methods that know a target's examples."""
        pool, k, rng, known = self.pool, self.k, self.rng, self.examples[target]
        vectors = self.bed.example_vectors[target][known]
        counts = samplers.hashed_ngrams(_texts(self.bed.example_rows[target][known]))
        yield "random", lambda: rng.choice(len(pool), k, replace=False)
        yield "DSIR, hashed n-grams", lambda: samplers.dsir(self.counts, counts, k, rng)
        yield "centred centroid", lambda: samplers.centroid(pool, vectors, k)
        yield "RDS+ round robin", lambda: samplers.round_robin(pool, vectors, k)
        yield "ours, flat tags", lambda: self.ours("flat tags", target)
        yield "ours, plain K-Means rounds", lambda: self.ours("K-Means rounds", target)
        yield "ours, concepts alone", lambda: self.ours("ours", target, text_share=0.0)
        yield "ours, tree without KL", lambda: self.ours("ours", target, alignment=0.0)
        yield "ours", lambda: self.ours("ours", target)

    def figures(self, picks, seconds, true=None):
        """Measure a selection by the hidden labels."""
        assert len(set(picks.tolist())) == self.k
        rows = self.rows[picks]
        twin = self.bed.is_twin[rows]
        cosine = np.tril(self.pool.vectors[picks] @ self.pool.vectors[picks].T, -1)
        found = rows[~twin] if true is None else rows[~twin & true[rows]]
        _, counts = np.unique(self.bed.truth.subdomain[found], return_counts=True)
        p = counts / max(counts.sum(), 1)
        return {
            "share": len(found) / len(rows),
            "sub-domains": len(counts),
            "even": float(np.exp(-np.sum(p * np.log(p)))),
            "twins": float(twin.mean()),
            "near": float((cosine.max(axis=1) >= 0.95).mean()),
            "seconds": seconds,
        }


def timed(work):
    start = time.perf_counter()
    found = np.asarray(work())
    return found, time.perf_counter() - start


def run(bed, seeds):
    """Figures by table and method, one dict a seed."""
    tables = {"global": defaultdict(list), "targets": defaultdict(list)}
    by_target = defaultdict(lambda: defaultdict(list))
    for seed in seeds:
        one = Round.drawn(bed, seed)
        for method, work in one.everything():
            tables["global"][method].append(one.figures(*timed(work)))
        of_method = defaultdict(list)
        for target, true in zip(bed.truth.names, bed.truth.is_true, strict=True):
            for method, work in one.targeted(target):
                found = one.figures(*timed(work), true)
                of_method[method].append(found)
                by_target[target][method].append(found["share"])
        for method, found in of_method.items():
            sums = {"sub-domains", "even"}
            tables["targets"][method].append(
                {
                    name: (np.sum if name in sums else np.mean)([one[name] for one in found])
                    for name in found[0]
                }
            )
        print(f"seed {seed} done", file=sys.stderr, flush=True)
    return tables, by_target, one.k


MEASURES = {"share": 3, "sub-domains": 0, "even": 0, "twins": 3, "near": 3}
BEST = {"share": "max", "sub-domains": "max", "even": "max", "twins": "min", "near": "min"}


def seconds(found):
    """Give the median: the first call of some methods compiles them."""
    return float(np.median([one["seconds"] for one in found]))


def table_of(found_by_method, measures):
    rows = [
        [method, *(interval([one[name] for one in found]) for name in measures), seconds(found)]
        for method, found in found_by_method.items()
    ]
    best = {name: which for name, which in BEST.items() if name in measures}
    return Table({"": None, **{name: MEASURES[name] for name in measures}, "seconds": 1}, rows, best)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--twins", type=int, default=1_200, help="rows of which one corrupted twin is made")
    parser.add_argument("--bed", type=Path, help="file that keeps the prepared pool for the next run")
    given = parser.parse_args()
    for needed in (given.home / "warehouse.duckdb", given.data / "pool_mixed.jsonl.gz"):
        if not needed.is_file():
            sys.exit(f"{needed} is not there. See the head of {Path(__file__).name}.")
    bed = kept_bed(given.bed, given.home, given.data, given.twins)
    tables, by_target, k = run(bed, range(given.seeds))
    methods = list(tables["targets"])
    pool_share = [float(true[~bed.is_twin].mean()) for true in bed.truth.is_true]
    shares = [
        [target, pooled, *(interval(found[method]) for method in methods)]
        for (target, found), pooled in zip(by_target.items(), pool_share, strict=True)
    ]
    save(
        "peers",
        {
            "global": table_of(tables["global"], [name for name in MEASURES if name != "share"]),
            "targets": table_of(tables["targets"], list(MEASURES)),
            "share by target": Table({"": None, "in the pool": 3, **dict.fromkeys(methods, 3)}, shares),
        },
        {"seeds": given.seeds, "picks": k},
    )


if __name__ == "__main__":
    import peers

    peers.main()  # not this copy of the module: a bed that is kept must be readable for who imports it
