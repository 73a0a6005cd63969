"""What the tree costs from 10,000 to 1,000,000 tags, how balanced it is, and what survives other tags.

    python benchmarks/tree_scale.py HOME
    python benchmarks/tree_scale.py HOME --sizes 10000 100000 --merge     # the other sizes stay as they were

HOME is a home that holds tags of a real pool. More tags than it holds are made by turning the vectors of real
ones by some 37 degrees (cosine 0.8) in a random direction: the same crowded and empty regions, no new one.
Each size is built in a process of its own on one thread, so that its peak memory is its own.

Stability: a tenth of the real tags goes, another tenth comes, and the tree is built again with the old one at
hand, as `knowledge_tree` does when it has drifted too far, and for comparison without it. *Ids kept*: share
of the old nodes whose id the new tree has. ARI and AMI: adjusted Rand index and adjusted mutual information
of the two partitions of the tags that both hold, 1 where equal, 0 as by chance.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

import numpy as np  # noqa: E402 - the checkout comes first on the path
from results import RESULTS, Table, save  # noqa: E402

from tags_assets.method.tree.builder import build_tree  # noqa: E402
from tags_assets.method.tree.clustering import unit  # noqa: E402
from tags_assets.resources.knowledge import fields_of  # noqa: E402
from tags_assets.settings.home import PoolSettings  # noqa: E402
from tags_assets.store.artifacts import ArtifactStore  # noqa: E402

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
TURNED = 0.8  # cosine of a made tag's vector to the real one's
AMI_NODES = 2_000  # AMI costs as the product of the numbers of nodes

SCALE = {
    "tags": 0,
    "wall s": 0,
    "CPU s": 0,
    "peak MB": 0,
    "levels": 0,
    "nodes by level": None,
    "largest": None,
}


def real_tags(home: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Tags, the rows that hold each, and their vectors, float32 (n_tags, n_dims)."""
    store = ArtifactStore(home)
    vectors = store.read_vectors("tag_embeddings", id_column="tag")
    counts = store.read("tag_vocabulary", columns=["tag", "count"])
    by_tag = dict(counts.iter_rows())
    return vectors.ids.to_list(), np.array([by_tag[tag] for tag in vectors.ids]), vectors.matrix


def perturbed(vectors: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Take the real vectors, and turn copies of them until there are `n`."""
    random = np.random.default_rng(seed)
    base = random.integers(0, len(vectors), max(0, n - len(vectors)))
    made = np.empty((n, vectors.shape[1]), dtype=np.float32)
    kept = min(n, len(vectors))
    made[:kept] = vectors[np.sort(random.permutation(len(vectors))[:kept])]
    for start in range(0, len(base), 8_192):
        x = vectors[base[start : start + 8_192]]
        noise = random.normal(size=x.shape).astype(np.float32)
        noise = unit(noise - np.einsum("ij,ij->i", noise, x)[:, None] * x)
        made[kept + start : kept + start + len(x)] = TURNED * x + np.sqrt(1 - TURNED**2) * noise
    return made


def largest(tree, n_tags: int) -> list[float]:
    """Share of the tags below the largest node of each level, leaves first, without the root."""
    above = tree.ancestors.indices.reshape(tree.n_leaves, -1)[tree.tag_leaf]
    return [
        float(np.unique(above[:, h], return_counts=True)[1].max() / n_tags) for h in range(above.shape[1] - 1)
    ]


def build_one(home: Path, n: int) -> None:
    """Build a tree of `n` tags in this process and print what it took as JSON."""
    _, counts, vectors = real_tags(home)
    x = perturbed(vectors, n)
    counts = np.random.default_rng(1).choice(counts, n)
    names = [f"tag {i:07d}" for i in range(n)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, cpu = time.perf_counter(), time.process_time()
    settings = PoolSettings()
    subjects = fields_of(settings, None).subjects(names, x)  # the vectors of our lexicon are packaged
    tree = build_tree(names, counts, x, subjects=subjects)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    sizes = np.bincount(tree.level).tolist()
    found = {
        "tags": n,
        "wall s": seconds,
        "CPU s": cpu,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "levels": len(sizes),
        "nodes by level": ", ".join(f"{size:,}" for size in sizes),
        "largest": ", ".join(f"{100 * share:.1f}" for share in largest(tree, n)),
    }
    print(json.dumps([found[column] for column in SCALE] + [before]))


def agreement(one, other) -> list[tuple[float, float | None]]:
    """ARI and AMI of two trees, level by level from the leaves, on the tags that both hold."""
    from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score  # noqa: PLC0415 - slow to load

    of_one, of_other = ({tag: i for i, tag in enumerate(tree.tags)} for tree in (one, other))
    shared = sorted(of_one.keys() & of_other.keys())
    found = []
    for h in range(min(int(one.level.max()), int(other.level.max()))):
        labels = []
        for tree, place in ((one, of_one), (other, of_other)):
            above = tree.ancestors.indices.reshape(tree.n_leaves, -1)[tree.tag_leaf]
            labels.append(above[[place[tag] for tag in shared], h])
        small = max(len(np.unique(some)) for some in labels) <= AMI_NODES
        found.append((adjusted_rand_score(*labels), adjusted_mutual_info_score(*labels) if small else None))
    return found


def stability(home: Path) -> Table:
    """Rebuild after a tenth of the tags has changed."""
    tags, counts, vectors = real_tags(home)
    random = np.random.default_rng(0)
    order = random.permutation(len(tags))
    tenth = len(tags) // 11
    first, second = (np.sort(some) for some in (order[tenth:], order[:-tenth]))

    def build(rows, previous=None):
        return build_tree([tags[i] for i in rows], counts[rows], vectors[rows], previous=previous)

    old = build(first)
    rows = []
    for name, new in (("with the old tree as a guide", build(second, old)), ("without", build(second))):
        ids = set(new.node_ids)
        for h, (rand, mutual) in enumerate(agreement(old, new)):
            nodes = [node for node, level in zip(old.node_ids, old.level, strict=True) if level == h]
            rows.append(
                [name, str(h), len(nodes), sum(node in ids for node in nodes) / len(nodes), rand, mutual]
            )
        kept = sum(node in ids for node in old.node_ids) / old.n_nodes
        rows.append([name, "all", old.n_nodes, kept, None, None])
    return Table({"rebuilt": None, "level": None, "nodes": 0, "ids kept": 3, "ARI": 3, "AMI": 3}, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("home", type=Path)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--merge", action="store_true", help="keep the sizes that were measured before")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        build_one(given.home, given.only)
        return
    path = RESULTS / "tree_scale.json"
    before = json.loads(path.read_text(encoding="utf-8")) if given.merge and path.is_file() else None
    rows = {row[0]: row for row in before["tables"]["scale"]["rows"]} if before else {}
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    for n in given.sizes:
        command = [sys.executable, __file__, str(given.home), "--only", str(n)]
        said = subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, **one_thread}
        )
        *row, _ = json.loads(said.stdout.splitlines()[-1])
        rows[n] = row
        print(row, flush=True)
    stable = stability(given.home)
    measured = [rows[n] for n in sorted(rows)]
    cpu, mb = (
        np.polyfit(np.log([row[0] for row in measured]), np.log([row[at] for row in measured]), 1)[0]
        for at in (2, 3)
    )
    spent = (before or {}).get("cpu_seconds") or 0
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    save(
        "tree_scale",
        {"scale": Table(SCALE, measured), "stability": stable},
        figures={"exponent_cpu": float(cpu), "exponent_memory": float(mb), "cosine": TURNED},
        cpu_seconds=spent + sum(one.ru_utime + one.ru_stime for one in used),
    )
    for row in stable.rows:
        print(row)


if __name__ == "__main__":
    main()
