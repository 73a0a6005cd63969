"""How well do tags find a target's rows, beside the rows' vectors? A probe of the tagger and of assignment.

    python benchmarks/alignment_probe.py              # ../shared/data, about four minutes on two cores
    python benchmarks/alignment_probe.py --teacher    # vectors of all rows by the embedder itself
    python benchmarks/alignment_probe.py --concepts 8 16 24 --shares 0.7 0.85 1

Eight held-out targets, 50 examples each; the rows of the pool with the highest closeness (the log of target
to pool on the tree's leaves, smoothed down the tree; no coverage, no quality), beside those whose vectors lie
nearest to the centroid of the examples', mean-centred. The hidden labels are used for measuring alone.

- share: of the picks, those truly of the target's domain; the mean of the targets.
- variety: distinct sub-domains of the domain among the true picks; the sum of the targets.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tags_assets.formats.conversation import texts  # noqa: E402 - the checkout comes first on the path
from tags_assets.formats.pool import read_pool  # noqa: E402
from tags_assets.method.concepts.assignment import N_CONCEPTS, assign_concepts, combine  # noqa: E402
from tags_assets.method.concepts.student import N_TEACHER, embed_rows  # noqa: E402
from tags_assets.method.concepts.vocabulary import build_vocabulary  # noqa: E402
from tags_assets.method.selection.alignment import closeness  # noqa: E402
from tags_assets.method.tagging.keyphrase import KeyphraseTagger  # noqa: E402
from tags_assets.method.target.distribution import target_from_examples  # noqa: E402
from tags_assets.method.text.embedding import centred, row_texts, unit  # noqa: E402
from tags_assets.method.tree.builder import build_tree  # noqa: E402
from tags_assets.method.tree.grounding import ground  # noqa: E402
from tags_assets.models.minilm import MiniLM  # noqa: E402
from tags_assets.resources.knowledge import fields_of, unread_languages  # noqa: E402
from tags_assets.settings.home import PoolSettings  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

PICKS = 500


@dataclass(frozen=True)
class Truth:
    """Hidden labels: which rows are of each target's domain, and the sub-domain of every row."""

    names: list[str]
    is_true: list[NDArray[np.bool_]]
    subdomain: NDArray[np.str_]

    def table_row(self, name: str, scores: Sequence[NDArray[np.floating]]) -> str:
        cells = [f"{name:<44}"]
        for n_picks in (PICKS, len(self.subdomain) // 20):
            found = [
                self._found(score, true, n_picks) for score, true in zip(scores, self.is_true, strict=True)
            ]
            share, variety = zip(*found, strict=True)
            cells.append(f"{n_picks:>5}: share {np.mean(share):.3f} variety {sum(variety):>5}")
            if n_picks == PICKS:
                cells.append(" ".join(f"{s:.2f}" for s in share))
        return "  ".join([cells[0], cells[1], cells[3], cells[2]])

    def _found(self, score: NDArray[np.floating], true: NDArray[np.bool_], n_picks: int) -> tuple[float, int]:
        picks = np.argsort(-score, kind="stable")[:n_picks]
        return float(true[picks].mean()), len(np.unique(self.subdomain[picks[true[picks]]]))


def read_rows(path: Path, folder: Path) -> pl.DataFrame:
    columns = ["instance_id", "id", "messages", "language"]
    read = read_pool([path], cache=folder / "cache")
    return pl.concat([batch.select("id", "language").hstack(texts(batch)) for batch in read.batches(columns)])


def read_data(data: Path) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    """Read the pool, and each target's examples: ``id, language, instance_id, prompt, response``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pool = read_rows(data / "pool_mixed.jsonl.gz", folder)
        held_out = json.loads((data / "heldout_targets_mixed.json").read_text())
        examples = {}
        for target, content in held_out.items():
            path = folder / f"{target}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in content["rows"]))
            examples[target] = read_rows(path, folder)
    return pool, examples


def read_truth(data: Path, ids: Sequence[str], targets: Sequence[str]) -> Truth:
    with gzip.open(data / "pool_mixed.labels.csv.gz") as file:
        labels = pl.read_csv(file.read(), infer_schema=False).fill_null("")
    labels = pl.DataFrame({"id": ids}).join(labels, on="id", how="left", maintain_order="left")
    domain = labels["domain"].to_numpy().astype(str)
    held_out = json.loads((data / "heldout_targets_mixed.labels.json").read_text())
    wanted = [next(iter(held_out[target].values()))["domain"] for target in targets]
    # The held-out reasoning tasks are of no single domain of the pool's: all "reasoning_..." count.
    is_true = [np.char.startswith(domain, "reasoning") if w == "reasoning" else domain == w for w in wanted]
    subdomain = (
        labels.select(pl.concat_str("source", "subdomain", separator="/"))[:, 0].to_numpy().astype(str)
    )
    return Truth(list(targets), is_true, subdomain)


def centroid_scores(pool: NDArray[np.float32], examples: Sequence[NDArray[np.float32]]) -> list[NDArray]:
    mean = pool.mean(axis=0)
    return [centred(pool) @ unit(e - mean).mean(axis=0) for e in examples]


def timed(what: str, n_rows: int, work: Callable[[], object]) -> object:
    started, cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds = time.perf_counter() - started
    print(
        f"{what:<28} {seconds:7.1f} s  {n_rows / seconds:8.0f} rows/s  "
        f"{time.process_time() - cpu:7.1f} s of a core here"
    )
    return result


def with_languages(tags, pool):
    """Give each tag of a row the row's language."""
    return tags.join(pool.select("instance_id", "language"), on="instance_id", how="left")


def tree_of(vocabulary, vectors):
    """Build the tree that the product builds: with its lexicon."""
    settings, tags = PoolSettings(), vocabulary.tags["tag"].to_list()
    fields = fields_of(settings, None)  # the vectors of our lexicon are packaged
    subjects = fields.subjects(tags, vectors, unread_languages(settings, vocabulary.tags["language"]))
    return build_tree(tags, vocabulary.tags["count"].to_numpy(), vectors, subjects=subjects)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--teacher", action="store_true", help="embed all rows by MiniLM, not by its student")
    parser.add_argument("--concepts", type=int, nargs="+", default=[N_CONCEPTS])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.7, 0.85, 1.0])
    options = parser.parse_args()
    if not (options.data / "pool_mixed.jsonl.gz").is_file():
        sys.exit(f"{options.data}: pool_mixed.jsonl.gz is not there. Name its folder with --data.")
    model = MiniLM()
    pool, examples = read_data(options.data)
    truth = read_truth(options.data, pool["id"].to_list(), list(examples))
    n = len(pool)

    def rows_of(frame: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
        return frame["prompt"], frame["response"]

    n_teacher = n if options.teacher else N_TEACHER
    embedded = timed(
        "embed rows", n, lambda: embed_rows(row_texts(*rows_of(pool)), model.embed, n_teacher=n_teacher)
    )
    print(f"  {embedded.figures}")
    tagger = KeyphraseTagger()
    candidates = timed("extract phrases", n, lambda: tagger.extract(*rows_of(pool), pool["language"]))
    tags = timed("rank phrases", n, lambda: tagger.rank(candidates))
    tags = tags.with_columns(instance_id=pool["instance_id"].gather(tags["row"])).drop("row")
    tags = with_languages(tags, pool)
    vocabulary = timed("vocabulary", n, lambda: build_vocabulary(tags, model.embed))
    names = vocabulary.tags["tag"]
    tag_vectors = timed(f"embed {len(names):,} tags", n, lambda: model.embed(names.to_list()))
    counts = vocabulary.tags["count"].to_numpy()
    tree = timed("tree", n, lambda: tree_of(vocabulary, tag_vectors))
    example_vectors = [model.embed(row_texts(*rows_of(frame))) for frame in examples.values()]
    example_tags = []
    for frame in examples.values():
        found = tagger.tag(*rows_of(frame), frame["language"])
        example_tags.append(
            found.with_columns(instance_id=frame["instance_id"].gather(found["row"])).drop("row")
        )
    mean = embedded.vectors.mean(axis=0)
    none = np.random.default_rng(0)
    print("\n" + " " * 46 + ", ".join(truth.names))
    print(truth.table_row("random", [none.random(n) for _ in truth.names]))
    by = "embedder" if options.teacher else "student"
    print(
        truth.table_row(
            f"nearest to the centred centroid, {by}", centroid_scores(embedded.vectors, example_vectors)
        )
    )
    for n_concepts in options.concepts:

        def assigned(vectors: NDArray[np.float32], n_concepts: int = n_concepts) -> pl.DataFrame:
            return assign_concepts(vectors, tag_vectors, counts, n_concepts=n_concepts, mean=mean)

        pool_concepts = timed(f"assign {n_concepts} concepts", n, lambda: assigned(embedded.vectors))
        example_concepts = [assigned(vectors) for vectors in example_vectors]
        for share in options.shares:

            def grounded(
                frame: pl.DataFrame, own: pl.DataFrame, concepts: pl.DataFrame, share: float = share
            ):
                ids = frame["instance_id"]
                rows = combine(
                    vocabulary.canonical(own), concepts, instance_ids=ids, tags=names, assigned_share=share
                )
                # A share of 0 or 1 means that kind alone; a row without that kind keeps what it has.
                return ground(rows.select("instance_id", "tag", "weight"), tree, ids)

            grounding = grounded(pool, tags, pool_concepts)
            supply = np.asarray(grounding.sum(axis=0)).ravel()
            scores = []
            for frame, own, concepts in zip(examples.values(), example_tags, example_concepts, strict=True):
                target = target_from_examples(grounded(frame, own, concepts), tree, supply)
                scores.append(closeness(grounding, target))
            print(
                truth.table_row(f"closeness, {n_concepts} concepts, {share:.2f} assigned", scores), flush=True
            )


if __name__ == "__main__":
    main()
