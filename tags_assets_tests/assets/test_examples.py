from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from tags_assets.assets.examples import _embedded_and_tagged
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
