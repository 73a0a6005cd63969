from __future__ import annotations

import pytest

from tags_assets.errors import UserError
from tags_assets.llm import LLMTagger, Price
from tags_assets.llm.batch import BatchRun
from tags_assets_tests.llm.batch_double import BatchDouble
from tags_assets_tests.llm.conftest import rows
from tags_assets_tests.llm.loopback import Reply, completion, error, well_behaved


@pytest.fixture
def double(server):
    server.behave = BatchDouble()
    return server.behave


@pytest.fixture
def batch(connect):
    return lambda **settings: LLMTagger(connect(transport="batch", batch_poll_s=0.02, **settings))


def test_batches_bring_the_same_tables_as_single_calls(server, double, batch, connect, tmp_path):
    ids, conversations = rows(30)
    by_batch = batch(batch_rows=12).tag(ids, conversations)
    assert len(double.batches) == 3
    assert server.chats == []
    online = LLMTagger(connect(cache=tmp_path / "other.sqlite")).tag(ids, conversations)
    assert by_batch.tags.equals(online.tags)


def test_both_transports_share_the_answers(server, double, batch, connect):
    ids, conversations = rows(30)
    LLMTagger(connect()).tag(ids[:10], conversations[:10])
    batch().tag(ids[:20], conversations[:20])
    assert len(double.answered) == 10
    LLMTagger(connect()).tag(ids, conversations)
    assert len(server.chats) == 20


def test_a_pending_batch_is_not_waited_for_where_that_is_not_wanted_and_collected_later(double, batch):
    double.looks = 10**9
    with pytest.raises(UserError, match=r"1 batches are pending \(batch-0.*nothing is paid for twice"):
        batch(batch_wait=False).tag(*rows(10))
    with pytest.raises(UserError, match="pending"):
        batch(batch_wait=False).tag(*rows(10))
    assert len(double.batches) == 1
    double.looks = 0
    result = batch(batch_wait=False).tag(*rows(10))
    assert result.failures.is_empty()
    assert len(double.batches) == 1
    assert len(double.answered) == 10


def test_a_lost_reply_to_the_hand_over_makes_no_second_batch(double, batch):
    double.refuse_create = [Reply(manner="reset")]
    result = batch().tag(*rows(10))
    assert result.failures.is_empty()
    assert len(double.batches) == 1


def test_a_process_killed_in_the_hand_over_finds_its_batch_again(double, batch, monkeypatch):
    create = BatchRun._create

    async def killed(*given):
        await create(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(BatchRun, "_create", killed)
        with pytest.raises(KeyboardInterrupt):
            batch().tag(*rows(10))
    assert len(double.batches) == 1
    assert batch().tag(*rows(10)).failures.is_empty()
    assert len(double.batches) == 1
    assert len(double.answered) == 10


def test_unusable_answers_go_into_another_round(double, batch):
    first = set()

    def chat(call):
        if "bravo number" in call.row and call.row not in first:
            first.add(call.row)
            return completion("no")
        if "echo number" in call.row:
            return completion("never")
        return well_behaved(call)

    double.chat = chat
    result = batch(answers=3).tag(*rows(20))
    assert result.failures.height == 2
    assert "in 3 attempts" in result.failures["reason"][0]
    assert len(double.answered) == 20 + 4 + 2
    batch(answers=3).tag(*rows(20))
    assert len(double.answered) == 26


def test_single_requests_that_are_refused_fail_for_good(double, batch):
    double.chat = lambda call: (
        error(400, "no such thing") if "golf number" in call.row else well_behaved(call)
    )
    warm = batch()
    warm.tag(*rows(5))
    result = warm.tag(*rows(20))
    assert set(result.failures["reason"]) == {"the server refuses the request: 400 no such thing"}
    assert result.failures.height == 2


def test_a_schema_that_is_refused_falls_back_for_the_next_round(double, batch):
    def chat(call):
        if call.body.get("response_format", {}).get("type") == "json_schema":
            return error(400, "response_format json_schema is not supported")
        return well_behaved(call)

    double.chat = chat
    result = batch().tag(*rows(10))
    assert result.failures.is_empty()
    assert result.figures["modes"] == {"tag": "json_object"}


def test_what_an_expired_batch_left_is_asked_again(double, batch):
    double.expire_after = 4
    result = batch().tag(*rows(10))
    assert result.failures.is_empty()
    assert len(double.answered) == 10
    assert len(double.batches) == 2


def test_a_failed_batch_is_one_clear_line(double, batch):
    double.fail_with = {"code": "invalid_json_line", "message": "line 1 is not JSON"}
    with pytest.raises(UserError, match=r"batch-0 failed: line 1 is not JSON"):
        batch().tag(*rows(10))


def test_the_batch_price_counts_and_the_cap_holds(double, batch):
    price = Price(prompt=10.0, completion=10.0, batch_factor=0.5)
    tagger = batch(price=price, spending_cap=1.0)
    result = tagger.tag(*rows(10))
    assert result.figures["cost"] == pytest.approx(tagger.client.cache.spending(tagger.client.account).paid)
    full = LLMTagger(tagger.client).estimate(rows(20)[1])
    assert 0.3 < full.cost / result.figures["cost"] < 1.5
    with pytest.raises(UserError, match="exceeds the spending cap"):
        batch(price=price, spending_cap=1.0).tag(*rows(500))
    assert len(double.answered) == 10


def test_a_refused_key_ends_it(server, batch):
    server.behave = lambda _: error(401, "Incorrect API key")
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        batch().tag(*rows(3))
