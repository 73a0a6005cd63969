"""A small pool with two selections, as the tables of the warehouse: everything that lineage reads, in every
case."""

from __future__ import annotations

import numpy as np
import polars as pl

from tags_assets.formats.instance import INSTANCE_SCHEMA
from tags_assets.method.tree.knowledge_tree import NODE_SCHEMA, TAG_SCHEMA

Tables = dict[str, pl.DataFrame]

FATE = ("near_duplicate", "duplicate", "filtered", "untagged")
"""What befalls the last rows of the pool, in this order; all before them are eligible."""

HOSTILE = "[bold red]</script>\x1b[31m '; drop table selected_subset; -- \u202e"


def lineage_tables(
    n_rows: int = 60, *, n_fields: int = 3, leaves_per_field: int = 3, picks: int = 8, seed: int = 0
) -> Tables:
    """Make the tables of one pool with the targets ``maths`` and ``pool``; auxiliary tables as
    ``<asset>_<table>``."""
    rng = np.random.default_rng(seed)
    nodes, tags = _tree(n_fields, leaves_per_field)
    ids = [f"i{i:06d}" for i in range(n_rows)]
    n_good = n_rows - len(FATE)
    raw = pl.DataFrame(
        {
            "instance_id": ids,
            "content_hash": [f"c{i:06d}" for i in range(n_rows)],
            "id": [HOSTILE if i == 1 else None if i % 5 == 4 else f"row-{i}" for i in range(n_rows)],
            "source": [("alpaca", "dolly")[i % 2] for i in range(n_rows)],
            "file": ["pool.jsonl"] * n_rows,
            "line": np.arange(1, n_rows + 1),
            "format": ["messages"] * n_rows,
            "duplicate_of": [ids[0] if i in (n_good, n_good + 1) else None for i in range(n_rows)],
            "near_duplicate": [i == n_good for i in range(n_rows)],
            "language": ["en"] * n_rows,
            "prompt_tokens": rng.integers(5, 50, n_rows),
            "response_tokens": rng.integers(5, 90, n_rows),
            "turns": [1] * n_rows,
            "messages": [
                [
                    {"role": "user", "content": HOSTILE if i == 1 else f"What is question {i}?"},
                    {"role": "assistant", "content": f"It is answer {i}."},
                ]
                for i in range(n_rows)
            ],
            "raw": ["{}"] * n_rows,
        },
        schema={name: INSTANCE_SCHEMA[name] for name in list(INSTANCE_SCHEMA)[:15]},
        strict=False,
    )
    tagged = list(range(n_good))
    carried = [rng.choice(tags.height, size=int(rng.integers(1, 5)), replace=False).tolist() for _ in tagged]
    weights = [rng.dirichlet(np.ones(len(held))).tolist() for held in carried]
    instance_tags = (
        pl.DataFrame({"instance_id": [ids[i] for i in tagged], "tag": carried, "weight": weights})
        .explode("tag", "weight")
        .with_columns(
            pl.col("tag").replace_strict(
                list(range(tags.height)), tags["tag"].to_list(), return_dtype=pl.String
            ),
            pl.col("weight").cast(pl.Float32),
            pl.Series("origin", rng.choice(["extracted", "assigned"], sum(map(len, carried)))),
        )
    )
    atomic = instance_tags.filter(pl.col("origin") == "extracted").with_columns(
        pl.when(pl.int_range(pl.len()) % 2 == 0)
        .then(pl.col("tag") + "s")
        .otherwise(pl.col("tag"))
        .alias("tag")
    )
    grounded = (
        instance_tags.join(tags, on="tag")
        .group_by("instance_id", "node_id")
        .agg(pl.col("weight").cast(pl.Float64).sum().alias("mass"))
        .sort("instance_id", "node_id")
    )
    quality = rng.uniform(0.2, 1.0, n_good)
    scores = pl.DataFrame(
        {
            "instance_id": ids[:n_good],
            "quality": quality,
            "text_quality": quality**0.5,
            "information_content": rng.uniform(2, 9, n_good),
            "eligible": [True] * n_good,
        }
    )
    picked = {t: rng.choice(n_good, picks, replace=False).tolist() for t in ("maths", "pool")}
    subset, attribution = _selections(picked, raw, scores, grounded, nodes)
    leaves = nodes.filter(pl.col("level") == 0)
    taken = set(subset["instance_id"])
    spare = [one for one in scores.filter("eligible")["instance_id"] if one not in taken][-2:]
    left_out = pl.DataFrame(
        {
            "target": [next(iter(picked))] * 2,
            "instance_id": spare,
            "why": ["excluded", "below_min_quality"],
            "detail": [
                "exclude where response_tokens > 9",
                "quality 0.1 is below the target's min_quality 0.5",
            ],
        }
    )
    return {
        "raw_instances": raw,
        "rejected_rows": pl.DataFrame(
            {
                "file": ["pool.jsonl"] * 2,
                "line": [9001, 9002],
                "reason": ["not JSON", "the response is empty"],
                "raw": [b"\xff{", b'{"id": "mute", "prompt": "q", "completion": ""}'],
            },
        ),
        "filtered_rows": pl.DataFrame(
            {"instance_id": [ids[n_good + 2]], "rule": ["no_pii"], "detail": ["prompt like '%@%'"]}
        ),
        "atomic_tags": atomic.select("instance_id", "tag", "weight", "origin"),
        "tag_vocabulary": tags.select(
            "tag", pl.lit(3).alias("count"), pl.lit([], dtype=pl.List(pl.String)).alias("aliases")
        ),
        "tag_vocabulary_aliases": tags.select((pl.col("tag") + "s").alias("alias"), "tag"),
        "instance_tags": instance_tags,
        "knowledge_tree": nodes,
        "knowledge_tree_tags": tags,
        "grounded_instances": grounded,
        "instance_scores": scores,
        "target_distribution": pl.concat(
            [
                leaves.select(
                    pl.lit(target).alias("target"),
                    "node_id",
                    pl.lit(1 / leaves.height).alias("mass"),
                    pl.lit(1 / leaves.height).alias("pool_mass"),
                    pl.lit(5.0).alias("supply"),
                    pl.lit("pool").alias("origin"),
                )
                for target in picked
            ]
        ),
        "selected_subset": subset,
        "selected_subset_left_out": left_out,
        "selection_attribution": attribution,
    }


def _tree(n_fields: int, leaves_per_field: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = [("root", None, 2, "knowledge", "", 0.0, "knowledge", 0, [])]
    tags = []
    for f in range(n_fields):
        rows.append((f"f{f}", "root", 1, f"field {f}", "", 0.5, f"field {f}", 0, []))
        for leaf in range(leaves_per_field):
            name = f"concept {f}.{leaf}"
            rows.append((f"f{f}l{leaf}", f"f{f}", 0, name, "", 0.4, f"field {f} > {name}", 2, []))
            tags += [(f"tag {f}.{leaf}.{t}", f"f{f}l{leaf}") for t in range(2)]
    return pl.DataFrame(rows, schema=NODE_SCHEMA, orient="row", strict=False), pl.DataFrame(
        tags, schema=TAG_SCHEMA, orient="row"
    )


def _selections(
    picked: dict[str, list[int]],
    raw: pl.DataFrame,
    scores: pl.DataFrame,
    grounded: pl.DataFrame,
    nodes: pl.DataFrame,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    parent = dict(nodes.select("node_id", "parent_id").iter_rows())
    climbs = pl.DataFrame(
        [
            (leaf, node, part)
            for leaf in nodes.filter(pl.col("level") == 0)["node_id"]
            for node, part in (
                *((step, "gain") for step in (leaf, parent[leaf], "root")),
                (leaf, "closeness"),
                (leaf, "coverage"),
            )
        ],
        schema=["leaf", "node_id", "part"],
        orient="row",
    )
    attribution = (
        pl.concat([raw[rows].select(pl.lit(t).alias("target"), "instance_id") for t, rows in picked.items()])
        .join(grounded.rename({"node_id": "leaf"}), on="instance_id")
        .join(climbs, on="leaf")
        .group_by("target", "instance_id", "node_id", "part", maintain_order=True)
        .agg(pl.col("mass").sum())
        .with_columns(amount=pl.col("mass") * 0.7)
        .with_columns(pl.when(pl.col("part") == "closeness").then(-0.1).otherwise("amount").alias("amount"))
        .select("target", "instance_id", "node_id", "part", "amount")
    )
    gains = attribution.group_by("target", "instance_id").agg(pl.col("amount").sum().alias("gain"))
    subset = (
        gains.sort(["target", "gain", "instance_id"], descending=[False, True, False])
        .with_columns(rank=pl.int_range(1, pl.len() + 1).over("target"))
        .join(raw, on="instance_id", maintain_order="left")
        .join(scores.select("instance_id", "quality"), on="instance_id", maintain_order="left")
        .select(
            *("target", "instance_id", "id", "rank", "gain", "quality", "source", "language"),
            *("prompt_tokens", "response_tokens"),
        )
    )
    return subset, attribution
