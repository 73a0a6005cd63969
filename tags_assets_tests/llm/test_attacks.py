"""Servers that mean harm, on a real socket: each costs its call, and no more than the spending cap."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import random
import time
import tracemalloc
import zlib

import pytest

from tags_assets.errors import UserError
from tags_assets.llm import LLMTagger, Price, check_server
from tags_assets_tests.llm.batch_double import BatchDouble
from tags_assets_tests.llm.conftest import rows
from tags_assets_tests.llm.loopback import Loopback, Reply, completion, error, well_behaved

KEY = "sk-Zq7-very-secret-0123456789"


def once(attack):
    """Attack the second call, and behave else."""
    return lambda call: attack if call.number == 1 else well_behaved(call)


def bombed(encodings, status=200):
    content = b" " * 2**27
    for encoding in encodings:
        content = gzip.compress(content) if encoding == "gzip" else zlib.compress(content)
    return Reply(content, status, {"content-encoding": ", ".join(encodings)})


@pytest.mark.parametrize(
    ("encodings", "status"),
    [(["gzip"], 200), (["deflate"], 200), (["gzip", "gzip"], 200), (["gzip"], 500), (["deflate"], 429)],
)
def test_a_compression_bomb_costs_its_call_and_little_memory(server, connect, encodings, status):
    server.behave = once(bombed(encodings, status))
    client = connect(concurrency=1)
    LLMTagger(client).tag(*rows(1))
    tracemalloc.start()
    result = LLMTagger(client).tag(*rows(4))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.failures.is_empty()
    assert sum(result.figures["faults"].values()) == 1
    assert most < 2**25


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "gzip, gzip, gzip", "x"])
def test_an_encoding_that_was_not_asked_for_is_not_decoded(server, connect, encoding):
    server.behave = once(Reply(b"(\xb5/\xfd", headers={"content-encoding": encoding}))
    result = LLMTagger(connect()).tag(*rows(4))
    assert result.failures.is_empty()
    assert result.figures["faults"] == {"server error": 1}
    assert {call.headers["accept-encoding"] for call in server.chats} == {"gzip, deflate"}


def test_an_honest_compressed_reply_is_read(server, connect):
    def behave(call):
        reply = well_behaved(call)
        return Reply(gzip.compress(json.dumps(reply.body).encode()), headers={"content-encoding": "gzip"})

    server.behave = behave
    assert LLMTagger(connect()).tag(*rows(4)).failures.is_empty()


USAGES = {
    "missing": None, "list": [1, 2], "text": "many", "number": 7,
    "zero": {"prompt_tokens": 0, "completion_tokens": 0},
    "negative": {"prompt_tokens": -5, "completion_tokens": -1},
    "one": {"prompt_tokens": 1, "completion_tokens": 20},
    "1e300": {"prompt_tokens": 1e300, "completion_tokens": 1e300},
    "2^63": {"prompt_tokens": 2**63, "completion_tokens": 2**63},
    "10^400": {"prompt_tokens": 10**400, "completion_tokens": 3},
    "NaN": {"prompt_tokens": float("nan"), "completion_tokens": float("nan")},
    "infinite": {"prompt_tokens": float("inf"), "completion_tokens": float("-inf")},
    "true": {"prompt_tokens": True, "completion_tokens": True},
    "words": {"prompt_tokens": "12", "completion_tokens": {"a": 1}},
    "details": {"prompt_tokens": 0, "prompt_tokens_details": [1], "completion_tokens": None},
    "cached": {"prompt_tokens": 0, "prompt_tokens_details": {"cached_tokens": 2**70}},
}  # fmt: skip


@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
def test_a_count_that_can_not_be_true_is_charged_as_reserved_and_said(server, connect, usage):
    def behave(call):
        reply = well_behaved(call)
        reply.body["usage"] = usage
        return reply

    server.behave = behave
    client = connect(
        price=Price(prompt=10.0, completion=10.0, cached_prompt=0.0), spending_cap=0.1, concurrency=1
    )
    states = []
    with pytest.raises(UserError, match=r"spending cap of 0\.1 USD is reached"):
        LLMTagger(client).tag(*rows(200), status=states.append)
    spent = client.cache.spending(client.account)
    assert 0.05 < spent.paid <= 0.1
    assert 1 < len(server.chats) < 60
    assert "partly estimated" in str(states[-1])


def test_an_honest_count_is_charged_as_it_is(connect):
    result = LLMTagger(connect(price=Price(prompt=10.0, completion=10.0))).tag(*rows(5))
    assert result.figures["calls_with_estimated_cost"] == 0


@pytest.mark.parametrize(
    "said",
    ["nan", "-5", "-inf", "1_0", "Thu, 99 Foo 20000 00:00:00 GMT", "\u0663".encode().decode("latin-1"), ""],
)
def test_a_wait_that_makes_no_sense_is_not_waited(server, connect, said):
    server.behave = once(error(429, "slow down", headers={"Retry-After": said, "retry-after-ms": "nan"}))
    started = time.monotonic()
    assert LLMTagger(connect()).tag(*rows(6)).failures.is_empty()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("said", ["inf", "1e300", "9" * 50, "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("transport", ["online", "batch"])
def test_a_wait_without_end_ends_the_run_with_a_line(server, connect, said, transport):
    server.behave = lambda _: error(429, "slow down", headers={"Retry-After": said})
    started = time.monotonic()
    with pytest.raises(UserError, match="asks to wait 30 days or more"):
        LLMTagger(connect(transport=transport)).tag(*rows(3))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("transport", ["online", "batch"])
def test_a_redirect_carries_neither_rows_nor_key_elsewhere(server, connect, status, transport):
    thief = Loopback()
    try:
        server.behave = lambda call: Reply({}, status, {"location": f"{thief.url}{call.path}?a=b"})
        with pytest.raises(UserError, match=f"redirects to {thief.url}.*give that one as base_url") as caught:
            LLMTagger(connect(transport=transport, api_key=KEY)).tag(*rows(3))
        assert thief.calls == []
        assert "a=b" not in str(caught.value)
    finally:
        thief.close()


@pytest.mark.parametrize("place", ["http://[", "\x1b[31m", "//", "javascript:alert(1)"])
def test_a_redirect_to_nonsense_is_a_line(server, connect, place):
    server.behave = lambda _: Reply({}, 307, {"location": place})
    with pytest.raises(UserError) as caught:
        LLMTagger(connect(patience_s=1.0, startup_patience_s=0.3)).tag(*rows(1))
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_this_machine_is_not_called_through_a_proxy(server, connect, monkeypatch, variable):
    proxy = Loopback()
    try:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert LLMTagger(connect()).tag(*rows(2)).failures.is_empty()
        assert proxy.calls == []
        assert len(server.chats) == 2
    finally:
        proxy.close()


def test_a_proxy_that_can_not_be_used_is_a_line(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "gopher://me:hunter2@x")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    said = str(check_server("https://api.example.com/v1", "m", timeout_s=1))
    assert "proxy" in said
    assert "hunter2" not in said


def echoes(key):
    b64 = base64.b64encode(f"Bearer {key}".encode()).decode()
    escaped = "".join(f"\\u{ord(c):04x}" for c in key)
    return [key, key.upper(), " ".join(key), f"x-auth={b64}", escaped, "".join(f"%{ord(c):02X}" for c in key)]


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("form", range(6))
def test_a_key_that_the_server_echoes_reaches_no_output(  # noqa: PLR0917
    server, connect, caplog, tmp_path, form, status
):
    def behave(call):
        key = call.headers["authorization"].removeprefix("Bearer ")
        echo = echoes(key)[form]
        headers = {"x-echo": key, "set-cookie": f"k={key}", "x-request-id": key}
        if call.number == 1:
            return error(status, f"you sent {echo}", code=key, param=key, headers=headers)
        content = '{"tags": ["' + (echo if len(echo) < 59 else f"key {echo}") + '", "alpha beta"]}'
        reply = completion(content, finish=key)
        reply.headers |= headers
        return reply

    server.behave = behave
    with caplog.at_level(logging.DEBUG):
        tagger = LLMTagger(connect(api_key=KEY, attempts=1, concurrency=1))
        result = tagger.tag(*rows(6))
    tagger.client.close()
    stored = b"".join(p.read_bytes() for p in tmp_path.glob("answers.sqlite*")).decode("latin-1")
    said = [
        repr(result),
        str(result.tags.to_dicts()),
        str(result.failures.to_dicts()),
        str(result.figures),
        caplog.text,
        stored,
    ]
    for echo in (KEY, *echoes(KEY)):
        assert not [text for text in said if echo.lower() in text.lower()]
    assert all("cookie" not in call.headers for call in server.calls)


@pytest.mark.parametrize("key", ["sk-abc\n", "sk abc", "sk-abc\nX-Evil: 1", "sk-\u00e9"])
def test_a_key_that_no_header_can_hold_is_a_line_or_trimmed(server, connect, key):
    if key.strip() == "sk-abc":
        LLMTagger(connect(api_key=key)).tag(*rows(1))
        assert server.chats[0].headers["authorization"] == "Bearer sk-abc"
        return
    with pytest.raises(UserError, match="API key contains characters"):
        LLMTagger(connect(api_key=key)).tag(*rows(1))
    assert server.calls == []


OK_BODY = json.dumps(completion('{"tags": ["alpha beta"]}').body).encode()
OK_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ODD = {
    "nothing": b"",
    "no http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "http/0.9": OK_BODY,
    "endless headers": OK_HEAD + b"".join(b"x-%d: %s\r\n" % (i, b"y" * 900) for i in range(300)),
    "endless 100": b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000,
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "negative length": OK_HEAD + b"content-length: -5\r\n\r\n" + OK_BODY,
    "two lengths": OK_HEAD + b"content-length: 5\r\ncontent-length: 9\r\n\r\n" + OK_BODY,
    "huge length": OK_HEAD + b"content-length: " + b"9" * 30 + b"\r\n\r\n" + OK_BODY,
    "bad chunk": OK_HEAD + b"transfer-encoding: chunked\r\n\r\nZZZ\r\n" + OK_BODY,
    "chunk cut": OK_HEAD + b"transfer-encoding: chunked\r\n\r\nfff\r\n" + OK_BODY,
    "status 999": b"HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n",
    "status 204": b"HTTP/1.1 204 X\r\n\r\n",
    "status 304": b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n",
    "nul in header": OK_HEAD + b"x: a\x00b\r\ncontent-length: 2\r\n\r\n{}",
    "escape in reason": b"HTTP/1.1 500 \x1b[31mred\r\ncontent-length: 0\r\n\r\n",
    "charset bomb": b"HTTP/1.1 500 X\r\ncontent-type: text/plain; charset=zlib_codec\r\n"
    b"content-length: 40\r\n\r\n" + zlib.compress(b"x" * 9000)[:40],
    "deep json": OK_HEAD + b"content-length: 200000\r\n\r\n" + b"[" * 200_000,
    "deep error": b"HTTP/1.1 500 X\r\ncontent-length: 60000\r\n\r\n" + b"[" * 60_000,
    "utf-16": OK_HEAD + b"content-length: 4\r\n\r\n\xff\xfe{\x00",
    "surrogate": OK_HEAD + b'content-length: 12\r\n\r\n{"a":"\\ud800"',
    "broken gzip": OK_HEAD + b"content-encoding: gzip\r\ncontent-length: 5\r\n\r\n\x1f\x8b\x08zz",
}


@pytest.mark.parametrize("raw", ODD.values(), ids=ODD)
def test_odd_http_costs_its_call(server, connect, raw):
    server.behave = once(Reply(raw, manner="raw"))
    result = LLMTagger(connect(timeout_s=5.0)).tag(*rows(4))
    assert result.failures.is_empty()
    assert sum(result.figures["faults"].values()) == 1


@pytest.mark.parametrize("transport", ["online", "batch"])
def test_a_reply_of_a_byte_now_and_then_ends_at_the_timeout(server, connect, transport):
    server.behave = lambda _: Reply(manner="drip")
    settings = {"timeout_s": 0.3, "patience_s": 1.0, "startup_patience_s": 1.0, "transport": transport}
    started = time.monotonic()
    with pytest.raises(UserError, match="no whole reply within the timeout"):
        LLMTagger(connect(**settings, attempts=2)).tag(*rows(2))
    assert time.monotonic() - started < 15


BODIES = [
    None, [], 5, "text", {"choices": None}, {"choices": {}}, {"choices": [None]}, {"choices": [[]]},
    {"choices": "abc"}, {"error": [[]]}, {"error": {"message": {"a": [1] * 1000}}}, {"error": 10**30},
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=str)
def test_a_reply_of_the_wrong_shape_costs_its_call(server, connect, body):
    server.behave = once(Reply(body))
    result = LLMTagger(connect()).tag(*rows(4))
    assert result.failures.is_empty()
    assert result.figures["faults"] == {"server error": 1}


def test_an_answer_of_many_megabytes_does_not_fill_the_cache(server, connect, tmp_path):
    server.behave = lambda _: completion("[" * 3 * 2**20)
    with pytest.raises(UserError, match="rows failed"):
        LLMTagger(connect(answers=2)).tag(*rows(3))
    assert sum(p.stat().st_size for p in tmp_path.glob("answers.sqlite*")) < 2**23


@pytest.mark.parametrize("size", ["001", "99999999", "00000128"])
def test_a_context_that_no_model_has_is_not_believed(server, connect, size):
    said = f"maximum context length is {size} tokens"
    server.behave = once(error(400, said, code="context_length_exceeded"))
    client = connect()
    LLMTagger(client).tag(*rows(3))
    assert LLMTagger(client).tag(*rows(6)).notes.filter(note="cut").height <= 1


@pytest.mark.parametrize("name", ["messages", "model", "x" * 5000, "response_formatting"])
def test_a_server_can_not_talk_the_request_out_of_its_messages(server, connect, name):
    server.behave = once(error(400, "unsupported parameter", code="unsupported_parameter", param=name))
    LLMTagger(connect()).tag(*rows(5))
    assert all(call.body["messages"] and call.body["model"] == "test" for call in server.chats)


def test_what_a_server_says_can_not_steer_the_terminal(server, connect):
    server.behave = lambda _: error(401, "\x1b[2J\x1b]0;owned\x07 \u202egnp.exe")
    with pytest.raises(UserError) as caught:
        LLMTagger(connect()).tag(*rows(1))
    server.behave = lambda c: (
        Reply({"data": [{"id": "a\x1b[31mb"}, {"id": 5}, None, {"id": "\u202ec" * 999}]})
        if c.path.endswith("/models")
        else error(404, "no\x1b[31m such")
    )
    for text in (str(caught.value), str(check_server(server.url, "test"))):
        assert not set(text) & set("\x1b\x07\u202e")
        assert len(text) < 2000


@pytest.mark.parametrize("body", [None, [], {"data": {}}, {"data": "x"}, {"data": [[]] * 10}], ids=str)
def test_a_list_of_models_of_the_wrong_shape_is_no_list(server, body):
    server.behave = lambda c: Reply(body) if c.path.endswith("/models") else well_behaved(c)
    assert check_server(server.url, "test").models == ()


@pytest.mark.parametrize(
    "reply",
    [
        error(500, "x"),
        Reply(b"<html>"),
        Reply({}),
        Reply(manner="reset"),
        Reply({}, 307, {"location": "http://x.example/"}),
    ],
)
def test_the_check_fails_for_what_does_not_answer(server, reply):
    server.behave = lambda _: reply
    report = check_server(server.url, "test", timeout_s=5)
    assert not report.reachable
    assert report.problem
    assert report.fix


def test_the_check_does_not_repeat_an_address_with_a_password():
    assert "hunter2" not in str(check_server("http://me:hunter2@127.0.0.1:9/v1", "m"))


def test_mutated_replies_never_break_a_run(server, connect):
    """Bytes of a whole reply are flipped, cut and doubled: each row is answered, or fails by itself."""
    draw = random.Random(12)  # noqa: S311
    whole = OK_HEAD + b"content-length: %d\r\n\r\n" % len(OK_BODY) + OK_BODY

    def behave(_):
        raw = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            place = draw.randrange(len(raw))
            if draw.random() < 0.6:
                raw[place] = draw.randrange(256)
            elif draw.random() < 0.5:
                del raw[place : place + draw.randint(1, 30)]
            else:
                raw[place:place] = raw[: draw.randint(1, 40)]
        return Reply(bytes(raw), manner="raw")

    server.behave = behave
    tagger = LLMTagger(
        connect(timeout_s=2.0, attempts=3, patience_s=30.0, startup_patience_s=30.0), failure_limit=1.0
    )
    result = tagger.tag(*rows(150))
    assert result.tags["instance_id"].n_unique() + result.failures["instance_id"].n_unique() == 150
    assert result.tags["instance_id"].n_unique() > 10


# Batches


@pytest.fixture
def double(server):
    server.behave = BatchDouble()
    return server.behave


def collected(connect, **settings):
    return LLMTagger(connect(transport="batch", batch_poll_s=0.02, **settings))


BAD_LINES = {
    "no json": b"{broken",
    "list": b"[1, 2]",
    "null": b"null",
    "status text": b'{"custom_id": "%s", "response": {"status_code": "abc", "body": {}}}',
    "status list": b'{"custom_id": "%s", "response": {"status_code": [1], "body": []}}',
    "response text": b'{"custom_id": "%s", "response": "x"}',
    "usage": b'{"custom_id": "%s", "response": {"status_code": 200, "body": {"usage": [], "choices": 3}}}',
    "body null": b'{"custom_id": "%s", "response": {"status_code": 200, "body": null}}',
    "foreign": b'{"custom_id": "00", "response": {"status_code": 200, "body": {}}}',
    "id list": b'{"custom_id": ["%s"], "response": 1}',
    "error deep": b'{"custom_id": "%s", "error": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "binary": bytes(range(128, 256)),
    "too long": b'{"custom_id": "%s", "x": "' + b"y" * 2**22 + b'"}',
    "bad gateway": b'{"custom_id": "%s", "response": {"status_code": 502, "body": "<html>"}}',
}


@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_costs_that_line_and_the_row_is_asked_again(double, connect, bad):
    finish = BatchDouble._finish

    def spoil(batch):
        finish(double, batch)
        name = f"{batch['id']}-out"
        lines = double.files[name].splitlines()
        if len(double.batches) == 1:
            lines[3] = bad.replace(b"%s", json.loads(lines[3])["custom_id"].encode())
        double.files[name] = b"\n".join(lines)

    double._finish = spoil
    result = collected(connect).tag(*rows(10))
    assert result.failures.is_empty()
    assert len(double.answered) == 11


def test_an_answer_that_is_lost_in_a_batch_counts_against_the_cap(double, connect):
    finish = BatchDouble._finish

    def swallow(batch):
        finish(double, batch)
        double.files[f"{batch['id']}-out"] = b"nothing\n"

    double._finish = swallow
    tagger = collected(connect, price=Price(prompt=10.0, completion=10.0), spending_cap=0.5)
    with pytest.raises(UserError, match=r"spending cap|rows failed"):
        tagger.tag(*rows(10))
    spent = tagger.client.cache.spending(tagger.client.account)
    assert spent.presumed > 0.05
    assert spent.reserved == 0


def test_rows_that_a_batch_refuses_fail_alone(double, connect):
    double.chat = lambda call: error(403, "not this row") if "golf number" in call.row else well_behaved(call)
    result = collected(connect).tag(*rows(20))
    assert result.failures.height == 2
    assert set(result.failures["reason"]) == {"the server refuses the request: 403 not this row"}


def test_a_bomb_in_a_batchs_file_ends_with_a_line(server, double, connect, monkeypatch):
    monkeypatch.setattr("tags_assets.llm.online.MAX_FILE_BYTES", 2**22)
    bomb = bombed(["gzip"])
    server.behave = lambda call: bomb if call.path.endswith("/content") else double(call)
    tagger = collected(connect)
    with pytest.raises(UserError, match="longer than 4 MiB when decoded"):
        tagger.tag(*rows(3))
    server.behave = double
    assert collected(connect).tag(*rows(3)).failures.is_empty()
    assert len(double.batches) == 1


BATCHES = [
    None,
    [],
    {},
    {"id": "../../admin"},
    {"id": 5},
    {"id": "other", "status": "completed"},
    {"id": "batch-0"},
]


@pytest.mark.parametrize("body", BATCHES, ids=str)
def test_a_batch_of_the_wrong_shape_is_looked_at_again(server, double, connect, body):
    looks = []

    def behave(call):
        if call.path.endswith("/batches/batch-0") and len(looks) < 2:
            looks.append(call)
            return Reply(body)
        return double(call)

    server.behave = behave
    assert collected(connect).tag(*rows(3)).failures.is_empty()
    assert len(double.batches) == 1


def test_odd_parts_of_a_batch_count_as_absent(server, double, connect):
    def behave(call):
        reply = double(call)
        if "/batches" in call.path and isinstance(reply.body, dict) and "data" not in reply.body:
            reply.body |= {
                "request_counts": "many",
                "errors": [7],
                "error_file_id": {"a": 1},
                "created_at": None,
            }
        return reply

    server.behave = behave
    assert collected(connect).tag(*rows(3)).failures.is_empty()
