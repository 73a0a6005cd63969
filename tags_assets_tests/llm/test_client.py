from __future__ import annotations

import asyncio
import json
import logging
import threading
import time

import polars as pl
import pytest

from tags_assets.errors import UserError
from tags_assets.llm import LLMTagger, Price
from tags_assets.llm.conversation import Conversation
from tags_assets.llm.resolver import Item, Resolver
from tags_assets.llm.status import Tally
from tags_assets.llm.task import Question
from tags_assets_tests.llm.conftest import rows
from tags_assets_tests.llm.loopback import Reply, completion, error, tags_of, tokens_of, well_behaved


def test_every_row_is_answered_once(server, connect):
    ids, conversations = rows(40)
    result = LLMTagger(connect()).tag(ids, conversations)
    assert result.tags["instance_id"].unique().sort().to_list() == ids
    assert len(server.chats) == 40
    assert result.failures.is_empty()
    sums = result.tags.group_by("instance_id").agg(pl.col("weight").sum())
    assert sums["weight"].to_list() == pytest.approx([1.0] * 40)


def test_a_second_run_makes_no_call_and_gives_the_same_table(server, connect):
    ids, conversations = rows(30)
    first = LLMTagger(connect()).tag(ids, conversations)
    second = LLMTagger(connect()).tag(ids, conversations)
    assert len(server.chats) == 30
    assert second.tags.equals(first.tags)
    assert second.figures["from_cache"] == 30
    assert second.figures["calls"] == 0


def test_new_rows_are_all_that_is_paid_for(server, connect):
    LLMTagger(connect()).tag(*rows(20))
    LLMTagger(connect()).tag(*rows(25))
    assert len(server.chats) == 25


def test_the_same_text_twice_in_a_run_is_asked_once(server, connect):
    _, conversations = rows(3)
    result = LLMTagger(connect()).tag(["a", "b", "c", "d"], [*conversations, conversations[0]])
    assert len(server.chats) == 3
    by_row = {i: t["tag"].to_list() for (i,), t in result.tags.group_by("instance_id")}
    assert by_row["a"] == by_row["d"]


def test_calls_under_way_reach_the_concurrency_and_never_exceed_it(server, connect):
    server.behave = lambda call: Reply(well_behaved(call).body, delay_s=0.05)
    LLMTagger(connect(concurrency=6)).tag(*rows(40))
    assert server.most_at_once == 6


def test_it_works_inside_a_running_event_loop(connect):
    async def notebook():
        return LLMTagger(connect()).tag(*rows(3))

    assert asyncio.run(notebook()).failures.is_empty()


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0"}, {"retry-after-ms": "30"}])
def test_429_is_waited_out(server, connect, headers):
    def behave(call):
        return error(429, "slow down", headers=headers) if call.number % 3 == 1 else well_behaved(call)

    server.behave = behave
    result = LLMTagger(connect()).tag(*rows(20))
    assert result.failures.is_empty()
    assert result.figures["faults"]["rate limited"] >= 5


def test_retry_after_is_honoured(server, connect):
    times = []

    def behave(call):
        times.append(time.monotonic())
        return (
            error(429, "slow down", headers={"Retry-After": "0.4"}) if len(times) == 1 else well_behaved(call)
        )

    server.behave = behave
    LLMTagger(connect(concurrency=1)).tag(*rows(2))
    assert times[1] - times[0] >= 0.4


def test_a_retry_after_beyond_all_patience_ends_the_run_at_once(server, connect):
    server.behave = lambda _: error(429, "come back tomorrow", headers={"Retry-After": "86400"})
    started = time.monotonic()
    with pytest.raises(UserError, match="86400 s"):
        LLMTagger(connect()).tag(*rows(5))
    assert time.monotonic() - started < 2


def test_a_used_up_quota_ends_the_run_at_once(server, connect):
    server.behave = lambda _: error(429, "You exceeded your current quota", code="insufficient_quota")
    with pytest.raises(UserError, match="quota"):
        LLMTagger(connect()).tag(*rows(50))
    assert len(server.chats) <= 4


@pytest.mark.parametrize(
    "fault",
    [
        error(500, "oops"),
        error(503, "loading"),
        Reply(manner="reset"),
        Reply({"x": "y" * 100}, manner="cut"),
        Reply(b"<html>bad gateway</html>"),
        Reply({"error": {"message": "overloaded"}}),
        Reply({"choices": []}),
    ],
    ids=["500", "503", "reset", "cut", "html", "error inside 200", "no choice"],
)
def test_passing_faults_are_tried_again(server, connect, fault):
    failed = set()

    def behave(call):
        if call.row not in failed and len(failed) < 12 and call.number % 2:
            failed.add(call.row)
            return fault
        return well_behaved(call)

    server.behave = behave
    result = LLMTagger(connect()).tag(*rows(20))
    assert result.failures.is_empty()
    assert sum(result.figures["faults"].values()) == len(failed) > 3


@pytest.mark.parametrize("manner", ["hang", "drip"])
def test_a_reply_that_never_ends_is_cut_off_and_tried_again(server, connect, manner):
    server.behave = lambda call: Reply(manner=manner) if call.number == 2 else well_behaved(call)
    started = time.monotonic()
    result = LLMTagger(connect(timeout_s=0.4)).tag(*rows(8))
    assert result.failures.is_empty()
    assert result.figures["faults"] == {"timeout": 1}
    assert time.monotonic() - started < 4


def test_an_endless_flood_is_cut_off(server, connect, monkeypatch):
    monkeypatch.setattr("tags_assets.llm.online.MAX_REPLY_BYTES", 2**21)
    server.behave = lambda call: Reply(manner="endless") if call.number == 1 else well_behaved(call)
    result = LLMTagger(connect()).tag(*rows(4))
    assert result.failures.is_empty()


def test_a_row_that_always_breaks_the_server_fails_alone(server, connect):
    def behave(call):
        return error(500, "assertion failed") if "charlie number" in call.row else well_behaved(call)

    server.behave = behave
    result = LLMTagger(connect(attempts=3)).tag(*rows(30))
    assert result.failures.height == 3
    assert set(result.failures["reason"]) == {"500 assertion failed (in 5 calls)"}
    # A second run does not ask for them again, and one that retries does.
    n_calls = len(server.chats)
    again = LLMTagger(connect(attempts=3)).tag(*rows(30))
    assert len(server.chats) == n_calls
    assert again.failures.equals(result.failures)
    server.behave = well_behaved
    fixed = LLMTagger(connect()).tag(*rows(30), retry_failed=True)
    assert fixed.failures.is_empty()
    assert len(server.chats) == n_calls + 3


def test_a_dead_server_costs_seconds(connect):
    client = connect(base_url="http://127.0.0.1:9/v1", startup_patience_s=0.5)
    started = time.monotonic()
    with pytest.raises(UserError, match=r"has not answered once.*can't be reached"):
        LLMTagger(client).tag(*rows(1000))
    assert time.monotonic() - started < 5


def test_a_server_that_dies_for_a_while_loses_no_row(server, connect):
    def behave(call):
        if call.number == 15:
            threading.Thread(target=server.stop).start()
            threading.Timer(0.6, server.restart).start()
        return Reply(well_behaved(call).body, delay_s=0.01)

    server.behave = behave
    result = LLMTagger(connect()).tag(*rows(60))
    assert result.failures.is_empty()
    assert result.figures["faults"]["server down"] > 0


def test_a_server_that_stays_dead_ends_the_run_and_keeps_the_answers(server, connect):
    def behave(call):
        if call.number == 20:
            threading.Thread(target=server.stop).start()
        return well_behaved(call)

    server.behave = behave
    with pytest.raises(UserError, match="answers so far are kept"):
        LLMTagger(connect(patience_s=0.5)).tag(*rows(200))
    n_calls = len(server.chats)
    server.behave = well_behaved
    server.restart()
    LLMTagger(connect()).tag(*rows(200))
    assert len(server.chats) - n_calls <= 200 - n_calls + 5


@pytest.mark.parametrize(
    ("status", "message", "fix"),
    [
        (401, "Incorrect API key provided: sk-abcdef123456", "OPENAI_API_KEY"),
        (404, "model not found", "'test'"),
    ],
)
def test_a_refusal_ends_the_run_after_one_call(server, connect, status, message, fix):
    server.behave = lambda _: error(status, message)
    with pytest.raises(UserError, match=fix) as caught:
        LLMTagger(connect()).tag(*rows(100))
    assert len(server.chats) == 1
    assert "sk-abc" not in str(caught.value)


def test_refused_content_is_final(server, connect):
    def behave(call):
        if "delta number" in call.row:
            return completion(None, refusal="I can't help with that")
        if "echo number" in call.row:
            return completion("", finish="content_filter")
        return well_behaved(call)

    server.behave = behave
    result = LLMTagger(connect()).tag(*rows(20))
    assert result.failures.height == 4
    assert set(result.failures["reason"]) == {
        "the model declined (refusal)",
        "the model declined (content_filter)",
    }
    assert len(server.chats) == 20


@pytest.mark.parametrize(
    ("content", "finish", "reason"),
    [
        ('{"tags": ["a', "length", "cut off at the token limit"),
        ("", "stop", "empty answer"),
        ("I am sorry, no.", "stop", "no JSON"),
        ('{"tags": 5}', "stop", "wrong form"),
        ('{"labels": ["x y"]}', "stop", "wrong form"),
        ('{"tags": []}', "stop", "wrong form"),
    ],
)
def test_unusable_answers_are_asked_again_a_few_times_and_then_final(
    server, connect, content, finish, reason
):
    def behave(call):
        return completion(content, finish=finish) if "golf number" in call.row else well_behaved(call)

    server.behave = behave
    result = LLMTagger(connect(answers=3)).tag(*rows(10))
    assert result.failures.height == 1
    assert reason in result.failures["reason"][0]
    assert len(server.chats) == 9 + 3
    LLMTagger(connect(answers=3)).tag(*rows(10))
    assert len(server.chats) == 12


def test_a_second_attempt_differs_from_the_first(server, connect):
    bodies = []

    def behave(call):
        bodies.append(call.body)
        return completion('{"tags": ["cut', finish="length") if len(bodies) == 1 else well_behaved(call)

    server.behave = behave
    result = LLMTagger(connect()).tag(*rows(1))
    assert result.failures.is_empty()
    assert bodies[1]["max_tokens"] == 2 * bodies[0]["max_tokens"]
    assert bodies[1]["temperature"] > bodies[0]["temperature"]
    assert bodies[1]["seed"] != bodies[0]["seed"]


def test_too_many_failures_end_the_run_with_one_line(server, connect):
    server.behave = lambda call: completion("no") if call.number % 2 else well_behaved(call)
    with pytest.raises(UserError, match=r"rows failed.*limit of 20%.*no JSON.*--retry-failed") as caught:
        LLMTagger(connect(answers=1)).tag(*rows(100))
    assert "\n" not in str(caught.value)
    assert len(server.chats) < 60


def test_rows_that_all_fail_stop_the_run_early(server, connect):
    server.behave = lambda _: completion("no")
    with pytest.raises(UserError, match="no JSON"):
        LLMTagger(connect(answers=1)).tag(*rows(2000))
    assert len(server.chats) <= 40


def test_a_row_too_long_for_the_context_is_cut_and_the_context_remembered(server, connect):
    def behave(call):
        if sum(len(m["content"]) for m in call.body["messages"]) > 9000:
            return error(
                400,
                "This model's maximum context length is 2400 tokens. However...",
                code="context_length_exceeded",
            )
        return well_behaved(call)

    server.behave = behave
    conversations = [
        [{"role": "user", "content": "long words " * 3000}, {"role": "assistant", "content": "Done."}]
        for _ in range(3)
    ]
    conversations = [
        [{**c[0], "content": f"{i} {c[0]['content']}"}, c[1]] for i, c in enumerate(conversations)
    ]
    result = LLMTagger(connect(concurrency=1)).tag(["a", "b", "c"], conversations)
    assert result.failures.is_empty()
    assert result.notes.filter(note="cut").height == 3
    assert "left out" in server.chats[-1].row
    first_refused = len(server.chats)
    assert first_refused <= 3 + 5  # found out once, not for each row


def test_what_is_too_long_even_when_cut_is_final(server, connect):
    def behave(call):
        return error(413, "request too large") if "hotel number" in call.row else well_behaved(call)

    server.behave = behave
    result = LLMTagger(connect()).tag(*rows(10))
    assert "even when cut" in result.failures["reason"][0]
    assert len(server.chats) < 9 + 10


def test_a_spending_cap_is_never_exceeded(server, connect):
    price = Price(prompt=10.0, completion=10.0)
    client = connect(price=price, spending_cap=0.3)
    with pytest.raises(UserError, match=r"spending cap of 0.3 USD is reached"):
        LLMTagger(client).tag(*rows(80))
    spent = client.cache.spending(client.account)
    assert 0.2 < spent.paid <= 0.3
    assert spent.paid == pytest.approx(sum(tokens_of(c) + 20 for c in server.chats) * 10 / 1e6)
    assert spent.reserved == 0
    # Another run, and another process, share the cap; with a higher one it goes on where it stopped.
    n_calls = len(server.chats)
    with pytest.raises(UserError, match="spending cap"):
        LLMTagger(connect(price=price, spending_cap=0.3)).tag(*rows(80))
    assert len(server.chats) - n_calls <= 2
    LLMTagger(connect(price=price, spending_cap=50)).tag(*rows(80))
    assert len(server.chats) == 80


def test_a_cap_needs_a_price(connect):
    with pytest.raises(UserError, match="needs a price"):
        connect(spending_cap=1.0)


def test_the_estimate_names_tokens_and_cost_before_the_first_call(server, connect):
    ids, conversations = rows(50)
    client = connect(price=Price(prompt=1.0, completion=2.0), requests_per_minute=100)
    before = LLMTagger(client).estimate(conversations)
    assert server.calls == []
    assert (before.questions, before.to_ask, before.cached) == (50, 50, 0)
    assert before.cost == pytest.approx((before.prompt_tokens + 2 * before.completion_tokens) / 1e6, rel=1e-4)
    assert before.seconds == 30
    tagger = LLMTagger(connect(price=Price(prompt=1.0, completion=2.0)))
    tagger.tag(ids[:40], conversations[:40])
    after = tagger.estimate(conversations)
    assert (after.to_ask, after.cached) == (10, 40)
    assert after.prompt_tokens == pytest.approx(sum(map(tokens_of, server.chats)) / 4, rel=0.02)
    assert after.completion_tokens == 10 * 20


def test_requests_per_minute_are_kept(connect):
    started = time.monotonic()
    LLMTagger(connect(requests_per_minute=1200, concurrency=10)).tag(*rows(60))
    assert time.monotonic() - started > 60 / 20 - 2.2  # a burst of two seconds is free


def test_no_key_reaches_cache_log_or_error(server, connect, caplog, tmp_path):
    key = "sk-very-secret-0123456789"
    server.behave = lambda call: (
        error(400, f"bad request with {key}") if call.number % 5 == 4 else well_behaved(call)
    )
    with caplog.at_level(logging.DEBUG):
        tagger = LLMTagger(connect(api_key=key))
        result = tagger.tag(*rows(20))
    assert server.chats[0].headers["authorization"] == f"Bearer {key}"
    assert "[key]" in result.failures["reason"][0]
    said = [repr(tagger.client.settings), json.dumps(tagger.fingerprint_config()), repr(result), caplog.text]
    tagger.client.close()
    stored = b"".join(p.read_bytes() for p in tmp_path.glob("answers.sqlite*"))
    assert not any(key in text for text in said)
    assert key.encode() not in stored


def test_rows_are_not_kept_in_the_cache(connect, tmp_path):
    client = connect()
    LLMTagger(client).tag(
        ["a"],
        [
            [
                {"role": "user", "content": "zyxwvut secret row text"},
                {"role": "assistant", "content": "ok then"},
            ]
        ],
    )
    client.close()
    stored = b"".join(p.read_bytes() for p in tmp_path.glob("answers.sqlite*"))
    assert b"secret row" not in stored


def test_progress_tells_rows_speed_and_money(server, connect):
    seen, states = [], []
    server.behave = lambda call: Reply(well_behaved(call).body, delay_s=0.05)
    client = connect(price=Price(prompt=10.0, completion=10.0))
    LLMTagger(client).tag(*rows(40), progress=lambda *p: seen.append(p), status=states.append)
    assert seen[-1] == (40, 40)
    assert seen == sorted(seen)
    middle = states[len(states) // 2]
    assert middle.per_s > 0
    assert middle.left_s is not None
    assert "rows/s" in str(middle)
    assert "USD" in str(states[-1])


def test_an_interrupted_run_counts_what_was_in_flight_as_paid(server, connect):
    client = connect(price=Price(prompt=10.0, completion=10.0))
    status_calls = []

    def interrupt(_):
        status_calls.append(1)
        if len(status_calls) == 2:
            raise KeyboardInterrupt

    server.behave = lambda call: Reply(well_behaved(call).body, delay_s=0.3)
    with pytest.raises(KeyboardInterrupt):
        LLMTagger(client).tag(*rows(40), status=interrupt)
    client.cache.write_now(client.cache.beat)  # after all that was queued
    spending = client.cache.spending(client.account)
    assert spending.reserved == 0
    server.behave = well_behaved
    result = LLMTagger(client).tag(*rows(40))
    assert result.failures.is_empty()


def test_tags_of_the_double_are_what_the_tests_think():
    assert tags_of("<row>\n<user>\nExplain alpha number\n</user>\n</row>\nConcepts of the row above") == [
        "explain",
        "number",
        "alpha",
    ]


def test_what_is_shown_of_a_long_row_does_not_hang_on_the_answers_before(connect):
    client = connect(row_tokens=200)
    task = LLMTagger(client).task
    resolver = Resolver(client.settings, client.cache, client.account, Tally(1, None))
    question = Question(task, Conversation.of([{"role": "user", "content": "one two three four " * 400}]))
    before = resolver.request(Item(0, question, b"k"), "json_schema")
    for _ in range(50):
        resolver.scope(task).dialect.observe(100.0, 140, 10)
    after = resolver.request(Item(0, question, b"k"), "json_schema")
    assert before.cut
    assert after.body == before.body
    assert after.prompt_tokens > before.prompt_tokens
