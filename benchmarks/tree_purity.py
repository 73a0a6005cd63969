"""How pure the tree is, against exact linkages and plain K-Means rounds cut to the same level sizes.

Dendrogram purity (Heller and Ghahramani 2005): take two nouns of one class; what share of the nouns below
their lowest common node is of that class? Averaged over all such pairs, exactly. Classes are WordNet's 26
noun files and its hypernyms five below the root; vectors are MiniLM's. All trees have as many nodes on each
level.

    python -m benchmarks.tree_purity             # the table
    python -m benchmarks.tree_purity --scale     # time and memory up to 100,000 tags
"""

from __future__ import annotations

import argparse
import resource
import time
from functools import partial
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.cluster.hierarchy import fcluster, linkage

from benchmarks.wordnet import read_nouns
from tags_assets.method.tree.builder import TreeConfig, build_tree
from tags_assets.method.tree.clustering import group_sums, nearest_rows, unit
from tags_assets.models.minilm import MiniLM


def dendrogram_purity(levels: list[np.ndarray], classes: np.ndarray) -> float:
    """Exact dendrogram purity of nested labels, the finest first; one root stands above the last."""
    n, total, pairs = len(classes), 0.0, 0.0
    below = None
    for labels in [*levels, np.zeros(n, dtype=int)]:
        table = sparse.coo_array((np.ones(n), (labels, classes))).tocsr()
        size = np.asarray(table.sum(axis=1)).ravel()
        together = (
            table
            * (table - sparse.csr_array((np.ones(table.nnz), table.indices, table.indptr), table.shape))
            / 2
        )
        met = together
        if below is not None:
            finer, labels_below = below
            parent = np.zeros(finer.shape[0], dtype=int)
            parent[labels_below] = labels
            up = sparse.coo_array(
                (np.ones(len(parent)), (parent, np.arange(len(parent)))), (len(size), len(parent))
            )
            met = together - up.tocsr() @ finer
        share = sparse.diags_array(1.0 / size) @ table
        total += met.multiply(share).sum()
        pairs += met.sum()
        below = together, labels
    return total / pairs


def ours(vectors: np.ndarray, config: TreeConfig) -> list[np.ndarray]:
    tags = [f"{i:07d}" for i in range(len(vectors))]
    tree = build_tree(tags, np.ones(len(tags)), vectors, config=config)
    above = tree.ancestors.indices.reshape(tree.n_leaves, -1)[tree.tag_leaf]
    return [np.unique(above[:, level], return_inverse=True)[1] for level in range(above.shape[1] - 1)]


def exact(vectors: np.ndarray, sizes: list[int], method: str) -> list[np.ndarray]:
    metric = "cosine" if method == "average" else "euclidean"
    merges = linkage(vectors.astype(np.float64), method, metric)
    return [np.unique(fcluster(merges, size, "maxclust"), return_inverse=True)[1] for size in sizes]


def kmeans_rounds(vectors: np.ndarray, sizes: list[int], seed: int = 0) -> list[np.ndarray]:
    """The rounds as published: K-Means on the nodes of each level, nodes are the centroids of their tags."""
    labels, nodes, levels = np.arange(len(vectors)), vectors, []
    for size in sizes:
        found = kmeans(nodes, min(size, len(nodes)), seed)
        labels = np.unique(found[labels], return_inverse=True)[1]
        levels.append(labels)
        nodes = unit(group_sums(labels, vectors, int(labels.max()) + 1))
    return levels


def kmeans(x: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Spherical K-Means from random points, 25 rounds, on the same product of matrices as ours."""
    centres = x[np.random.default_rng(seed).permutation(len(x))[:k]]
    for _ in range(25):
        labels = nearest_rows(x, centres)
        held = np.bincount(labels, minlength=k) > 0
        centres = np.where(held[:, None], unit(group_sums(labels, x, k)), centres)
    return labels


def table(cache: Path) -> None:
    nouns = read_nouns()
    vectors = noun_vectors(nouns.words[:40_000], cache)
    rng = np.random.default_rng(0)
    samples = {
        "4,000 frequent": np.arange(4_000),
        "6,000 of the first 20,000": np.sort(rng.choice(20_000, 6_000, replace=False)),
        "6,000 of 40,000": np.sort(rng.choice(40_000, 6_000, replace=False)),
        "first 20,000": np.arange(20_000),
    }
    print("| nouns | tree | files | hypernyms | CPU s | levels | largest node of each level, % of tags |")
    print("|---|---|---|---|---|---|---|")
    for name, rows in samples.items():
        some, x = nouns.take(rows), vectors[rows]
        sizes: list[int] = []
        methods = {
            "ours": partial(ours, x, TreeConfig()),
            "exact average linkage": partial(exact, x, sizes, "average"),
            "exact Ward": partial(exact, x, sizes, "ward"),
            "K-Means rounds": partial(kmeans_rounds, x, sizes),
        }
        for method, make in methods.items():
            start = time.process_time()
            levels = make()
            seconds = time.process_time() - start
            if not sizes:
                sizes += [int(level.max()) + 1 for level in levels]
            largest = ", ".join(f"{100 * np.bincount(level).max() / len(x):.1f}" for level in levels)
            files = dendrogram_purity(levels, some.lexicographer)
            hypernyms = dendrogram_purity(levels, some.hypernym)
            shape = ", ".join(str(int(level.max()) + 1) for level in levels)
            print(
                f"| {name} | {method} | {files:.3f} | {hypernyms:.3f} | {seconds:.1f} "
                f"| {shape} | {largest} |",
                flush=True,
            )


def scale(cache: Path) -> None:
    words = read_nouns().words
    vectors = noun_vectors(words[:100_000], cache)
    print("| tags | s | CPU s | peak MB of the process | levels |\n|---|---|---|---|---|")
    for n in (1_000, 5_000, 20_000, 50_000, 100_000):
        start, cpu = time.perf_counter(), time.process_time()
        tree = build_tree(words[:n], np.ones(n), vectors[:n])
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"| {n:,} | {seconds:.1f} | {cpu:.1f} | {peak:.0f} | {np.bincount(tree.level).tolist()} |",
            flush=True,
        )


def noun_vectors(words: list[str], cache: Path) -> np.ndarray:
    path = cache / f"nouns-{len(words)}.npy"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        np.save(path, MiniLM(max_tokens=32).embed(words))
    return np.load(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scale", action="store_true", help="time and memory up to 100,000 tags")
    parser.add_argument("--cache", type=Path, default=Path(".tags/benchmarks"), help="where vectors are kept")
    options = parser.parse_args()
    (scale if options.scale else table)(options.cache)
