"""Vectors in a mapped column stand for the rows in place of ours."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from tags_assets.assets.given_vectors import given_vectors
from tags_assets.errors import UserError
from tags_assets.graph.runner import run_target
from tags_assets.settings.home import Home
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets.store.opening import open_store
from tags_assets_tests.assets.test_graph import Silent
from tags_assets_tests.small_pool import rows

DOMAINS = ("maths", "code", "medicine")
BACKWARDS = {"maths": "medicine", "medicine": "maths", "code": "code"}
"""Which domain a vector says that a row is of: the wrong one, as no reading of the text would."""


def vector(domain, i):
    return [5.0 if name == BACKWARDS[domain] else 0.1 * ((i * k) % 7) for k, name in enumerate(DOMAINS, 1)]


def run(folder, *, pool=None, examples=None, columns=None, target=None):
    folder.mkdir(exist_ok=True)
    if pool is None:
        pool = [{**row, "v": vector(row["source"], i)} for i, row in enumerate(rows())]
    if examples is None:
        asked = {
            "instruction": "Find the roots of x^2 - 5x + 6.",
            "output": "By the quadratic formula: 2, 3.",
        }
        examples = [{**asked, "v": vector("maths", 0)}]
    for name, lines in (("pool", pool), ("examples", examples)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    wish = target or {"examples": "examples.jsonl"}
    (folder / "t.yaml").write_text(json.dumps({"budget": {"rows": 8}, "target": wish}))
    home = Home(folder / "home").prepare()
    columns = {"embedding": "v"} if columns is None else columns
    paths = [str(folder / "pool.jsonl")]
    home.save_pool("default", home.pool("default").model_copy(update={"paths": paths, "columns": columns}))
    runs = run_target(home, TargetRegistry(home).name(str(folder / "t.yaml"), None), Silent())
    return open_store(home.path), {each.asset: each for each in runs}


def test_rows_lie_where_their_column_says(tmp_path):
    store, made = run(tmp_path)
    version = made["instance_embeddings"].data_version
    ids, matrix = store.read_vectors("instance_embeddings", id_column="instance_id", data_version=version)
    raw = store.read("raw_instances", data_version=made["raw_instances"].data_version)
    given = pl.DataFrame({"instance_id": ids}).join(raw, on="instance_id", maintain_order="left")
    wanted = np.array(given["given_embedding"].to_list())
    assert matrix == pytest.approx(wanted / np.linalg.norm(wanted, axis=1, keepdims=True), abs=1e-6)
    tags = store.read("instance_tags", data_version=made["instance_tags"].data_version)
    assert "assigned" not in tags["origin"].unique().to_list()
    tag_version = made["tag_embeddings"].data_version
    assert (
        store.read_vectors("tag_embeddings", id_column="tag", data_version=tag_version).matrix.shape[1] == 384
    )


def test_likeness_to_examples_is_by_their_vectors(tmp_path):
    store, made = run(tmp_path)
    like = store.read(
        "target_distribution",
        "likeness",
        partition="t",
        data_version=made["target_distribution"].data_version,
    )
    raw = store.read("raw_instances", data_version=made["raw_instances"].data_version)
    by_source = dict(
        like.join(raw, on="instance_id").group_by("source").agg(pl.col("likeness").mean()).rows()
    )
    assert max(by_source, key=by_source.get) == "maths"


def test_a_description_is_compared_with_concepts(tmp_path):
    store, made = run(tmp_path, target={"description": "mathematics and equations"})
    version = made["target_distribution"].data_version
    likeness = store.read("target_distribution", "likeness", partition="t", data_version=version)
    assert likeness.is_empty()
    assert len(
        store.read("selected_subset", partition="t", data_version=made["selected_subset"].data_version)
    )


def test_versions_without_a_mapped_vector_are_as_before(tmp_path):
    store, made = run(tmp_path, columns={})
    version = store.current("instance_embeddings")
    assert version.data_version == made["instance_embeddings"].data_version
    assert set(version.config) >= {"embedder", "row_tokens", "seed"}
    assert version.config["embedder"] != "column"


def without(pool, at, **changes):
    return [{**row, **changes} if i == at else row for i, row in enumerate(pool)]


POOL = [{**row, "v": vector(row["source"], i)} for i, row in enumerate(rows())]


@pytest.mark.parametrize(
    ("vector", "said"),
    [
        (None, r"pool.jsonl:5: 1 row of 72 without a vector in column 'v'"),
        ([1.0, 2.0], r"pool.jsonl:5: the vector in column 'v' has 2 dimensions; the pool's have 3"),
        ([0.0, 0.0, 0.0], r"pool.jsonl:5: the vector in column 'v' is all zeros"),
    ],
)
def test_a_row_that_has_no_such_vector_is_named(tmp_path, vector, said):
    with pytest.raises(UserError, match=said) as error:
        run(tmp_path, pool=without(POOL, 4, v=vector))
    assert "Give every row a vector by the same model, or omit --column embedding=v" in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, r"examples.jsonl:1: 1 example of 1 without a vector"),
        ({"v": [1.0]}, r"examples.jsonl:1: .* has 1 dimensions; the pool's have 3"),
    ],
)
def test_an_example_that_cannot_be_compared_with_the_rows_is_named(tmp_path, change, said):
    example = {"instruction": "Find the roots of x^2 - 5x + 6.", "output": "They are 2 and 3."}
    with pytest.raises(UserError, match=said):
        run(tmp_path, examples=[example | change])


def test_norms_of_extreme_vectors_are_computed():
    frame = pl.DataFrame(
        {"file": ["a", "a"], "line": [1, 2], "given_embedding": [[3e38, 3e38], [1e-40, 0.0]]},
        schema_overrides={"given_embedding": pl.List(pl.Float32)},
    )
    assert given_vectors(frame, "v") == pytest.approx(np.array([[0.5**0.5, 0.5**0.5], [1.0, 0.0]]))
