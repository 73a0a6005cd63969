from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from tags_assets.assets.examples import _embedded_and_tagged, example_columns, example_notes, read_examples
from tags_assets.errors import UserError

ROWS = pl.DataFrame({"instance_id": ["a", "b"], "prompt": ["one", "two"], "response": ["1", "2"]})


def tagger(embedder, threads):
    def tag(rows):
        threads.append(threading.get_ident())
        return rows.select("instance_id", tag="prompt", weight=pl.lit(1.0))

    return SimpleNamespace(run=SimpleNamespace(pool=SimpleNamespace(embedder=embedder)), tag=tag)


@pytest.mark.parametrize(("embedder", "beside"), [("minilm", True), ("api", False)])
def test_a_model_on_this_machine_embeds_beside_the_tagger_and_a_server_is_asked_by_the_caller(
    embedder, beside
):
    threads = []

    def embed(texts):
        threads.append(threading.get_ident())
        return np.array([[float(text[-1])] for text in texts], dtype=np.float32)

    vectors, tags = _embedded_and_tagged(ROWS, embed, tagger(embedder, threads))
    assert vectors.tolist() == [[1.0], [2.0]]
    assert tags["tag"].to_list() == ["one", "two"]
    assert (len(set(threads)) == 2) is beside
    assert threading.get_ident() in threads


def test_what_the_embedder_cannot_do_is_told_as_without_the_thread():
    def embed(_texts):
        raise UserError("the embedding model's package is not installed")

    with pytest.raises(UserError, match="package is not installed"):
        _embedded_and_tagged(ROWS, embed, tagger("minilm", []))


@pytest.fixture
def examples(tmp_path):
    """Read rows as the examples of a target, with the map of columns of the pool."""

    def of(rows, **columns):
        path = tmp_path / "examples.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        spec = SimpleNamespace(examples_source=path, target=SimpleNamespace(examples=path.name))
        pool = SimpleNamespace(columns=columns)
        return spec, SimpleNamespace(pool=pool, home=SimpleNamespace(cache=tmp_path / "cache"))

    return of


def test_the_pools_map_of_columns_holds_for_examples(examples):
    spec, run = examples(
        [{"frage": "Wie?", "antwort": "So."}], prompt="frage", completion="antwort", tags="t"
    )
    assert example_columns(run) == {"prompt": "frage", "completion": "antwort"}
    assert read_examples(spec, run).select("prompt", "response").row(0) == ("Wie?", "So.")
    assert example_notes(spec, run) == []


def test_examples_in_a_layout_of_their_own_need_no_column_of_the_map(examples):
    spec, run = examples([{"prompt": "How?", "completion": "So."}], messages="talk")
    assert read_examples(spec, run)["prompt"].to_list() == ["How?"]


def test_examples_that_cannot_be_read_are_counted_and_named(examples):
    spec, run = examples([{"prompt": "How?", "completion": "So."}, {"prompt": "Why?"}, {"text": 1}])
    (note,) = example_notes(spec, run)
    assert note.startswith(
        "2 examples of the target could not be read (examples.jsonl:2, examples.jsonl:3): prompt"
    )
