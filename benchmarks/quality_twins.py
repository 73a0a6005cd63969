"""Does the quality score tell corrupted twins from their originals, and does it merely like length?

    python benchmarks/quality_twins.py               # ../shared/data/pool_mixed.jsonl.gz, 2,000 rows
    python benchmarks/quality_twins.py --text-only   # without tags and tree: half a minute
    python benchmarks/quality_twins.py --json out.json

For each kind of twin: the area under the ROC curve (the probability that an original scores above a twin,
ties half) of each text signal, each tree-aware term, their joins and the quality; the quality again within
each domain (where a file of hidden labels lies beside the pool); the quality without each term. Tree-aware
terms are scored in one pool for each kind: all sampled rows and the twins of that kind of `--tagged` of them,
tagged as the pipeline does (phrases, and concepts by vectors) on the tree of the originals.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse
from scipy.stats import rankdata, spearmanr

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from alignment_probe import tree_of, with_languages  # noqa: E402
from corrupted_twins import KINDS, corrupted_twins  # noqa: E402 - the checkout comes first on the path

from tags_assets.formats.conversation import texts  # noqa: E402
from tags_assets.formats.pool import read_pool  # noqa: E402
from tags_assets.method.concepts.assignment import assign_concepts, combine  # noqa: E402
from tags_assets.method.concepts.vocabulary import build_vocabulary  # noqa: E402
from tags_assets.method.scoring.scores import ScoringConfig, score, soundness  # noqa: E402
from tags_assets.method.scoring.text_signals import SIGNALS, text_signals  # noqa: E402
from tags_assets.method.tagging.keyphrase import KeyphraseTagger  # noqa: E402
from tags_assets.method.text.embedding import row_texts  # noqa: E402
from tags_assets.method.tree.grounding import ground  # noqa: E402
from tags_assets.models.minilm import MiniLM  # noqa: E402

TREE_TERMS = ("information_content", "concepts", "spread", "peer_standing")


def read_texts(pool: Path, cache: Path) -> pl.DataFrame:
    """Kept rows of a pool: ``instance_id, id, language, prompt, response``."""
    columns = ["instance_id", "id", "language", "messages", "duplicate_of"]
    rows = read_pool([pool], cache=cache).instances.select(columns).collect()
    rows = rows.filter(pl.col("duplicate_of").is_null())
    return texts(rows).with_columns(rows["id"], rows["language"])


def domains(pool: Path, rows: pl.DataFrame) -> pl.Series:
    """The hidden domain of each row, empty where there is no file of labels."""
    labels = pool.parent / f"{pool.name.removesuffix('.jsonl.gz')}.labels.csv.gz"
    if not labels.exists():
        return pl.Series([""] * len(rows))
    known = pl.read_csv(labels).select("id", "domain")
    return rows.join(known, on="id", how="left", maintain_order="left")["domain"].fill_null("")


def auc(originals: np.ndarray, twins: np.ndarray) -> float:
    """The probability that an original scores above a twin, ties half."""
    n, m = len(originals), len(twins)
    if n == 0 or m == 0:
        return float("nan")
    ranks = rankdata(np.concatenate([originals, twins]))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def text_table(rows: pl.DataFrame, twins: pl.DataFrame) -> tuple[dict, dict]:
    """AUC of each signal and of soundness, per kind and overall; and figures of time and length."""
    start = time.process_time()
    of_rows, of_twins = text_signals(rows), text_signals(twins)
    seconds = time.process_time() - start
    weights = ScoringConfig().signals
    found = {name: (1 - of_rows[name].to_numpy(), 1 - of_twins[name].to_numpy()) for name in SIGNALS} | {
        "soundness": (soundness(of_rows, weights), soundness(of_twins, weights))
    }
    for name in SIGNALS:
        without = dict(weights) | {name: 0.0}
        found[f"soundness without {name}"] = (soundness(of_rows, without), soundness(of_twins, without))
    table = {}
    for name, (original, twin) in found.items():
        per_kind = {}
        for kind in KINDS:
            of_kind = (twins["kind"] == kind).to_numpy()
            paired = rows["instance_id"].is_in(twins.filter(of_kind)["instance_id"].implode()).to_numpy()
            per_kind[kind] = auc(original[paired], twin[of_kind])
        table[name] = per_kind | {"all": auc(original, twin), "flagged": float((original < 0.5).mean())}
    length = rows["response"].str.len_chars().to_numpy()
    figures = {
        "rows": len(rows),
        "twins": len(twins),
        "cpu_seconds_signals": round(seconds, 2),
        "spearman_length_soundness": float(spearmanr(found["soundness"][0], length).statistic),
    }
    return table, figures


class Tagger:
    """The embedded tagger: phrases, and concepts assigned by the row's vector, on one tree."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self._phrases = KeyphraseTagger()
        self._of_rows, self._of_tags = MiniLM(max_tokens=64), MiniLM(max_tokens=24)
        written = with_languages(self._written(rows), rows)
        self.vocabulary = build_vocabulary(written, self._of_tags.embed)
        self.tags = self.vocabulary.tags["tag"]
        self.counts = self.vocabulary.tags["count"].to_numpy()
        self.tag_vectors = self._of_tags.embed(self.tags.to_list())
        self.tree = tree_of(self.vocabulary, self.tag_vectors)
        vectors = self._vectors(rows)
        self.mean = vectors.mean(axis=0)
        self.grounding = self._ground(rows, written, vectors)

    def ground(self, rows: pl.DataFrame):
        """Ground other rows on the tree, read against the mean of the first ones."""
        return self._ground(rows, self._written(rows), self._vectors(rows))

    def _written(self, rows: pl.DataFrame) -> pl.DataFrame:
        found = self._phrases.tag(rows["prompt"], rows["response"], rows["language"])
        ids = pl.Series("instance_id", rows["instance_id"]).gather(found["row"])
        return found.select("tag", "weight").with_columns(ids)

    def _vectors(self, rows: pl.DataFrame) -> np.ndarray:
        return self._of_rows.embed(row_texts(rows["prompt"], rows["response"]))

    def _ground(self, rows: pl.DataFrame, written: pl.DataFrame, vectors: np.ndarray):
        assigned = assign_concepts(vectors, self.tag_vectors, self.counts, mean=self.mean)
        named = self.vocabulary.canonical(written)
        tags = combine(named, assigned, instance_ids=rows["instance_id"], tags=self.tags)
        return ground(tags, self.tree, rows["instance_id"])


def tree_table(
    rows: pl.DataFrame, twins: pl.DataFrame, domain: pl.Series, tagged: int, seed: int
) -> tuple[dict, dict]:
    """AUC of the tree-aware terms and of the quality, with every term and without each; and figures."""
    tagger = Tagger(rows)
    signals, length = text_signals(rows), rows["response"].str.len_chars().to_numpy()
    variants = {"quality": ScoringConfig()} | ablations()
    alone = score(tagger.grounding, tagger.tree, signals)
    figures = {
        "tags": len(tagger.tags),
        "nodes": tagger.tree.n_nodes,
        **{
            f"spearman_length_{name}": float(spearmanr(alone[name].to_numpy(), length).statistic)
            for name in ("quality", "richness", *TREE_TERMS)
        },
    }
    table: dict[str, dict[str, float]] = {}
    pooled: dict[str, list] = {}
    for kind in KINDS:
        some = twins.filter(pl.col("kind") == kind).sample(fraction=1.0, shuffle=True, seed=seed).head(tagged)
        some = some.join(rows.select("instance_id", "language"), on="instance_id", maintain_order="left")
        of_domain = rows.select("instance_id", domain=domain)
        some = some.join(of_domain, on="instance_id", maintain_order="left")
        paired = rows["instance_id"].is_in(some["instance_id"].implode()).to_numpy()
        own_ids = some.with_columns(instance_id="twin of " + pl.col("instance_id"))
        both = sparse.csr_array(sparse.vstack([tagger.grounding, tagger.ground(own_ids)], format="csr"))
        all_signals = pl.concat([signals, text_signals(own_ids)])
        for variant, config in variants.items():
            scores = score(both, tagger.tree, all_signals, config=config)
            terms = (
                ("quality", "soundness", "richness", *TREE_TERMS) if variant == "quality" else ("quality",)
            )
            for term in terms:
                values = scores[term].to_numpy()
                original, twin = values[: len(rows)][paired], values[len(rows) :]
                name = term if variant == "quality" else variant
                table.setdefault(name, {})[kind] = auc(original, twin)
                pooled.setdefault(name, []).append((original, twin))
                if name == "quality":
                    within = _within(
                        original, domain.filter(paired).to_numpy(), twin, some["domain"].to_numpy()
                    )
                    table.setdefault("quality within a domain", {})[kind] = within
    for name, parts in pooled.items():
        table[name]["all"] = auc(*(np.concatenate(side) for side in zip(*parts, strict=True)))
    inside = table["quality within a domain"]
    inside["all"] = float(np.mean([inside[kind] for kind in KINDS]))
    return table, figures


def ablations() -> dict[str, ScoringConfig]:
    """The quality without each term that it has, and with each that it could have."""
    full = ScoringConfig()
    found = {
        "quality without richness": replace(full, richness=0.0),
        "quality without peer_standing": replace(full, standing=0.0),
        "quality without tree": replace(full, richness=0.0, standing=0.0),
    }
    for term, weight in full.terms.items():
        # A term that has no weight is shown with one.
        name = f"quality {'without' if weight else 'with'} {term}"
        found[name] = replace(full, terms=dict(full.terms) | {term: 0.0 if weight else 1.0})
    return found


def _within(original, of_original, twin, of_twin) -> float:
    """The mean over domains, weighted by their twins, of the AUC among a domain's rows alone."""
    found = [
        (auc(original[of_original == one], twin[of_twin == one]), int((of_twin == one).sum()))
        for one in sorted(set(of_twin.tolist()))
        if (of_twin == one).sum() >= 10
    ]
    return (
        float(np.average([value for value, _ in found], weights=[n for _, n in found]))
        if found
        else float("nan")
    )


def show(table: dict, figures: dict) -> None:
    columns = [*KINDS, "all"]
    print(f"{'':34s}" + "".join(f"{name[:10]:>12s}" for name in columns))
    for name, values in table.items():
        print(f"{name:34s}" + "".join(f"{values[column]:12.3f}" for column in columns))
    for name, value in figures.items():
        print(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pool", type=Path, default=ROOT.parent / "shared/data/pool_mixed.jsonl.gz")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--tagged", type=int, default=400, help="twins of each kind that are tagged")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--text-only", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        kept = read_texts(args.pool, Path(cache))
    rows = kept.sample(args.rows, seed=args.seed)
    donors = kept.filter(~pl.col("instance_id").is_in(rows["instance_id"].implode()))
    twins = corrupted_twins(rows, donors, seed=args.seed)
    table, figures = text_table(rows, twins)
    start = time.process_time()
    text_signals(kept)
    figures |= {
        "cpu_seconds_signals_whole_pool": round(time.process_time() - start, 2),
        "rows_of_pool": len(kept),
    }
    show(table, figures)
    result = {"text": table, "text_figures": figures}
    if not args.text_only:
        table, figures = tree_table(rows, twins, domains(args.pool, rows), args.tagged, args.seed)
        show(table, figures)
        result |= {"tree": table, "tree_figures": figures}
    if args.json:
        args.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
