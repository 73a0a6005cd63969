from __future__ import annotations

import numpy as np
import pytest

from tags_assets.errors import UserError
from tags_assets.llm import APIEmbedder, Price
from tags_assets_tests.llm.loopback import Reply, error, well_behaved

TEXTS = [f"text {'x' * i}" for i in range(150)]


def test_vectors_have_unit_norm_and_the_order_of_the_texts(connect):
    vectors = APIEmbedder(connect()).embed(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (150, 3)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    expected = np.array([[len(t), 1.0, 2.0] for t in TEXTS])
    assert vectors == pytest.approx(expected / np.linalg.norm(expected, axis=1, keepdims=True))


def test_texts_are_paid_for_once(server, connect):
    client = connect(price=Price(prompt=1.0, completion=0))
    first = APIEmbedder(client).embed(TEXTS)
    assert len(server.calls) == 3
    again = APIEmbedder(connect()).embed([*TEXTS, "new"])
    assert len(server.calls) == 4
    assert (again[:150] == first).all()
    assert client.cache.spending(client.account).paid == pytest.approx(451 * 3 / 3 / 1e6, rel=0.01)


@pytest.mark.parametrize(
    "fault", [error(500, "x"), error(429, "y"), Reply(manner="reset"), Reply({"data": []})]
)
def test_passing_faults_are_tried_again(server, connect, fault):
    server.behave = lambda call: fault if call.number < 2 else well_behaved(call)
    assert APIEmbedder(connect()).embed(TEXTS).shape == (150, 3)


def test_a_refusal_is_one_clear_line(server, connect):
    server.behave = lambda _: error(400, "this is a chat model")
    with pytest.raises(UserError, match="embedding model"):
        APIEmbedder(connect()).embed(TEXTS)


def test_answers_that_are_no_vectors_end_it(server, connect):
    server.behave = lambda c: Reply(
        {"data": [{"index": i, "embedding": [float("nan")]} for i, _ in enumerate(c.body["input"])]}
    )
    with pytest.raises(UserError, match="no vectors"):
        APIEmbedder(connect(concurrency=1)).embed(["a"])


def test_nothing_gives_nothing(server, connect):
    assert APIEmbedder(connect(), dimensions=5).embed([]).shape == (0, 5)
    assert server.calls == []


def test_too_long_texts_are_cut(server, connect):
    def behave(call):
        if any(len(t) > 5000 for t in call.body["input"]):
            return error(400, "maximum context length is 1200 tokens")
        return well_behaved(call)

    server.behave = behave
    assert APIEmbedder(connect()).embed(["word " * 4000]).shape == (1, 3)


VECTORS = {
    "order": [(1, [1.0, 2.0, 3.0]), (1, [1.0, 2.0, 3.0])],
    "foreign index": [(0, [1.0, 2.0, 3.0]), (7, [1.0, 2.0, 3.0])],
    "too few": [(0, [1.0, 2.0, 3.0])],
    "zeros": [(0, [0.0, 0.0, 0.0]), (1, [1.0, 2.0, 3.0])],
    "huge": [(0, [1e300, 0.0, 0.0]), (1, [1.0, 2.0, 3.0])],
    "NaN": [(0, [float("nan"), 0.0, 0.0]), (1, [1.0, 2.0, 3.0])],
    "two lengths": [(0, [1.0, 2.0]), (1, [1.0, 2.0, 3.0])],
    "another length": [(0, [1.0, 2.0]), (1, [1.0, 2.0])],
    "text": [(0, "AAAA"), (1, "AAAA")],
    "text index": [("0", [1.0, 2.0, 3.0]), ("1", [1.0, 2.0, 3.0])],
}


@pytest.mark.parametrize("vectors", VECTORS.values(), ids=VECTORS)
def test_vectors_that_can_not_be_right_cost_their_call(server, connect, vectors):
    said = Reply({"data": [{"index": i, "embedding": v} for i, v in vectors], "usage": {"prompt_tokens": 6}})
    embedder = APIEmbedder(connect())
    embedder.embed(["first"])
    server.behave = lambda call: said if call.number == 1 else well_behaved(call)
    got = embedder.embed(["aa", "bbbb"])
    expected = np.array([[2.0, 1.0, 2.0], [4.0, 1.0, 2.0]])
    assert got == pytest.approx(expected / np.linalg.norm(expected, axis=1, keepdims=True))
    assert len(server.calls) == 3


def test_vectors_of_another_model_under_the_same_name_are_a_line(server, connect):
    APIEmbedder(connect()).embed(["first"])
    server.behave = lambda c: Reply(
        {"data": [{"index": i, "embedding": [1.0] * 5} for i, _ in enumerate(c.body["input"])]}
    )
    with pytest.raises(UserError, match="numbers"):
        APIEmbedder(connect()).embed(["first", "second"])


@pytest.mark.parametrize("usage", [None, [], "x", {"prompt_tokens": 0}, {"prompt_tokens": 2**63}], ids=str)
def test_uncounted_tokens_of_vectors_are_charged_as_reserved(server, connect, usage):
    server.behave = lambda c: Reply(well_behaved(c).body | {"usage": usage})
    client = connect(price=Price(prompt=10.0, completion=0), spending_cap=0.1)
    with pytest.raises(UserError, match="spending cap"):
        APIEmbedder(client).embed([f"{i} words of a text" * 9 for i in range(600)])
    assert 0 < client.cache.spending(client.account).paid <= 0.1
