from __future__ import annotations

import json

import pytest

from tags_assets.llm import LLMTagger
from tags_assets.llm.dialect import Dialect
from tags_assets_tests.llm.conftest import rows
from tags_assets_tests.llm.loopback import completion, error, tags_of, well_behaved


def formats(server):
    return [c.body.get("response_format", {}).get("type", "text") for c in server.chats]


@pytest.mark.parametrize("refused", [1, 2, 3])
def test_a_server_without_schemas_is_found_out_once_and_remembered(server, connect, refused):
    def behave(call):
        kind = call.body.get("response_format", {})
        has_limits = "pattern" in json.dumps(kind)
        mode = {"json_schema": 0 if has_limits else 1, "json_object": 2}.get(kind.get("type"), 3)
        if mode < refused:
            return error(400, "This response_format is unavailable now")
        return well_behaved(call)

    server.behave = behave
    result = LLMTagger(connect()).tag(*rows(20))
    assert result.failures.is_empty()
    assert len(server.chats) == 20 + refused
    LLMTagger(connect()).tag(*rows(30))
    assert len(server.chats) == 30 + refused
    assert result.figures["modes"]["tag"] == ["bare_json_schema", "json_object", "text"][refused - 1]


@pytest.mark.parametrize("status", [400, 422, 501])
def test_an_unexplained_bad_request_is_taken_for_the_schema_until_one_worked(server, connect, status):
    server.behave = lambda c: error(status, "bad") if "response_format" in c.body else well_behaved(c)
    result = LLMTagger(connect()).tag(*rows(10))
    assert result.failures.is_empty()
    assert result.figures["modes"]["tag"] == "text"


def test_a_bad_row_does_not_change_the_way_to_speak(server, connect):
    server.behave = lambda c: error(400, "bad row") if "charlie number" in c.row else well_behaved(c)
    tagger = LLMTagger(connect())
    tagger.tag(*rows(2))
    result = tagger.tag(*rows(10))
    assert result.failures["reason"].to_list() == ["the server refuses the request: 400 bad row"]
    assert set(formats(server)) == {"json_schema"}


def test_without_a_schema_the_prompt_says_what_to_answer(server, connect):
    server.behave = lambda c: error(400, "json_schema?") if "response_format" in c.body else well_behaved(c)
    LLMTagger(connect()).tag(*rows(1))
    assert "nothing else" not in server.chats[0].row
    assert "nothing else" in server.chats[-1].row


@pytest.mark.parametrize(
    "answer",
    [
        "```json\n{}\n```",
        "Sure! Here are the tags:\n{}\nLet me know.",
        "<think>\nhm { not this }\n</think>\n{}",
        "{}",
    ],
)
def test_answers_amid_other_words_are_read(server, connect, answer):
    server.behave = lambda c: completion(answer.replace("{}", json.dumps({"tags": tags_of(c.row)})))
    assert LLMTagger(connect()).tag(*rows(3)).failures.is_empty()


def test_a_bare_list_is_read(server, connect):
    server.behave = lambda c: completion(json.dumps(tags_of(c.row)))
    assert LLMTagger(connect()).tag(*rows(3)).failures.is_empty()


def test_parameters_that_a_model_refuses_are_dropped_once(server, connect):
    def behave(call):
        if "max_tokens" in call.body:
            return error(
                400,
                "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens'.",
                code="unsupported_parameter",
                param="max_tokens",
            )
        if "temperature" in call.body:
            return error(
                400,
                "Unsupported value: 'temperature' does not support 0",
                code="unsupported_value",
                param="temperature",
            )
        return well_behaved(call)

    server.behave = behave
    assert LLMTagger(connect()).tag(*rows(10)).failures.is_empty()
    assert len(server.chats) == 12
    assert LLMTagger(connect()).tag(*rows(20)).failures.is_empty()
    assert len(server.chats) == 22


def test_a_damaged_memory_is_forgotten():
    assert Dialect.load("{broken") == Dialect()
    assert Dialect.load('{"mode": "telepathy"}') == Dialect()
    for wrong in (
        '{"dropped": 3}',
        '{"dropped": [["seed"]]}',
        '{"n_observed": "many"}',
        '{"context_tokens": -1}',
        '{"tokens_per_estimate": 1e300}',
        '{"completion_tokens": []}',
        '{"renamed": "no"}',
        "[1]",
        "null",
    ):
        assert Dialect.load(wrong) == Dialect(), wrong
    assert Dialect.load(Dialect(mode="text", dropped=["seed"]).dump()) == Dialect(
        mode="text", dropped=["seed"]
    )


def test_the_users_own_parameters_are_sent_and_are_part_of_the_key(server, connect):
    LLMTagger(connect(parameters={"reasoning_effort": "low"})).tag(*rows(3))
    assert server.chats[0].body["reasoning_effort"] == "low"
    LLMTagger(connect(parameters={"reasoning_effort": "high"})).tag(*rows(3))
    assert len(server.chats) == 6
