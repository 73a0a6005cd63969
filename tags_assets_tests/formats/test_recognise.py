from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.formats.instance import RowError
from tags_assets.formats.recognise import TEXT_FIELDS, recognise

ASK, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
TURNS = [ASK, ANSWER]


def said(row):
    return [(turn["role"], turn["content"]) for turn in recognise(row).messages]


@pytest.mark.parametrize(
    ("row", "layout"),
    [
        ({"instruction": "q", "input": "", "output": "a"}, "alpaca"),
        ({"instruction": "q", "output": "a"}, "alpaca"),
        ({"instruction": "q", "input": None, "output": "a"}, "alpaca"),
        ({"instruction": "q", "input": "<noinput>", "output": "a"}, "alpaca"),
        ({"instruction": "q", "context": "", "response": "a", "category": "open_qa"}, "alpaca"),
        ({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}, "sharegpt"),
        ({"conversation": [{"from": "Human", "value": "q"}, {"from": "ChatGPT", "value": "a"}]}, "sharegpt"),
        ({"messages": TURNS}, "messages"),
        ({"conversations": TURNS}, "messages"),
        ({"messages": [{"role": "User", "content": "q"}, {"role": "ASSISTANT", "content": "a"}]}, "messages"),
        ({"prompt": "q", "completion": "a"}, "prompt_completion"),
        ({"prompt": "q", "response": "a"}, "prompt_completion"),
        ({"question": "q", "answer": "a"}, "prompt_completion"),
        ({"inputs": "q", "targets": "a"}, "prompt_completion"),
        ({"prompt": [ASK], "completion": [ANSWER]}, "prompt_completion"),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, "preference"),
        ({"question": "q", "chosen": "a", "rejected": "b"}, "preference"),
        ({"instruction": "q", "input": "", "chosen": "a", "rejected": "b"}, "preference"),
        ({"prompt": "q", "chosen": TURNS, "rejected": TURNS}, "preference"),
        ({"chosen": TURNS, "rejected": TURNS}, "preference"),
        ({"prompt": [ASK], "chosen": [ANSWER], "rejected": [ANSWER]}, "preference"),
        (
            {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"},
            "preference",
        ),
        (
            {"conversations": [{"from": "human", "value": "q"}], "chosen": {"from": "gpt", "value": "a"}}
            | {"rejected": {"from": "gpt", "value": "b"}},
            "preference",
        ),
        ({"prompt": "q", "chosen": "a", "rejected": "b", "messages": TURNS}, "preference"),
        # Tables of several layouts have a column for each field, null where a row has another layout.
        ({"messages": None, "instruction": "q", "input": None, "output": "a", "prompt": None}, "alpaca"),
        (
            {"messages": TURNS, "instruction": None, "output": None, "chosen": None, "rejected": None},
            "messages",
        ),
    ],
)
def test_every_layout_has_one_normal_form(row, layout):
    assert said(row) == [("user", "q"), ("assistant", "a")]
    assert recognise(row).format == layout


def test_alpaca_input_stands_below_the_instruction():
    assert said({"instruction": "Add.", "input": "1, 2", "output": "3"})[0] == ("user", "Add.\n\n1, 2")


def test_history_and_system_prompt_come_first():
    row = {"system": "s", "history": [["q1", "a1"]], "instruction": "q2", "output": "a2"}
    assert said(row) == [
        ("system", "s"),
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "q2"),
        ("assistant", "a2"),
    ]


def test_a_system_turn_is_not_told_twice():
    system = {"role": "system", "content": "s"}
    assert said({"system": "s", "messages": [system, *TURNS]})[:2] == [("system", "s"), ("user", "q")]


def test_an_empty_system_turn_is_left_out():
    assert said({"messages": [{"role": "system", "content": " "}, *TURNS]}) == [
        ("user", "q"),
        ("assistant", "a"),
    ]


def test_tool_calls_are_what_an_assistant_says_without_content():
    function = {"name": "weather", "arguments": '{"city":"Oslo"}'}
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": function}]}
    result = {"role": "tool", "tool_call_id": "c1", "content": '{"t":4}'}
    openai = {"messages": [ASK, call, result, ANSWER]}
    called = '{"name": "weather", "arguments": {"city": "Oslo"}}'
    sharegpt = {
        "conversations": [
            {"from": "human", "value": "q"},
            {"from": "function_call", "value": called},
            {"from": "observation", "value": '{"t":4}'},
            {"from": "gpt", "value": "a"},
        ]
    }
    assert said(openai) == said(sharegpt)
    assert said(openai)[1:3] == [("assistant", called), ("tool", '{"t":4}')]


def test_tool_calls_without_a_content_key_are_read():
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "not json"}}]}
    assert said({"messages": [ASK, call]})[1] == ("assistant", '{"name": "f", "arguments": "not json"}')


def test_parts_of_text_are_joined():
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert said({"messages": [{"role": "user", "content": parts}, ANSWER]})[0] == ("user", "one\ntwo")


def test_an_assistant_may_greet_first():
    greeting = {"role": "assistant", "content": "Hello!"}
    assert [role for role, _ in said({"messages": [greeting, *TURNS]})] == ["assistant", "user", "assistant"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "the row is an empty object"),
        ({"text": "x", "meta": 1}, "no known layout: the row has the fields text, meta"),
        ({"messages": None}, "messages is null"),
        ({"messages": "[]"}, "messages is empty"),
        ({"messages": "hello"}, "messages is text, not a list of turns"),
        ({"messages": {"role": "user"}}, "messages is an object, not a list of turns"),
        ({"messages": []}, "messages is empty"),
        ({"messages": [None]}, "turn 1 of messages is null, not an object"),
        ({"messages": ["hi"]}, "turn 1 of messages is text, not an object"),
        (
            {"messages": [ASK, {"role": "assistant", "content": 3.5}]},
            "content of turn 2 of messages is a number",
        ),
        ({"messages": [ASK, {"role": "assistant", "content": True}]}, "is a boolean, not text"),
        ({"messages": [ASK, {"role": "assistant", "content": {"text": "a"}}]}, "is an object, not text"),
        ({"messages": [ASK, {"role": "assistant", "content": None}]}, "is null, not text"),
        ({"messages": [ASK, {"role": "assistant", "content": None, "tool_calls": []}]}, "is null, not text"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "turn 1 of messages has the unknown role 'bot'"),
        ({"messages": [{"role": 7, "content": "x"}]}, "unknown role 7"),
        ({"messages": [{"role": "user", "text": "q"}]}, "needs role and content, or from and value; it has"),
        ({"conversations": [{"from": "user", "text": "q"}]}, "it has 'from', 'text'"),
        ({"conversation": [{"human": "q", "assistant": "a"}]}, "it has 'human', 'assistant'"),
        ({"messages": [ANSWER]}, "no turn of the user"),
        ({"messages": [ASK]}, "no turn of the assistant after the user's"),
        ({"messages": [ANSWER, ASK]}, "no turn of the assistant after the user's"),
        ({"messages": [ASK, {"role": "assistant", "content": "\u200b\ufeff \n"}]}, "the response is empty"),
        ({"messages": [{"role": "user", "content": ""}, ANSWER]}, "the prompt is empty"),
        ({"messages": [*TURNS, ASK, {"role": "assistant", "content": ""}]}, "turn 4 (assistant) is empty"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}, ANSWER]}, "type 'hologram'"),
        (
            {"messages": [{"role": "user", "content": [{"type": ["a"]}]}, ANSWER]},
            "holds a part of type ['a']",
        ),
        ({"messages": [ASK, {"role": "assistant", "tool_calls": [{"id": 1}]}]}, "names no function"),
        ({"instruction": "q", "output": ["a"]}, "output is a list, not text"),
        ({"instruction": "q", "input": 3, "output": "a"}, "input is a number, not text"),
        ({"instruction": "q"}, "instruction without an output"),
        ({"instruction": None, "output": None}, "instruction is null"),
        ({"instruction": "", "input": "", "output": "a"}, "the prompt is empty"),
        ({"instruction": "q", "history": [["x"]], "output": "a"}, "round 1 of history is not a pair"),
        ({"prompt": "q"}, "prompt without a completion"),
        ({"prompt": None, "completion": "a"}, "prompt is null"),
        ({"prompt": "q", "completion": None}, "completion is null"),
        ({"prompt": "q", "chosen": 1, "rejected": "b"}, "chosen is a number, not text"),
        ({"chosen": "a", "rejected": "b"}, "no turn of the user"),
    ],
)
def test_a_malformed_row_says_what_is_wrong(row, reason):
    with pytest.raises(RowError) as error:
        recognise(row)
    assert reason in error.value.reason
    assert "\n" not in error.value.reason


@pytest.mark.parametrize(
    ("own", "text"),
    [("x", "x"), (7, "7"), (1.5, "1.5"), ("", None), (None, None), ({"$oid": "ab"}, '{"$oid": "ab"}')],
)
def test_identifiers_are_text(own, text):
    assert recognise({"id": own, "messages": TURNS}).id == text


@pytest.mark.parametrize(("own", "source"), [("wiki", "wiki"), ("", None), (None, None), (["a"], None)])
def test_only_text_is_a_source(own, source):
    assert recognise({"source": own, "messages": TURNS}).source == source


def test_what_is_nested_too_deeply_is_a_row_error():
    deep: object = "x"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(RowError, match="nested too deeply"):
        recognise({"id": deep, "messages": TURNS})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TURN = st.dictionaries(st.sampled_from(["role", "content", "from", "value", "tool_calls"]), JSON)
FIELD = st.sampled_from([*sorted(TEXT_FIELDS), "id", "source"])


@settings(max_examples=50)
@given(st.dictionaries(FIELD, JSON | st.lists(TURN, max_size=3)))
def test_any_row_is_read_or_rejected(row):
    with suppress(RowError):
        messages = recognise(row).messages
        assert {"user", "assistant"} <= {turn["role"] for turn in messages}
        assert all(isinstance(turn["content"], str) for turn in messages)
