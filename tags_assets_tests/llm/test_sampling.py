from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from tags_assets.llm import LLMTagger
from tags_assets.llm.sampling import estimate_sample, tag_sample
from tags_assets_tests.llm.loopback import completion

TOPICS = ["algebra", "sonnets", "enzymes", "contracts"]


@pytest.fixture
def pool(server):
    server.behave = lambda c: completion(
        json.dumps({"tags": [t for t in TOPICS if t in c.row] or ["other thing"]})
    )
    rng = np.random.default_rng(0)
    topic = rng.integers(len(TOPICS), size=200)
    ids = [f"r{i}" for i in range(200)]
    conversations = [
        [{"role": "user", "content": f"Row {i} on {TOPICS[t]}"}, {"role": "assistant", "content": "Yes."}]
        for i, t in enumerate(topic)
    ]
    vectors = np.eye(8, dtype=np.float32)[topic] + 0.1 * rng.normal(size=(200, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return ids, [hashlib.sha256(i.encode()).hexdigest() for i in ids], conversations, vectors, topic


def test_a_sample_is_paid_for_and_the_rest_gets_its_tags(server, connect, pool):
    ids, hashes, conversations, vectors, topic = pool
    tagger = LLMTagger(connect())
    estimate = estimate_sample(tagger, hashes, conversations, 0.3)
    result = tag_sample(tagger, ids, hashes, conversations, vectors=vectors, share=0.3)
    assert len(server.chats) == estimate.to_ask == result.figures["sampled_rows"] < 80
    assert result.tags["instance_id"].n_unique() == 200
    best = dict(result.tags.group_by("instance_id").first().select("instance_id", "tag").iter_rows())
    assert np.mean([best[i] == TOPICS[t] for i, t in zip(ids, topic, strict=True)]) > 0.95
    assert set(result.tags["origin"]) == {"llm", "assigned"}
    assert result.figures["carried_share"] == pytest.approx(1 - len(server.chats) / 200, abs=1e-3)
    assert result.figures["agreement_f1"] > result.figures["baseline_f1"]


def test_where_the_share_is_one_nothing_is_carried(server, connect, pool):
    ids, hashes, conversations, vectors, _ = pool
    result = tag_sample(LLMTagger(connect()), ids, hashes, conversations, vectors=vectors, share=1.0)
    assert len(server.chats) == 200
    assert set(result.tags["origin"]) == {"llm"}
