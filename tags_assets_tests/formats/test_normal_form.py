"""What rows hold beyond text: reasoning, calls of tools, pictures, marks, labels and rejected answers."""

from __future__ import annotations

import json

import polars as pl
import pytest

from tags_assets.formats.content_hash import content_hash
from tags_assets.formats.instance import RowError
from tags_assets.formats.recognise import recognise
from tags_assets.formats.traits import held

ASK = {"role": "user", "content": "How far?"}
ANSWER = {"role": "assistant", "content": "Nine miles."}


def structure(row):
    return json.loads(recognise(row).structure or "null")


def said(row):
    return [(turn["role"], turn["content"]) for turn in recognise(row).messages]


def talk(**answer):
    return {"messages": [ASK, ANSWER | answer]}


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [ASK, ANSWER]},
        {"conversations": [{"from": "human", "value": "How far?"}, {"from": "gpt", "value": "Nine miles."}]},
        {"instruction": "How far?", "input": "", "output": "Nine miles."},
        talk(reasoning_content=None, tool_calls=None, weight=None),
        {"prompt": "How far?", "response": "Nine miles.", "images": [], "tools": "[]", "history": []},
    ],
)
def test_a_row_of_text_has_no_structure(row):
    read = recognise(row)
    assert read.structure is read.identity is read.label is None
    assert read.messages == [ASK, ANSWER]


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_is_thought_before_the_answer(key):
    row = talk(**{key: "Three times three."})
    assert structure(row)["turns"][1]["reasoning"] == "Three times three."
    assert said(row)[1][1] == "<think>\nThree times three.\n</think>\n\nNine miles."
    beside = {"question": "How far?", "answer": "Nine miles.", key: "Three times three."}
    assert said(beside) == said(row)


@pytest.mark.parametrize("switch", ["on", "off", "high", True, "", None])
def test_a_switch_of_reasoning_is_no_reasoning(switch):
    assert structure({"prompt": "How far?", "completion": "Nine.", "reasoning": switch}) is None


def test_a_trace_with_nothing_behind_it_is_empty():
    with pytest.raises(RowError, match="the response is empty but for its reasoning"):
        recognise({"messages": [ASK, {"role": "assistant", "content": "", "reasoning": "Hm."}]})


CALL = {"name": "map", "arguments": {"to": "Ely"}}
TEXT_OF_CALL = '{"name": "map", "arguments": {"to": "Ely"}}'


@pytest.mark.parametrize(
    "answer",
    [
        {"tool_calls": [{"id": "7", "type": "function", "function": CALL}]},
        {"tool_calls": [{"function": CALL | {"arguments": '{"to":"Ely"}'}}]},
        {"tool_calls": json.dumps([{"function": CALL}])},
        {"tool_calls": [json.dumps({"function": CALL})]},
        {"tool_calls": [{"name": "map", "parameters": {"to": "Ely"}}]},
        {"tool_calls": [{"function": json.dumps(CALL)}]},
        {"function_call": CALL, "tool_calls": None},
        {"function_call": json.dumps(CALL)},
        {"content": [{"type": "tool_use", "id": "7", "name": "map", "input": {"to": "Ely"}}]},
    ],
)
def test_calls_of_tools_have_one_form(answer):
    row = {"messages": [ASK, {"role": "assistant", "content": None} | answer]}
    assert said(row)[1] == ("assistant", TEXT_OF_CALL)
    (call,) = structure(row)["turns"][1]["tool_calls"]
    assert {name: call[name] for name in CALL} == CALL


def test_calls_in_roles_and_answers_of_their_own_are_calls():
    sharegpt = {"conversations": [{"from": "human", "value": "How far?"}]}
    sharegpt["conversations"].append({"from": "function_call", "value": json.dumps(CALL)})
    xlam = {"query": "How far?", "answers": json.dumps([CALL]), "tools": json.dumps([{"name": "map"}])}
    for row in (sharegpt, xlam):
        assert said(row)[1] == ("assistant", TEXT_OF_CALL)
    assert structure(xlam)["tools"] == [{"name": "map"}]


def test_a_transcript_with_calls_is_a_conversation():
    chat = (
        'USER: How far?\n\n\nASSISTANT: <functioncall> {"name": "map", "arguments": \'{"to": "Ely"}\'} '
        '<|endoftext|>\n\n\nFUNCTION RESPONSE: {"miles": 9}\n\n\nASSISTANT: Nine miles. <|endoftext|>'
    )
    row = {"system": "You are a guide.", "chat": chat}
    assert said(row) == [
        ("system", "You are a guide."),
        ("user", "How far?"),
        ("assistant", TEXT_OF_CALL),
        ("tool", '{"miles": 9}'),
        ("assistant", "Nine miles."),
    ]


@pytest.mark.parametrize(
    ("result", "text"),
    [({"miles": 9}, '{"miles": 9}'), ([1, 2], "[1, 2]"), (9, "9"), (None, ""), ([{"a": 1}], '[{"a": 1}]')],
)
def test_results_of_tools_are_text_or_json(result, text):
    row = {"messages": [ASK, ANSWER | {"tool_calls": [CALL]}, {"role": "tool", "content": result}, ANSWER]}
    assert said(row)[2] == ("tool", text)


def test_a_result_says_of_which_call_and_tool_it_is():
    result = {"role": "tool", "tool_call_id": "7", "name": "map", "content": "9"}
    assert structure({"messages": [ASK, ANSWER, result, ANSWER]})["turns"][2] == result


@pytest.mark.parametrize(
    ("mark", "masked"),
    [
        ({"weight": 0}, True),
        ({"weight": 1}, False),
        ({"weight": 0.5}, False),
        ({"train": False}, True),
        ({"loss": "false"}, True),
        ({"mask": 1}, True),
        ({"mask": False}, False),
        ({"loss_mask": 0}, True),
        ({"train": None}, False),
    ],
)
def test_marks_of_turns_that_are_not_to_be_learnt_are_kept(mark, masked):
    read = structure({"messages": [ASK, ANSWER | mark, ASK, ANSWER]})
    assert (read is not None and read["turns"][1]["train"] is False) == masked


@pytest.mark.parametrize(
    ("given", "label"),
    [
        ({"label": False}, False),
        ({"label": True}, True),
        ({"label": "False"}, False),
        ({"kto_tag": 0}, False),
        ({"label": 0}, None),
        ({"label": "sports"}, None),
        ({"label": None}, None),
    ],
)
def test_labels_say_whether_an_answer_is_to_be_imitated(given, label):
    for row in (
        {"prompt": "q", "completion": "a"},
        {"messages": [ASK, ANSWER]},
        {"instruction": "q", "output": "a"},
    ):
        assert recognise(row | given).label is label


@pytest.mark.parametrize(
    ("row", "references"),
    [
        (
            {"messages": [ASK, ANSWER], "images": ["a.png", {"path": "b.png", "bytes": None}]},
            ["a.png", "b.png"],
        ),
        ({"question": "q", "answer": "a", "image": {"bytes": b"\x89PNG", "path": "c.png"}}, ["c.png"]),
        ({"instruction": "q", "output": "a", "video": "v.mp4"}, ["v.mp4"]),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": "http://x/d.png"}, "text": None},
                            {"type": "text", "text": "Describe."},
                        ],
                    },
                    ANSWER,
                ]
            },
            ["http://x/d.png"],
        ),
    ],
)
def test_pictures_are_attached_to_the_question(row, references):
    read = recognise(row)
    assert read.attachments == len(references)
    attached = json.loads(read.structure)["turns"][0]["attachments"]
    assert [each["reference"] for each in attached] == references


def test_what_stands_in_the_row_itself_is_no_reference():
    data = "data:image/png;base64," + "A" * 99
    (attached,) = structure({"prompt": "q", "completion": "a", "image": data})["turns"][0]["attachments"]
    assert attached["reference"].startswith("inline:")
    assert len(attached["reference"]) < 50


def test_rows_that_say_the_same_of_other_things_are_other_rows():
    plain = {"prompt": "q", "completion": "a"}
    others = [
        plain,
        plain | {"image": "1.png"},
        plain | {"image": "2.png"},
        plain | {"tools": [{"name": "x"}]},
        plain | {"label": True},
        plain | {"label": False},
        {
            "messages": [
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": "a", "train": False},
            ]
        },
    ]
    read = [recognise(row) for row in others]
    assert len({content_hash(row.messages, row.identity) for row in read}) == len(others)


def test_rows_of_other_pictures_are_no_near_duplicates(tmp_path, read):
    words = "a long enough answer of many words that are the same in each and every one of these rows here"
    rows = [{"prompt": f"Describe it{'.' * n}", "completion": words, "image": f"{n}.png"} for n in range(3)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read(path).rows_duplicate == 0


@pytest.mark.parametrize(
    ("row", "answers"),
    [
        ({"prompt": "q", "chosen": "yes", "rejected": "no"}, ("yes", "no")),
        ({"prompt": "q", "chosen_response": "yes", "rejected_response": "no"}, ("yes", "no")),
        ({"messages": [ASK, ANSWER], "rejected_response": "no"}, ("Nine miles.", "no")),
        (
            {
                "prompt": "q",
                "chosen": json.dumps([ASK, ANSWER]),
                "rejected": json.dumps([ASK, ANSWER | {"content": "no"}]),
            },
            ("Nine miles.", "no"),
        ),
    ],
)
def test_both_answers_of_a_pair_are_kept(row, answers):
    read = recognise(row)
    assert read.format == "preference"
    assert (read.messages[-1]["content"], json.loads(read.structure)["rejected"]["content"]) == answers


@pytest.mark.parametrize(
    ("rejected", "why"),
    [
        (None, "the rejected side is empty"),
        ("yes", "both sides are the same"),
        ([{"role": "user", "content": "other"}, ANSWER], "do not answer the same prompt"),
        ([{"role": "bot", "content": "other"}], "unknown role"),
    ],
)
def test_a_pair_that_is_none_says_why(rejected, why):
    assert why in structure({"prompt": "q", "chosen": "yes", "rejected": rejected})["unpaired"]


def test_the_system_turn_of_the_prompt_stays():
    prompt = [{"role": "system", "content": "Be brief."}, ASK]
    row = {"prompt": prompt, "chosen": [ASK, ANSWER], "rejected": [ASK, ANSWER | {"content": "Far."}]}
    assert [role for role, _ in said(row)] == ["system", "user", "assistant"]


@pytest.mark.parametrize("system", ["system", "system_prompt", "system_message"])
@pytest.mark.parametrize(
    "row",
    [
        {"question": "q", "response": "a"},
        {"problem": "q", "solution": "a"},
        {"query": "q", "answer": "a"},
        {"instruction": "q", "output": "a"},
        {"Prompt": "q", " Completion ": "a"},
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {
            "conversations": [
                {"from": "human", "value": "q", "role": None, "content": None},
                {"role": "assistant", "content": "a", "from": None, "value": None},
            ]
        },
    ],
)
def test_system_and_history_are_read_in_every_layout(row, system):
    if "Prompt" in row:
        system = system.title()
    whole = row | {system: "s"}
    assert said(whole) == [("system", "s"), ("user", "q"), ("assistant", "a")]
    if "messages" not in row and "conversations" not in row:
        key = "History" if "Prompt" in row else "history"
        assert said(whole | {key: [["q0", "a0"]]})[1:3] == [("user", "q0"), ("assistant", "a0")]


@pytest.mark.parametrize(
    "empty", [{"messages": []}, {"instruction": ""}, {"messages": "", "conversations": None}, {"chosen": ""}]
)
def test_an_empty_layout_beside_a_complete_one_is_absent(empty):
    assert said({**empty, "prompt": "q", "completion": "a"}) == [("user", "q"), ("assistant", "a")]


def test_context_stands_below_the_question():
    row = {"question": "Who?", "context": "Ada wrote it.", "answer": "Ada."}
    assert said(row)[0] == ("user", "Who?\n\nAda wrote it.")


def test_pythons_repr_is_read_and_said():
    turns = [ASK | {"content": "It's far?"}, ANSWER | {"reasoning": None}]
    for row in ({"messages": str(turns)}, {"prompt": str(turns[:1]), "completion": str(turns[1:])}):
        assert said(row) == [("user", "It's far?"), ("assistant", "Nine miles.")]
        assert recognise(row).is_repr
    assert not recognise({"messages": turns}).is_repr
    arrays = "array([{'role': 'user', 'content': 'q'}], dtype=object)"
    for text in (f"[{arrays}]", "[{'role': 'user', 'content': open('x')}]"):
        with pytest.raises(RowError, match="Python's repr of a list, not JSON"):
            recognise({"messages": text})


def test_text_that_looks_like_json_is_text():
    row = {"prompt": '{"a": 1}', "completion": "[1, 2]"}
    assert said(row) == [("user", '{"a": 1}'), ("assistant", "[1, 2]")]


def test_fields_that_look_like_content_and_are_not_used_are_counted(tmp_path, read):
    rows = [{"instruction": "q", "output": f"a{n}", "context2": "more", "prompt_id": "7"} for n in range(3)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read(path).unused == {"context2": 3}


def test_what_rows_hold_is_counted(tmp_path, read):
    rows = [
        talk(reasoning="x"),
        talk(content="y", tool_calls=[CALL]),
        talk(content="z", weight=0),
        {"prompt": "q", "completion": "a", "label": False},
        {"prompt": "q", "chosen": "b", "rejected": "c"},
        {"prompt": "q", "completion": "d", "image": "1.png", "pass_rate": 0.25},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pool = read(path)
    assert pool.traits == {
        "layout messages": 3,
        "layout prompt_completion": 2,
        "layout preference": 1,
        **dict.fromkeys(["reasoning", "tools", "masked", "label", "preference", "attachments"], 1),
    }
    frame = pl.concat(list(pool.batches()))
    assert frame["pass_rate"].to_list() == [None] * 5 + [0.25]
    assert frame["label"].to_list() == [None] * 3 + [False] + [None] * 2


def test_what_rows_hold_is_said_in_a_line():
    assert held({"layout messages": 3}) == ""
    assert held({"label": 1, "tools": 1200}) == "1,200 with tools or tool calls; 1 with a label for KTO"


def test_results_of_tools_in_a_users_turn_are_turns_of_their_own():
    parts = [
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "9 miles"}]},
        {"type": "tool_result", "tool_use_id": "t2", "content": {"km": 14}},
        {"type": "text", "text": "And back?"},
    ]
    uses = [{"type": "tool_use", "id": f"t{n}", "name": "map", "input": {}} for n in (1, 2)]
    row = {
        "messages": [ASK, {"role": "assistant", "content": uses}, {"role": "user", "content": parts}, ANSWER]
    }
    assert [role for role, _ in said(row)] == ["user", "assistant", "tool", "tool", "user", "assistant"]
    assert [text for _, text in said(row)][2:5] == ["9 miles", '{"km": 14}', "And back?"]
    assert structure(row)["turns"][2]["tool_call_id"] == "t1"
