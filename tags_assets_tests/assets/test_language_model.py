"""Tagging, judging, naming and embedding through a server, as a user meets them."""

from __future__ import annotations

import itertools
import json
import re
import signal
import subprocess
import sys
import time

import dagster as dg
import polars as pl
import pytest

from tags_assets.commands.select import run_dry, run_select
from tags_assets.commands.select_options import SelectOptions
from tags_assets.errors import UserError
from tags_assets.graph.instance import open_instance
from tags_assets.settings.home import Home
from tags_assets.store.opening import open_store
from tags_assets_tests.llm.attacks import verdict
from tags_assets_tests.llm.loopback import Loopback, Reply, completion, tokens_of
from tags_assets_tests.small_pool import write_pool, write_target

KEY = "sk-not-to-be-found-anywhere-81f3"


def obliging(call) -> Reply:
    """Answer every job with something usable that hangs on the question alone."""
    if call.path.endswith("/embeddings"):
        data = [{"index": i, "embedding": vector_of(text)} for i, text in enumerate(call.body["input"])]
        return Reply({"data": data, "usage": {"prompt_tokens": 30 * len(data)}})
    if not call.path.endswith("/chat/completions"):
        return Reply({"object": "list", "data": [{"id": "test", "max_model_len": 8192}]})
    task = call.body["response_format"]["json_schema"]["name"]
    numbered = re.findall(r"^(\d+)\. (.*?) \[", call.row, re.MULTILINE)
    answers = {
        "tag": {"tags": pairs_of(call.row)},
        "judge": json.loads(verdict(3, clarity=5)),
        "audit": {"worst_fault": "none", "badness": 0},
        "summarise": {
            "clusters": [
                {"number": int(n), "name": f"{w} studies", "description": f"All of {w}."} for n, w in numbered
            ]
        },
        "deduplicate": {"same": []},
        "reassign": {"moves": []},
        "rename": {"names": [{"number": int(n), "name": f"{w} ({n})"} for n, w in numbered]},
    }
    return completion(json.dumps(answers[task]), prompt_tokens=tokens_of(call))


def pairs_of(text):
    """Take eight pairs of neighbouring words: enough distinct tags for a tree of several levels."""
    words = re.findall(r"[a-z]{3,}", re.sub(r"</?\w+>", "", text.split("Concepts of the row")[0]).lower())
    return [" ".join(pair) for pair in itertools.pairwise(words)][:8]


def vector_of(text):
    """Count letters: near texts have near vectors."""
    return [1.0 + text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]


@pytest.fixture
def server():
    loopback = Loopback(obliging)
    yield loopback
    loopback.close()


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAGS_TARGETS", str(tmp_path / "targets"))
    monkeypatch.setenv("TAGS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setattr("tags_assets.assets.versioned.Throttled", lambda observe: observe)
    write_pool(tmp_path / "data")
    write_target(tmp_path / "targets")
    return tmp_path


def choices(server, **chosen) -> SelectOptions:
    llm = ["concurrency=4", "price={prompt: 1, completion: 2}", *chosen.pop("llm", ())]
    given = {"pool": ["data"], "target": "maths", "model": "test", "base_url": server.url} | chosen
    return SelectOptions(**given, llm=llm)


def figures(asset):
    return open_store(Home.resolve().path).require(asset).metadata["figures"]


def asked(server):
    """How often each job was asked for."""
    tasks = [call.body["response_format"]["json_schema"]["name"] for call in server.chats]
    return {task: tasks.count(task) for task in dict.fromkeys(tasks)}


def select(server, **chosen):
    run_select(Home.resolve().prepare(), choices(server, **chosen))


@pytest.mark.slow
def test_a_dry_run_asks_nothing_and_says_what_the_run_will_take(server, capsys):
    home = Home.resolve().prepare()
    every = {"tagger": "llm", "judge": "llm", "namer": "llm"}
    run_dry(home, choices(server, **every))
    said = capsys.readouterr().out
    assert not server.calls
    assert home.pool().tagger == "keyphrase"  # nothing of it is remembered
    assert "tagging with test: 74 of 74 questions" in said  # 72 rows, 2 examples of the target
    assert "judging with test: 144 of 144 questions" in said  # each once, and each audited at most
    assert "naming with test: cannot be estimated before the rows are tagged" in said
    assert "USD" in said
    assert said.endswith("Dry run: no question was sent.\n")
    tokens = int(re.search(r"tagging .*?: ([\d,]+) prompt", said).group(1).replace(",", ""))
    select(server, tagger="llm")
    assert figures("atomic_tags")["prompt_tokens"] == pytest.approx(tokens * 72 / 74, rel=0.3)
    n_calls = len(server.calls)
    capsys.readouterr()
    run_dry(home, choices(server, namer="llm"))
    said = capsys.readouterr().out
    assert "tagging with test: 0 of 74 questions to ask (74 are settled)" in said
    assert re.search(r"naming with test: [\d,]+ of ", said)
    assert len(server.calls) == n_calls


@pytest.mark.slow
def test_every_job_runs_and_its_cost_progress_and_failures_are_on_record(server):
    def sometimes(call):
        if "factorial of 8" in call.row and "Concepts of the row" in call.row:
            return completion("I won't.", finish="content_filter")
        return obliging(call)

    server.behave = sometimes
    select(server, tagger="llm", judge="llm", namer="llm", llm=("judge_model=critic", "refiner_model=editor"))
    assert {call.body["model"] for call in server.chats} == {"test", "critic", "editor"}
    tagged, judged, tree = (figures(a) for a in ("atomic_tags", "quality_judgements", "knowledge_tree"))
    assert tagged["calls"] == 74 - 2  # the examples are the target's
    assert tagged["rows_failed"] == 1
    store = open_store(Home.resolve().path)
    failed = store.read("atomic_tags", "failures")
    assert failed["reason"].to_list() == ["the model declined (content_filter)"]
    assert failed["instance_id"][0] not in set(store.read("atomic_tags")["instance_id"])
    assert judged["rows_judged"] == 72
    for figures_of_job in (tagged, judged, tree):
        price = figures_of_job["prompt_tokens"] / 1e6 + 2 * figures_of_job["completion_tokens"] / 1e6
        assert figures_of_job["cost"] == pytest.approx(price, rel=1e-3)
        assert figures_of_job["cost"] > 0
    assert set(store.read("atomic_tags")["origin"]) == {"llm"}
    assert any("studies" in name for name in store.read("knowledge_tree")["name"])
    with open_instance(Home.resolve()) as instance:
        seen = instance.fetch_observations(dg.AssetKey("atomic_tags"), limit=100).records
    shown = [record.asset_observation.metadata for record in seen]
    last = next(facts for facts in shown if "rows_per_second" in facts)
    assert (last["done"].value, last["total"].value, last["failed"].value) == (72, 72, 1)
    assert last["spent"].value == pytest.approx(tagged["cost"], abs=1e-3)
    assert any("seconds_left" in facts for facts in shown)

    # New weights are new ratings, and no call.
    before, n_calls = judged["mean_rating"], len(server.calls)
    select(server, llm=("judge_weights={clarity: 1}",))
    assert len(server.calls) == n_calls
    assert figures("quality_judgements")["mean_rating"] == pytest.approx(1.0)
    assert before < 1

    # What failed is asked again on request, and only that.
    server.behave = obliging
    tagged_before = asked(server)["tag"]
    select(server, retry_failed=True)
    assert asked(server)["tag"] == tagged_before + 1
    assert figures("atomic_tags")["rows_failed"] == 0

    # The key is nowhere in HOME, and the other way round: what was asked for is.
    files = [file for file in Home.resolve().path.rglob("*") if file.is_file()]
    assert not [file for file in files if KEY.encode() in file.read_bytes()]
    assert all(call.headers["authorization"] == f"Bearer {KEY}" for call in server.chats)


@pytest.mark.slow
def test_a_sample_is_tagged_and_its_tags_are_carried_over(server):
    select(server, tagger="llm", tag_share="60%")
    store = open_store(Home.resolve().path)
    tags = store.read("atomic_tags")
    by_row = tags.group_by("instance_id").agg(pl.col("origin").unique(), pl.col("weight").sum())
    carried = by_row.filter(pl.col("origin").list.contains("assigned")).height
    assert by_row.height == 72
    assert (by_row["origin"].list.len() == 1).all()  # a row is tagged or carried over to, never both
    told = figures("atomic_tags")
    assert told["sampled_rows"] == 72 - carried == asked(server)["tag"] - 2
    assert told["carried_share"] == pytest.approx(carried / 72, abs=1e-3)
    assert 0 <= told["agreement_f1"] <= 1
    assert told["held_back_rows"] > 0
    kept = store.read("instance_tags").join(
        tags.filter(pl.col("origin") == "assigned").select("instance_id").unique(), on="instance_id"
    )
    assert set(kept["origin"]) == {"assigned"}  # nothing that was carried over passes for the model's own
    with pytest.raises(UserError, match="--tagger llm"):
        select(server, tagger="keyphrase")
    with pytest.raises(UserError, match="not a share"):
        select(server, tag_share="lots")


@pytest.mark.slow
def test_rows_and_tags_are_embedded_over_the_api(project, server):
    select(server, embedder="api", llm=("embedding_model=letters",))
    store = open_store(Home.resolve().path)
    assert {call.body["model"] for call in server.calls if "embeddings" in call.path} == {"letters"}
    for asset, column in (("instance_embeddings", "instance_id"), ("tag_embeddings", "tag")):
        assert store.read_vectors(asset, id_column=column).matrix.shape[1] == 26
    assert figures("instance_embeddings")["cost"] == pytest.approx(30 * 72 / 1e6)
    n_calls = len(server.calls)
    write_target(project / "targets", budget={"rows": 9})
    select(server)
    assert len(server.calls) == n_calls


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"llm": ("api_key=sk-oops",)}, "api_key"),
        ({"llm": ("concurrency=none",)}, "concurrency"),
        ({"embedder": "api"}, "embedding_model"),
        ({"tagger": "llm", "base_url": "http://me:secret@127.0.0.1:1/v1"}, "OPENAI_API_KEY"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_not_remembered(server, chosen, said):
    with pytest.raises(UserError, match=said) as error:
        select(server, **chosen)
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
    pools = "".join(file.read_text() for file in (Home.resolve().path / "pools").glob("*"))
    assert "oops" not in pools
    assert "secret" not in pools


@pytest.mark.slow
def test_ctrl_c_ends_a_run_that_waits_for_the_server_and_what_was_answered_is_kept(project, server):
    def slowly(call):
        reply = obliging(call)
        return Reply(reply.body, delay_s=3600.0 if len(server.chats) > 20 else 0.0)

    server.behave = slowly
    command = [sys.executable, "-m", "tags_assets", "select", "data", "--tagger", "llm", "--model", "test"]
    command += ["--base-url", server.url, "--llm", "concurrency=4"]
    process = subprocess.Popen(command, cwd=project, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(server.chats) < 24 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "stopped; finished steps are kept" in said
    assert "defect" not in said
    server.behave = obliging
    n_calls = len(server.chats)
    select(server, tagger="llm")
    assert len(server.chats) - n_calls == 74 - 20
