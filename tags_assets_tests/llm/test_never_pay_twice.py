"""Real processes, killed for real."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import polars as pl
import pytest

from tags_assets.llm import AnswerCache, LLMTagger
from tags_assets.llm.answer_cache import Account, Elsewhere, Granted, Stored
from tags_assets_tests.llm.conftest import rows
from tags_assets_tests.llm.loopback import Reply, well_behaved

PROGRAM = """
import sys
from tags_assets.llm import Client, ClientSettings, LLMTagger
from tags_assets_tests.llm.conftest import rows
url, cache, out, n, concurrency = sys.argv[1:]
settings = ClientSettings(base_url=url, model="test", concurrency=int(concurrency))
with Client(settings, cache) as client:
    LLMTagger(client).tag(*rows(int(n))).tags.write_parquet(out)
"""


def start(server, cache, out, n, concurrency=4):
    command = [sys.executable, "-c", PROGRAM, server.url, str(cache), str(out), str(n), str(concurrency)]
    return subprocess.Popen(command)


def wait_for_calls(server, n):
    deadline = time.monotonic() + 60
    while len(server.chats) < n and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(server.chats) >= n


@pytest.mark.slow
def test_a_run_killed_twice_repeats_only_what_was_in_flight(server, connect, tmp_path):
    n, concurrency = 150, 4
    server.behave = lambda call: Reply(well_behaved(call).body, delay_s=0.03)
    unbroken = LLMTagger(connect(cache=tmp_path / "unbroken.sqlite", concurrency=16)).tag(*rows(n)).tags
    server.calls.clear()
    cache, out = tmp_path / "answers.sqlite", tmp_path / "tags.parquet"
    moments = sorted(random.Random(time.time_ns()).sample(range(5, n - 10), 2))  # noqa: S311
    for moment in moments:
        process = start(server, cache, out, n)
        wait_for_calls(server, moment + len(moments))
        process.kill()
        assert process.wait() == -9
    assert start(server, cache, out, n).wait() == 0
    assert n <= len(server.chats) <= n + 2 * concurrency, moments
    assert pl.read_parquet(out).equals(unbroken), moments
    with AnswerCache(cache) as settled:
        spending = settled.spending(Account(server.url, "test"))
    assert spending.reserved == 0
    # Calls whose reply was lost are on record too: claimed before they were made. The kill may fall between
    # the two.
    assert spending.calls >= len(server.chats)


@pytest.mark.slow
def test_two_processes_at_once_pay_once(server, tmp_path):
    n = 120
    server.behave = lambda call: Reply(well_behaved(call).body, delay_s=0.03)
    processes = [start(server, tmp_path / "answers.sqlite", tmp_path / f"{i}.parquet", n) for i in range(2)]
    assert [p.wait() for p in processes] == [0, 0]
    assert len(server.chats) == n
    assert pl.read_parquet(tmp_path / "0.parquet").equals(pl.read_parquet(tmp_path / "1.parquet"))


ACCOUNT = Account("http://x/v1", "m")


def test_a_claim_is_granted_once_and_settled_by_its_answer(tmp_path):
    with AnswerCache(tmp_path / "c.sqlite") as one, AnswerCache(tmp_path / "c.sqlite") as two:
        claim = one.claim(b"k", ACCOUNT, 1.0, 10)
        assert one.write_now(claim) == Granted()
        assert two.write_now(two.claim(b"k", ACCOUNT, 1.0, 10)) == Elsewhere()
        assert two.spending(ACCOUNT).reserved == 1.0
        answer = Stored("{}", "stop", False, 10, 5)
        one.write_now(one.keep(b"k", ACCOUNT, answer, 0.5))
        assert two.write_now(two.claim(b"k", ACCOUNT, 1.0, 10)) == answer
        assert two.known([b"k", b"other"]) == {b"k": answer}
        spending = two.spending(ACCOUNT)
        assert (spending.paid, spending.reserved, spending.presumed) == (0.5, 0, 0)


def test_claims_of_a_dead_process_are_void_and_count_as_paid(tmp_path):
    path = tmp_path / "c.sqlite"
    program = (
        "import os, sys; from tags_assets.llm.answer_cache import *; c = AnswerCache(sys.argv[1]);"
        "c.write_now(c.claim(b'k', Account('http://x/v1', 'm'), 2.0, 10)); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    with AnswerCache(path) as cache:
        spending = cache.spending(ACCOUNT)
        assert (spending.reserved, spending.presumed, spending.calls) == (0, 2.0, 1)
        assert cache.write_now(cache.claim(b"k", ACCOUNT, 1.0, 10)) == Granted()


def test_only_the_owner_can_give_a_claim_back(tmp_path):
    with AnswerCache(tmp_path / "c.sqlite") as one, AnswerCache(tmp_path / "c.sqlite") as two:
        one.write_now(one.claim(b"k", ACCOUNT, 1.0, 10))
        two.write_now(two.release(b"k", maybe_paid=False))
        assert two.spending(ACCOUNT).reserved == 1.0
