"""What each stage costs from 1,000 to 1,000,000 rows: CPU seconds, peak memory, and the exponent of growth.

    python benchmarks/scaling.py HOME
    python benchmarks/scaling.py HOME --rows 1000 4000 --resampled 1000 10000      # the other sizes stay

HOME holds the artifacts of the public pool. Three series, each size in a process of its own on one thread for
each library:

- *rows*: the whole graph, cold, from a file of so many rows of the pool (for more rows: `--further FILE`);
- *resampled*: the stages behind the tags. A row is a real one drawn again under another id, with its text;
  each of its tags is another one of the pool's with probability 0.2, and its vector is turned by 18 degrees.
  The vocabulary is then that of the real pool: what more tags cost is asked by `tree_scale.py`;
- *in memory*: the method behind the tree, without reading, writing and the report, on rows drawn in that way.

CPU seconds, of the process and its children, and not of the clock: they are the same whether the machine is
idle or not. The exponent is the slope of a line through log cost against log rows, from 4,000 rows on: below,
what every start costs (loading models, compiling) is most of it.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT)]

import numpy as np  # noqa: E402 - the checkout comes first on the path
import polars as pl  # noqa: E402
from results import RESULTS, Table, save  # noqa: E402

ROWS = (1_000, 4_000, 19_636)
IN_MEMORY = (10_000, 100_000, 1_000_000)
RESAMPLED = (1_000, 10_000, 100_000, 1_000_000)
FIT_FROM = 4_000
OTHER_TAG = 0.2
TURNED = 0.95  # cosine of a drawn row's vector to the real one's
BATCH = 20_000
TARGET = "grade_school_math"
GIVEN = (
    "raw_instances",
    "rejected_rows",
    "filtered_rows",
    "instance_embeddings",
    "atomic_tags",
    "instance_tags",
)
"""Assets that a resampled pool is given; those behind them run."""


@contextmanager
def costs():
    """Collect the CPU seconds and the peak memory of each asset that is made inside."""
    from tags_assets.assets import versioned  # noqa: PLC0415 - loads Dagster
    from tags_assets.assets.measure import measured  # noqa: PLC0415

    found: list[tuple[float, float]] = []

    @contextmanager
    def with_cpu():
        start = _cpu()
        with measured() as measure:
            yield measure
        found.append((_cpu() - start, measure.peak_mb))

    versioned.measured = with_cpu
    try:
        yield found
    finally:
        versioned.measured = measured


def _cpu() -> float:
    return sum(os.times()[:4])


def run_graph(home: Path, target: Path, first: set[str] | None) -> dict[str, tuple[float, float]]:
    """Run the graph, or without the assets in `first`, in this process: asset -> CPU seconds, peak MB."""
    from tags_assets.assets.partitions import targets  # noqa: PLC0415
    from tags_assets.graph.definitions import defs  # noqa: PLC0415
    from tags_assets.graph.instance import open_instance, prepare_dagster_home  # noqa: PLC0415
    from tags_assets.settings.home import Home, TargetEntry  # noqa: PLC0415

    os.environ["TAGS_HOME"] = str(home)
    at = Home.resolve(home).prepare()
    prepare_dagster_home(at)
    at.name_target(TARGET, TargetEntry(file=str(target)))
    job = defs().resolve_job_def("everything")
    wanted = [
        key for key in job.asset_layer.executable_asset_keys if key.to_user_string() not in (first or ())
    ]
    with open_instance(at) as instance, costs() as found:
        instance.add_dynamic_partitions(str(targets.name), [TARGET])
        result = job.execute_in_process(
            instance=instance,
            partition_key=TARGET,
            asset_selection=wanted,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    made = [
        event.step_materialization_data.materialization.asset_key.to_user_string()
        for event in result.all_events
        if event.is_step_materialization
    ]
    # Each asset is measured twice, the inner time without its writing: the second of each pair is the whole.
    assert len(found) == 2 * len(made), f"{len(found)} measurements of {len(made)} assets"
    return {asset: found[2 * i + 1] for i, asset in enumerate(made)}


def write_target(folder: Path, data: Path) -> Path:
    """Write fifty held-out examples and the target that names them."""
    pools = json.loads((data / "heldout_targets_mixed.json").read_text(encoding="utf-8"))
    rows = pools["math_gsm8k_test"]["rows"]
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    target = folder / f"{TARGET}.yaml"
    target.write_text("budget: {fraction: 0.05}\ntarget: {examples: examples.jsonl}\n", encoding="utf-8")
    return target


def rows_of_pool(n: int, data: Path, further: Path | None, scratch: Path) -> dict[str, tuple[float, float]]:
    """Run the whole graph on `n` rows, evenly spaced over the pool (all of `further`, where it is given)."""
    from tags_assets.settings.home import Home, PoolSettings  # noqa: PLC0415

    file = further
    if file is None:
        with gzip.open(data / "pool_mixed.jsonl.gz", "rt", encoding="utf-8") as lines:
            every = lines.readlines()
        file = scratch / "pool.jsonl"
        chosen = np.linspace(0, len(every) - 1, n).astype(int)
        file.write_text("".join(every[i] for i in chosen), encoding="utf-8")
    home = scratch / "home"
    Home.resolve(home).prepare().save_pool("default", PoolSettings(paths=[str(file)]))
    return run_graph(home, write_target(scratch, data), None)


def resampled(n: int, real: Path, data: Path, scratch: Path) -> dict[str, tuple[float, float]]:
    """Run what lies behind the tags on `n` rows drawn from the real ones."""
    from tags_assets.store.artifacts import ArtifactStore  # noqa: PLC0415
    from tags_assets.store.versions import VersionRecord  # noqa: PLC0415

    store, home = ArtifactStore(real), scratch / "home"
    # Vectors of tags are looked up: the embedder is no part of this.
    shutil.copytree(real / "cache", home / "cache")
    into = ArtifactStore(home)
    random = np.random.default_rng(0)
    vectors = store.read_vectors("instance_embeddings", id_column="instance_id")
    place = pl.DataFrame({"instance_id": vectors.ids}).with_row_index("place")
    drawn = pl.DataFrame({"place": np.sort(random.integers(0, len(vectors.ids), n))}).with_columns(
        pl.col("place").cast(pl.UInt32), new=pl.format("row {}", pl.int_range(pl.len()))
    )

    def batches(asset, *, ids=False):
        columns = store.read(asset).join(place, on="instance_id")
        for start in range(0, n, BATCH):
            some = drawn[start : start + BATCH].join(columns, on="place", maintain_order="left")
            some = some.with_columns(instance_id="new").drop("new", "place")
            if ids:
                some = some.with_columns(content_hash="instance_id")
            yield some.select(column for column in columns.columns if column != "place")

    def embeddings():
        for some in batches("instance_embeddings", ids=True):
            x = np.stack(some["vector"].to_numpy())
            noise = random.normal(size=x.shape).astype(np.float32)
            noise -= np.einsum("ij,ij->i", noise, x)[:, None] * x
            noise /= np.linalg.norm(noise, axis=1, keepdims=True)
            turned = (TURNED * x + np.sqrt(1 - TURNED**2) * noise).astype(np.float32)
            vector = pl.Series("vector", turned, dtype=pl.Array(pl.Float32, x.shape[1])).cast(
                pl.List(pl.Float32)
            )
            yield some.with_columns(vector)

    def tags(asset):
        every = store.read(asset)["tag"]
        for some in batches(asset):
            other = random.random(len(some)) < OTHER_TAG
            others = every.gather(random.integers(0, len(every), len(some)))
            tag = pl.when(pl.Series(other)).then(others).otherwise(pl.col("tag"))
            changed = some.with_columns(tag=tag)
            yield changed.unique(["instance_id", "tag"], keep="first", maintain_order=True)

    tables = {
        "raw_instances": batches("raw_instances", ids=True),
        "instance_embeddings": embeddings(),
        "atomic_tags": tags("atomic_tags"),
        "instance_tags": tags("instance_tags"),
    }
    for asset in GIVEN:
        version = store.current(asset)
        rows = tables.get(asset, store.read(asset).clear())
        rest = {
            name: store.read(asset, name) if "student" in name else store.read(asset, name).clear()
            for name in version.tables
            if name != "data"
        }
        record = VersionRecord(version.code_version, version.config, {}, version.metadata)
        into.write(asset, f"{n:032x}", {"data": rows, **rest}, record=record)
    return run_graph(home, write_target(scratch, data), set(GIVEN))


def in_memory(n: int, real: Path) -> dict[str, tuple[float, float]]:
    """Run the method on `n` rows drawn from the real ones: stage -> CPU seconds, peak MB until then."""
    from scipy import sparse  # noqa: PLC0415 - the other series need none of these

    from tags_assets.method.scoring.scores import score  # noqa: PLC0415
    from tags_assets.method.scoring.text_signals import SIGNALS  # noqa: PLC0415
    from tags_assets.method.selection.near_texts import text_groups  # noqa: PLC0415
    from tags_assets.method.selection.request import Budget, SelectionRequest  # noqa: PLC0415
    from tags_assets.method.selection.selector import attribute_selection, select  # noqa: PLC0415
    from tags_assets.method.target.distribution import target_from_examples  # noqa: PLC0415
    from tags_assets.method.target.likeness import likeness  # noqa: PLC0415
    from tags_assets.method.tree.grounding import from_frame  # noqa: PLC0415
    from tags_assets.store.artifacts import ArtifactStore  # noqa: PLC0415
    from tags_assets.store.upstream import Inputs, read_tree  # noqa: PLC0415

    store, random = ArtifactStore(real), np.random.default_rng(0)
    assets = ("knowledge_tree", "grounded_instances", "instance_scores", "instance_embeddings")
    tree = read_tree(Inputs(store, {asset: store.current(asset) for asset in assets}, lambda _a, _b: None))
    signals = store.read("instance_scores", columns=["instance_id", *SIGNALS])
    vectors = store.read_vectors("instance_embeddings", id_column="instance_id").matrix
    masses = from_frame(store.read("grounded_instances"), tree, signals["instance_id"])
    drawn = np.sort(random.integers(0, len(signals), n))
    few = np.arange(0, 1_000, 20)  # examples are rows as well
    found: dict[str, tuple[float, float]] = {}

    def timed(stage, work):
        start = _cpu()
        made = work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        found[stage] = (_cpu() - start, peak)
        return made

    rows = sparse.csr_array(masses[drawn])
    moved = random.random(rows.nnz) < OTHER_TAG
    rows.indices[moved] = random.choice(masses.indices, int(moved.sum()))
    rows.sum_duplicates()
    x = vectors[drawn]
    for start in range(0, n, BATCH):
        block = x[start : start + BATCH]
        noise = random.normal(size=block.shape).astype(np.float32)
        noise -= np.einsum("ij,ij->i", noise, block)[:, None] * block
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        x[start : start + BATCH] = TURNED * block + np.sqrt(1 - TURNED**2) * noise
    said = signals[drawn].with_columns(instance_id=pl.format("row {}", pl.int_range(pl.len())))

    def target():
        asked = target_from_examples(masses[few], tree, np.asarray(rows.sum(axis=0)).ravel())
        return replace(asked, likeness=likeness(vectors[few], x))

    texts = timed("like texts", lambda: text_groups(rows, x))
    quality = timed("scores on the tree", lambda: score(rows, tree, said))["quality"].to_numpy()
    asked = timed("target", target)
    request = SelectionRequest(budget=Budget(fraction=0.05), texts=texts)
    picked = timed("selection", lambda: select(rows, tree, quality, asked, request))
    given = (rows, tree, quality, asked, request, picked.rows)
    timed("attribution", lambda: attribute_selection(*given, asdict(picked.figures)))
    return found


def measure(series: str, n: int, given: argparse.Namespace) -> list[list[object]]:
    """Measure a size in a process of its own."""
    command = [sys.executable, __file__, str(given.home), "--data", str(given.data), "--one", series, str(n)]
    command += ["--further", str(given.further)] if given.further and n > max(ROWS) else []
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "POLARS")}
    one_thread["POLARS_MAX_THREADS"] = "1"
    said = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **one_thread}
    )
    found = json.loads(said.stdout.splitlines()[-1])
    for asset, (cpu, mb) in found.items():
        print(f"{series:10} {n:>9,} {asset:22} {cpu:9.2f} CPU s {mb:8,.0f} MB", flush=True)
    return [[series, asset, n, cpu, mb] for asset, (cpu, mb) in found.items()]


def exponents(rows: list[list]) -> list[list]:
    """Fit each stage and series, and the series in all: slope, and the costs of the largest size."""
    found = []
    for series, of_series in itertools.groupby(rows, key=lambda row: row[0]):
        by_asset: dict[str, list] = {}
        for _, asset, n, cpu, mb in of_series:
            by_asset.setdefault(asset, []).append((n, cpu, mb))
        sizes = sorted({n for of_asset in by_asset.values() for n, _, _ in of_asset})
        every = [point for of_asset in by_asset.values() for point in of_asset]
        whole = [
            (n, sum(cpu for m, cpu, _ in every if m == n), max(mb for m, _, mb in every if m == n))
            for n in sizes
        ]
        for asset, points in {**by_asset, "in all": whole}.items():
            points.sort()
            used = [point for point in points if point[0] >= FIT_FROM]
            slope = None
            if len(used) > 1 and used[-1][1] >= 0.5:
                slope = float(
                    np.polyfit(np.log([p[0] for p in used]), np.log([max(p[1], 0.01) for p in used]), 1)[0]
                )
            found.append([series, asset, *points[-1], slope])
    return found


def main() -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROWS))
    parser.add_argument("--resampled", type=int, nargs="*", default=list(RESAMPLED))
    parser.add_argument("--in-memory", type=int, nargs="*", default=list(IN_MEMORY))
    parser.add_argument("--further", type=Path, help="a file of more rows than the pool has")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        series, n = given.one[0], int(given.one[1])
        with tempfile.TemporaryDirectory() as scratch:
            if series == "in memory":
                found = in_memory(n, given.home)
            elif series == "rows":
                found = rows_of_pool(n, given.data, given.further, Path(scratch))
            else:
                found = resampled(n, given.home, given.data, Path(scratch))
        print(json.dumps(found))
        return
    path, kept, spent = RESULTS / "scaling.json", {}, 0.0
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        spent = before["cpu_seconds"] or 0
        for row in before["tables"]["stages"]["rows"]:
            kept.setdefault((row[0], row[2]), []).append(row)
    order = {"rows": given.rows, "resampled": given.resampled, "in memory": given.in_memory}
    for name, sizes in order.items():
        for n in sizes:
            kept[name, n] = measure(name, n, given)
    series = list(order)
    keys = sorted(kept, key=lambda key: (series.index(key[0]), key[1]))
    rows = [row for key in keys for row in kept[key]]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    columns = {"series": None, "stage": None, "rows": 0, "CPU s": 2, "peak MB": 0}
    save(
        "scaling",
        {"stages": Table(columns, rows), "exponents": Table({**columns, "exponent": 2}, exponents(rows))},
        figures={"fit_from": FIT_FROM},
        cpu_seconds=spent + sum(one.ru_utime + one.ru_stime for one in used),
    )


if __name__ == "__main__":
    main()
