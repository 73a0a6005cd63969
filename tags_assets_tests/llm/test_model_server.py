"""Tag, judge, refine through a real server. Its answers differ from run to run: their form is tested."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from tags_assets.llm import (
    JUDGEMENTS_SCHEMA,
    Client,
    ClientSettings,
    Judge,
    LLMRefiner,
    LLMTagger,
    check_server,
)
from tags_assets.llm.rating import DIMENSIONS
from tags_assets.method.tree.refinement import (
    Concept,
    Doubt,
    Neighbours,
    Siblings,
    checked_names,
    checked_summaries,
)
from tags_assets_tests.llm.model_server import MODEL, running
from tags_assets_tests.llm.test_hostile import messages_of

pytestmark = pytest.mark.model_server


@pytest.fixture(scope="module")
def client(model_server, tmp_path_factory):
    # Small rows and long patience: the server has one core at most, and that may be shared.
    settings = ClientSettings(
        base_url=model_server,
        model=MODEL,
        concurrency=2,
        timeout_s=300,
        startup_patience_s=300,
        patience_s=300,
        row_tokens=250,
    )
    with Client(settings, tmp_path_factory.mktemp("llm") / "answers.sqlite") as client:
        yield client


@pytest.fixture(scope="module")
def pool(shared_data):
    with gzip.open(shared_data / "pool_mixed.jsonl.gz") as file:
        rows = [json.loads(line) for line in islice(file, 10)]
    return [r["id"] for r in rows], [messages_of(r) for r in rows]


def test_the_server_is_recognised(model_server):
    report = check_server(model_server, MODEL, timeout_s=120)
    assert report.reachable, report
    assert report.context_tokens == 4096
    assert MODEL in report.models


@pytest.mark.real_data
def test_real_rows_are_tagged(client, pool):
    ids, conversations = pool
    tagger = LLMTagger(client, frequency_penalty=0.6, presence_penalty=0.2)
    estimate = tagger.estimate(conversations)
    result = tagger.tag(ids, conversations)
    assert result.figures["modes"] == {"tag": "json_schema"}
    assert result.tags["instance_id"].n_unique() + result.failures.height == len(ids)
    assert result.failures.height <= 3
    if result.figures["calls"] == len(ids):  # no second attempts, which are not foreseen
        assert 0.8 < estimate.prompt_tokens / result.figures["prompt_tokens"] < 1.25
    n_calls = result.figures["calls"]
    again = tagger.tag(ids, conversations)
    assert again.figures["calls"] == 0 < n_calls
    assert again.tags.equals(result.tags)


@pytest.mark.real_data
def test_real_rows_are_judged(client, pool):
    ids, conversations = (part[:3] for part in pool)
    result = Judge(client, failure_limit=1.0).judge(ids, conversations)
    frame = result.judgements
    assert frame.columns == list(JUDGEMENTS_SCHEMA)
    assert frame.height + result.failures.height == 3
    for name in DIMENSIONS:
        values = frame[name].drop_nulls()
        assert values.is_between(0, 1).all()
        assert (frame[f"{name}_reason"].str.len_chars() <= 300).all()


def test_a_level_of_the_tree_is_refined(client):
    def concept(name, *members):
        return Concept(name, "", len(members), 10, members, (name,))

    clusters = (
        concept("equation", "quadratic formula", "linear equation", "factoring"),
        concept("loop", "for loop", "list comprehension", "while loop"),
        concept("loops", "iteration", "python loop"),
    )
    refiner = LLMRefiner(client, failure_limit=1.0)
    assert len(checked_summaries(refiner.summarise(clusters), clusters)) == 3
    merges = refiner.deduplicate([Neighbours(clusters, np.ones((3, 3)))])
    moves = refiner.reassign([Doubt(clusters[:2], clusters[1:], 0, np.ones((2, 2)))])
    siblings = [Siblings(concept("programming", "x"), clusters)]
    names = checked_names(refiner.rename(siblings), siblings)[0]
    assert len(merges) == len(moves) == 1
    assert len(set(names)) == 3
    assert refiner.figures["calls"] >= 4


def test_a_row_beyond_the_context_is_cut_until_it_fits(tmp_path):
    long = "one two three four " * 4000
    row = [{"role": "user", "content": long}, {"role": "assistant", "content": "five"}]
    with running(n_ctx=1536, n_parallel=1) as url:
        settings = ClientSettings(
            base_url=url,
            model=MODEL,
            concurrency=1,
            timeout_s=300,
            startup_patience_s=300,
            row_tokens=20_000,
            context_tokens=30_000,
        )
        with Client(settings, tmp_path / "answers.sqlite") as client:
            tagger = LLMTagger(client, failure_limit=1.0)
            tagger.task = replace(tagger.task, max_tokens=40)
            result = tagger.tag(["long"], [row])
    assert result.figures["faults"]["too long"] >= 1
    assert result.figures["cut_rows"] == 1
