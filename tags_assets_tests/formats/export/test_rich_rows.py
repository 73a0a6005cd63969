"""Rows with tools, reasoning, marks, labels and pictures, as the trainers take them."""

from __future__ import annotations

import json

import jinja2
import pytest
import yaml

from tags_assets.formats.export import FORMATS, export
from tags_assets_tests.formats.export.rows import PREFERENCES, RAW_ROWS, frame

TRAINERS = [name for name in FORMATS if name not in ("raw", "parquet")]

ASK = {"role": "user", "content": "Tide at Hull?"}
SCHEMA = {
    "name": "tide",
    "description": "The next high tide.",
    "parameters": {"type": "object", "properties": {"port": {"type": "string"}}},
}
CALL = {"id": "c1", "type": "function", "function": {"name": "tide", "arguments": '{"port": "Hull"}'}}
RESULT = {"role": "tool", "tool_call_id": "c1", "name": "tide", "content": {"at": "14:10"}}
SAYS = {"role": "assistant", "content": "At ten past two."}

TOOLS = {
    "id": "calls",
    "messages": [ASK, {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT, SAYS],
    "tools": [{"type": "function", "function": SCHEMA}],
}
THOUGHT = {"id": "thought", "messages": [ASK, SAYS | {"reasoning_content": "Twelve hours after the last."}]}
INLINE = {"id": "inline", "prompt": "Odd?", "completion": "<think>\nSeven is.\n</think>\n\nYes."}
MASKED = {
    "id": "masked",
    "messages": [ASK, SAYS | {"content": "Never.", "weight": 0}, ASK, SAYS | {"content": "At two."}],
}
PICTURE = {"id": "picture", "prompt": "Name it.", "completion": "A tern.", "image": "tern.jpg"}
LABELLED = [
    {"id": "good", "prompt": "Bread?", "completion": "Flour, water, salt.", "label": True},
    {"id": "bad", "prompt": "Glue?", "completion": "Eat it.", "label": False},
    {"id": "turns", "messages": [ASK, SAYS, ASK, SAYS | {"content": "Go away."}], "label": False},
]
ALL = [*RAW_ROWS[:6], TOOLS, THOUGHT, INLINE, MASKED, PICTURE, *LABELLED, *PREFERENCES]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def exported(rows, folder, form, **options):
    """Export rows, and return the files' rows by name and why the others are left out, by id."""
    export(frame(rows), folder, [form], **options)
    files = {path.stem: lines(path) for path in (folder / form).glob("*.jsonl")}
    return files, {row["id"]: row["reason"] for row in files.pop("left_out", [])}


@pytest.mark.parametrize("form", TRAINERS)
def test_every_row_is_written_or_left_out_with_its_reason(tmp_path, form):
    files, reasons = exported(ALL, tmp_path, form)
    assert sum(map(len, files.values())) + len(reasons) == len(ALL)
    assert all(reasons.values())


@pytest.mark.parametrize("form", TRAINERS)
@pytest.mark.parametrize("reasoning", ["inline", "keep", "drop"])
def test_loaders_read_every_file(tmp_path, monkeypatch, form, reasoning):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    files, _ = exported(ALL, tmp_path, form, reasoning=reasoning, attachments="keep")
    for name, rows in files.items():
        path = str(tmp_path / form / f"{name}.jsonl")
        read = datasets.load_dataset("json", data_files=[path], split="train", cache_dir=str(tmp_path / "hf"))
        assert len(read) == len(rows)


def test_plain_rows_are_written_as_ever_beside_a_form_for_rich_ones(tmp_path):
    plain = [row for row in RAW_ROWS if isinstance(row, dict)][:6]
    alone, _ = exported(plain, tmp_path / "a", "trl")
    assert all(row.keys() == {"messages"} for row in alone["subset"])
    assert all(turn.keys() == {"role", "content"} for row in alone["subset"] for turn in row["messages"])
    mixed, _ = exported([*plain, TOOLS], tmp_path / "b", "trl")
    keys = {tuple(turn) for row in mixed["subset"] for turn in row["messages"]}
    assert len(keys) == len({tuple(row) for row in mixed["subset"]}) == 1


# The forms of Hermes and Qwen, and of Llama 3, in what concerns tools.
HERMES = """\
{%- if tools %}<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</tools>
{% endif %}
{%- for m in messages %}<|im_start|>{{ m.role }}
{% if m.role == 'tool' %}<tool_response>{{ m.content }}</tool_response>
{%- else %}{{ m.content }}
{%- for c in m.tool_calls or [] %}<tool_call>{"name": "{{ c.function.name }}", "arguments": \
{{ c.function.arguments | tojson }}}</tool_call>{% endfor %}{% endif %}<|im_end|>
{% endfor %}"""
LLAMA = """\
{%- for t in tools or [] %}{{ t | tojson }}{% endfor %}
{%- for m in messages %}
{%- if m.tool_calls %}<call>{"name": "{{ m.tool_calls[0].function.name }}", "parameters": \
{{ m.tool_calls[0].function.arguments | tojson }}}
{%- elif m.role == 'tool' %}<ipython>{{ m.content | tojson }}
{%- else %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}"""


def rendered(template, row):
    tools = row.get("tools")
    tools = json.loads(tools) if isinstance(tools, str) else tools
    for turn in row["messages"]:  # Axolotl decodes arguments, and TRL takes the objects
        for call in turn.get("tool_calls") or []:
            if isinstance(call["function"]["arguments"], str):
                call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    for tool in tools or []:
        if isinstance(tool["function"]["parameters"], str):
            tool["function"]["parameters"] = json.loads(tool["function"]["parameters"])
    return jinja2.Template(template).render(messages=row["messages"], tools=tools)


@pytest.mark.parametrize("form", ["trl", "axolotl"])
def test_calls_of_tools_are_rendered_by_chat_templates(tmp_path, form):
    files, _ = exported([TOOLS, RAW_ROWS[0]], tmp_path, form)
    text = rendered(HERMES, files["subset"][0])
    assert '<tools>{"function": {"description": "The next high tide.", "name": "tide"' in text
    assert '<tool_call>{"name": "tide", "arguments": {"port": "Hull"}}</tool_call>' in text
    assert '<tool_response>{"at": "14:10"}</tool_response>' in text
    assert "<tools>" not in rendered(HERMES, files["subset"][1])
    text = rendered(LLAMA, files["subset"][0])
    assert '<call>{"name": "tide", "parameters": {"port": "Hull"}}' in text


def test_arguments_of_several_types_are_json_text_and_said_to_be(tmp_path):
    other = json.loads(json.dumps(TOOLS).replace('{\\"port\\": \\"Hull\\"}', '{\\"port\\": 7}'))
    files = export(frame([TOOLS, other]), tmp_path, ["trl"])
    calls = [row["messages"][1]["tool_calls"][0]["function"] for row in lines(files[0].path)]
    assert [call["arguments"] for call in calls] == ['{"port": "Hull"}', '{"port": 7}']
    assert any("JSON text" in note for note in files[0].notes)


def test_llama_factory_gets_turns_of_function_call(tmp_path):
    files, reasons = exported([TOOLS], tmp_path, "llamafactory")
    (row,) = files["subset"]
    assert not reasons
    assert [turn["role"] for turn in row["messages"]] == ["user", "function_call", "tool", "assistant"]
    assert json.loads(row["messages"][1]["content"]) == {"name": "tide", "arguments": {"port": "Hull"}}
    assert json.loads(row["tools"]) == [SCHEMA]
    info = json.loads((tmp_path / "llamafactory" / "dataset_info.json").read_text())["subset"]
    assert info["columns"] == {"messages": "messages", "tools": "tools"}
    assert info["tags"]["function_tag"] == "function_call"


def test_reasoning_goes_where_it_is_wanted(tmp_path):
    whole = "<think>\nTwelve hours after the last.\n</think>\n\nAt ten past two."
    rows = [THOUGHT, INLINE]
    for form in ("trl", "axolotl", "llamafactory"):
        inline, _ = exported(rows, tmp_path / "inline", form)
        answers = [row["messages"][1]["content"] for row in inline["subset"]]
        assert answers == [whole, "<think>\nSeven is.\n</think>\n\nYes."]
        dropped, _ = exported(rows, tmp_path / "drop", form, reasoning="drop")
        assert [row["messages"][1]["content"] for row in dropped["subset"]] == ["At ten past two.", "Yes."]
    for form in ("trl", "axolotl"):
        kept, _ = exported(rows, tmp_path / "keep", form, reasoning="keep")
        answers = [row["messages"][1] for row in kept["subset"]]
        assert [turn["reasoning_content"] for turn in answers] == [
            "Twelve hours after the last.",
            "Seven is.",
        ]
        assert [turn["content"] for turn in answers] == ["At ten past two.", "Yes."]


def test_an_answer_that_is_nothing_but_reasoning_is_left_out_without_it(tmp_path):
    cut = {"id": "cut", "prompt": "Odd?", "completion": "<think>\nSeven is"}
    assert exported([cut], tmp_path / "a", "trl")[1] == {}
    assert "nothing but reasoning" in exported([cut], tmp_path / "b", "trl", reasoning="drop")[1]["cut"]


def test_marks_of_turns_are_written_or_the_row_is_left_out(tmp_path):
    files, reasons = exported([MASKED, THOUGHT], tmp_path, "axolotl")
    assert [[turn["train"] for turn in row["messages"]] for row in files["subset"]] == [
        [None, False, None, True],
        [None, None],
    ]
    config = yaml.safe_load((tmp_path / "axolotl" / "subset.yaml").read_text())
    assert config["datasets"][0]["message_field_training"] == "train"
    for form in ("trl", "llamafactory", "llamafactory-openai", "llamafactory-alpaca"):
        assert "not to be learnt" in exported([MASKED], tmp_path, form)[1]["masked"]
    files, reasons = exported([MASKED], tmp_path, "trl-prompt-completion")
    assert not reasons
    assert files["subset"][0]["completion"] == [{"role": "assistant", "content": "At two."}]


@pytest.mark.parametrize("form", TRAINERS)
def test_a_row_of_which_nothing_is_learnt_is_left_out(tmp_path, form):
    row = {"id": "none", "messages": [ASK, SAYS | {"train": False}]}
    assert set(exported([row], tmp_path, form)[1]) == {"none"}


@pytest.mark.parametrize("form", TRAINERS)
def test_undesirable_answers_are_in_the_file_of_labels_alone(tmp_path, form):
    files, reasons = exported([RAW_ROWS[0], *LABELLED], tmp_path / "a", form)
    assert "Eat it." not in json.dumps(files["subset"])
    labels = [row["label"] for row in files["subset_kto"]]
    if form == "axolotl":
        assert labels == [True, False]
        assert reasons == {"turns": "Axolotl's KTO takes one question and one answer"}
        assert files["subset_kto"][1] == {
            "system": "",
            "prompt": "Glue?",
            "completion": "Eat it.",
            "label": False,
        }
        assert yaml.safe_load((tmp_path / "a" / form / "subset_kto.yaml").read_text())["rl"] == "kto"
    else:
        assert labels == [True, False, False]
    if form.startswith("llamafactory"):
        info = json.loads((tmp_path / "a" / form / "dataset_info.json").read_text())
        assert info["subset_kto"]["columns"]["kto_tag"] == "label"
    files, reasons = exported(LABELLED, tmp_path / "b", form, preferences="chosen")
    assert len(files["subset"]) == 1
    assert set(reasons) == {"bad", "turns"}


def test_pictures_are_left_out_unless_they_are_wanted(tmp_path):
    for form in TRAINERS:
        files, reasons = exported([PICTURE], tmp_path / "out", form)
        assert "--attachments keep" in reasons["picture"]
    files, _ = exported([PICTURE, THOUGHT], tmp_path, "llamafactory", attachments="keep")
    assert files["subset"][0]["messages"][0]["content"] == "<image>Name it."
    assert [row["images"] for row in files["subset"]] == [["tern.jpg"], []]
    files, _ = exported([PICTURE, THOUGHT], tmp_path, "trl", attachments="keep")
    parts = files["subset"][0]["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["image", "text"]
    assert files["subset"][0]["images"] == ["tern.jpg"]
    files, _ = exported([PICTURE], tmp_path, "axolotl", attachments="keep")
    assert files["subset"][0]["messages"][0]["content"][0] == {
        "type": "image",
        "text": None,
        "path": "tern.jpg",
    }


def test_marks_and_pictures_that_do_not_agree_are_left_out(tmp_path):
    row = {"id": "two", "prompt": "<image><image>Which?", "completion": "The left.", "images": ["one.png"]}
    assert "another number" in exported([row], tmp_path, "llamafactory", attachments="keep")[1]["two"]


def test_pairs_keep_calls_and_reasoning(tmp_path):
    pair = {
        "prompt": [ASK],
        "chosen": [{"role": "assistant", "content": "", "tool_calls": [CALL], "reasoning": "Look."}],
        "rejected": [SAYS],
        "tools": [SCHEMA],
    }
    files, _ = exported([pair], tmp_path, "trl")
    (row,) = files["subset_dpo"]
    assert row["chosen"][0]["tool_calls"][0]["function"]["name"] == "tide"
    assert row["chosen"][0]["content"] == "<think>\nLook.\n</think>\n\n"
    assert row["rejected"][0]["content"] == "At ten past two."
    files, _ = exported([pair], tmp_path, "llamafactory")
    (row,) = files["subset_dpo"]
    assert row["chosen"]["role"] == "function_call"
    assert row["rejected"] == {"role": "assistant", "content": "At ten past two."}


def test_a_table_of_an_older_version_is_exported(tmp_path):
    rows = frame([*RAW_ROWS[:3], PREFERENCES[0]]).drop("structure", "label")
    files = export(rows, tmp_path, ["trl"])
    assert [file.rows for file in files] == [3, 1]
