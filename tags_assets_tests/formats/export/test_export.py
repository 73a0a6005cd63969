"""What is written is what the trainers' own loaders read."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.errors import UserError
from tags_assets.formats.export import EXPORT_SCHEMA, FORMATS, export, export_frame
from tags_assets.formats.export.turns import why_not_alternating
from tags_assets.formats.instance import MESSAGES_DTYPE
from tags_assets_tests.formats.export.rows import HOSTILE, PREFERENCES, RAW_ROWS, frame, talk

TRAINERS = [name for name in FORMATS if name not in ("raw", "parquet")]


@pytest.fixture(scope="module")
def rows():
    return frame(RAW_ROWS)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load JSON Lines as TRL and LLaMA-Factory do, without a network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()

    def read(path):
        return datasets.load_dataset(
            "json", data_files=[str(path)], split="train", cache_dir=str(tmp_path / "hf"), streaming=False
        )

    return read


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def test_raw_rows_are_written_as_they_came(rows, tmp_path):
    (file,) = export(rows, tmp_path)
    assert file.path == tmp_path / "subset.jsonl"
    written = file.path.read_bytes().split(b"\n")
    assert written.pop() == b""
    given_rows = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in RAW_ROWS]
    for line, raw in zip(written, given_rows, strict=True):
        assert line.decode() == raw.replace("\n", " ")
        assert json.loads(line) == json.loads(raw)


def test_every_file_is_described_by_its_own_size_rows_and_checksum(rows, tmp_path):
    files = export(rows, tmp_path, list(FORMATS))
    assert export_frame(files).schema == pl.Schema(EXPORT_SCHEMA)
    for file in files:
        content = file.path.read_bytes()
        assert file.bytes == len(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        if file.path.suffix == ".jsonl":
            assert file.rows == content.count(b"\n")
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("format_name", TRAINERS)
def test_trainers_loader_reads_every_row(tmp_path, load, format_name):
    files = export(frame(RAW_ROWS + PREFERENCES), tmp_path, [format_name])
    data = [f for f in files if f.path.suffix == ".jsonl" and f.path.name != "left_out.jsonl"]
    assert len(data) == 2
    for file in data:
        assert len(load(file.path)) == file.rows


def test_trl_gets_whole_conversations(rows, tmp_path, load):
    data = load(export(rows, tmp_path, ["trl"])[0].path)
    assert data.column_names == ["messages"]
    assert data[0]["messages"] == [
        {"role": "user", "content": "Add 2 and 3."},
        {"role": "assistant", "content": "5"},
    ]
    assert data[3]["messages"][0]["content"] == HOSTILE
    assert [m["role"] for m in data[5]["messages"]] == ["user", "assistant", "tool", "assistant"]


def test_trl_prompt_completion_leaves_the_last_answer_to_learn(rows, tmp_path, load):
    files = export(rows, tmp_path, ["trl-prompt-completion"])
    data = load(files[0].path)
    assert all(row["completion"][-1]["role"] == "assistant" and len(row["completion"]) == 1 for row in data)
    assert data[2]["prompt"][-1]["content"] == "1+1?"
    assert files[0].left_out == 1
    assert "open (pool.jsonl:8)" in files[0].notes[0]


def test_llama_factory_names_all_seven_tags(rows, tmp_path):
    export(rows, tmp_path, ["llamafactory"], name="maths")
    info = json.loads((tmp_path / "llamafactory" / "dataset_info.json").read_text())
    assert set(info["maths"]["tags"]) == {
        f"{tag}_tag" for tag in ("role", "content", "user", "assistant", "observation", "function", "system")
    }
    assert info["maths"]["file_name"] == "maths.jsonl"
    assert info["maths"]["formatting"] == "sharegpt"


def test_llama_factory_rows_it_would_skip_are_counted_and_named(rows, tmp_path):
    files = export(rows, tmp_path, ["llamafactory"])
    data, info, out = files
    assert data.rows == rows.height - 4
    assert data.left_out == 4
    assert info.rows is None
    named = {row["id"]: row["reason"] for row in lines(out.path)}
    assert named == {
        "odd": "turn 2 is user where assistant is due",
        "open": "the last turn is not the assistant's",
        "greets": "turn 1 is assistant where user or tool is due",
        "late-system": "turn 2 is system where assistant is due",
    }
    assert all(name in data.notes[0] for name in named)


def test_llama_factory_alpaca_rows_have_history_and_system(rows, tmp_path, load):
    files = export(rows, tmp_path, ["llamafactory-alpaca"])
    data = load(files[0].path)
    third = data[2]
    assert third["instruction"] == "1+1?"
    assert third["output"] == "2"
    assert third["system"] == "Be kind."
    assert third["history"] == [["Hello", "Hi"]]
    assert data[0]["history"] == []
    assert "the alpaca form has no tool turns" in {row["reason"] for row in lines(files[-1].path)}


def test_llama_factory_openai_form_takes_tool_turns_that_follow_each_other(tmp_path):
    calls = frame([talk("user: both?", "assistant: {}", "tool: a", "tool: b", "assistant: done")])
    for form, taken in (("llamafactory", 0), ("llamafactory-openai", 1)):
        assert export(calls, tmp_path, [form])[0].rows == taken


def test_llama_factory_keeps_data_sets_that_others_named(rows, tmp_path):
    export(rows.head(2), tmp_path, ["llamafactory"], name="one")
    export(rows.head(2), tmp_path, ["llamafactory"], name="two")
    info = json.loads((tmp_path / "llamafactory" / "dataset_info.json").read_text())
    assert list(info) == ["one", "two"]


def test_llama_factory_info_that_is_not_json_is_one_clear_line(rows, tmp_path):
    path = tmp_path / "llamafactory" / "dataset_info.json"
    export(rows.head(1), tmp_path, ["llamafactory"])
    path.write_text("{broken")
    with pytest.raises(UserError, match="is not JSON"):
        export(rows.head(1), tmp_path, ["llamafactory"])
    assert path.read_text() == "{broken"


@pytest.mark.parametrize(("made", "format_name"), [("subset.jsonl", "raw"), ("trl/mine.txt", "trl")])
def test_what_is_not_ours_is_never_overwritten(rows, tmp_path, made, format_name):
    path = tmp_path / made
    path.parent.mkdir(exist_ok=True)
    path.write_text("theirs")
    with pytest.raises(UserError, match="exists and was not written by tags-assets"):
        export(rows.head(1), tmp_path, [format_name])
    assert path.read_text() == "theirs"
    export(rows.head(1), tmp_path / "new", [format_name])
    export(rows.head(1), tmp_path / "new", [format_name])  # what is ours is


def test_axolotl_configuration_points_at_its_rows(tmp_path):
    files = export(frame(RAW_ROWS + PREFERENCES), tmp_path, ["axolotl"], name="maths")
    for stem, kind in (("maths", "chat_template"), ("maths_dpo", "chat_template.default")):
        config = yaml.safe_load((tmp_path / "axolotl" / f"{stem}.yaml").read_text())
        (source,) = config["datasets"]
        assert (tmp_path / "axolotl" / source["path"]).is_file()
        assert source["type"] == kind
        assert source["field_messages"] in lines(tmp_path / "axolotl" / source["path"])[0]
    assert {f.path.name for f in files} >= {"maths.jsonl", "maths.yaml", "maths_dpo.jsonl", "maths_dpo.yaml"}


def test_preference_pairs_are_exported_whole(tmp_path, load):
    files = export(frame(PREFERENCES), tmp_path, ["trl", "llamafactory"])
    assert [f.path.name for f in files if f.format == "trl"] == ["subset_dpo.jsonl", "left_out.jsonl"]
    data = load(files[0].path)
    assert data[0] == {
        "prompt": [{"role": "user", "content": "2+2?"}],
        "chosen": [{"role": "assistant", "content": "4"}],
        "rejected": [{"role": "assistant", "content": "5"}],
    }
    assert [row["rejected"][0]["content"] for row in data] == ["5", "go away", "c"]
    assert {row["id"] for row in lines(tmp_path / "trl" / "left_out.jsonl")} == {
        "same",
        "null",
        "other-prompt",
    }
    info = json.loads((tmp_path / "llamafactory" / "dataset_info.json").read_text())
    assert info["subset_dpo"]["ranking"] is True
    assert info["subset_dpo"]["columns"] == {
        "messages": "messages",
        "chosen": "chosen",
        "rejected": "rejected",
    }


@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"raw", "parquet"}))
def test_every_file_and_note_names_the_form_that_was_asked_for(tmp_path, form):
    files = export(frame([*RAW_ROWS, *PREFERENCES]), tmp_path, [form], name="maths")
    assert {file.format for file in files} == {form}
    if not form.startswith("llamafactory"):
        return
    info = json.loads((tmp_path / form / "dataset_info.json").read_text())
    (note,) = next(file.notes for file in files if file.path.name == "dataset_info.json")
    assert str(tmp_path / form) in note
    assert set(re.findall(r"`dataset: (\w+)`", note)) == set(info)
    only_pairs = export(frame(PREFERENCES), tmp_path / "pairs", [form], name="maths")
    (note,) = next(file.notes for file in only_pairs if file.path.name == "dataset_info.json")
    assert "`dataset: maths_dpo` for stage `dpo`" in note
    assert "`dataset: maths`" not in note


def test_chosen_side_can_be_trained_on_alone(tmp_path):
    files = export(frame(PREFERENCES), tmp_path, ["trl"], preferences="chosen")
    assert [(f.path.name, f.rows) for f in files] == [("subset.jsonl", len(PREFERENCES))]


def test_same_rows_give_the_same_bytes(rows, tmp_path):
    first = export(rows, tmp_path / "a", [f for f in FORMATS if f != "parquet"])
    second = export(rows, tmp_path / "b", [f for f in FORMATS if f != "parquet"])
    assert [f.sha256 for f in first] == [f.sha256 for f in second]


def test_no_row_selected_is_an_empty_file_and_no_crash(rows, tmp_path):
    files = export(rows.clear(), tmp_path, list(FORMATS))
    assert all(file.rows in (0, None) for file in files)


def test_parquet_keeps_messages_and_what_else_is_known(rows, tmp_path):
    (file,) = export(rows.with_columns(rank=pl.int_range(pl.len())), tmp_path, ["parquet"])
    read = pl.read_parquet(file.path)
    assert read["rank"].to_list() == list(range(rows.height))
    assert read["messages"].to_list() == rows["messages"].to_list()


def test_unknown_format_names_the_nearest(rows, tmp_path):
    with pytest.raises(UserError, match="Did you mean 'llamafactory'"):
        export(rows, tmp_path, ["llama-factory"])


@pytest.mark.parametrize("name", ["", "../out", "a/b", ".hidden"])
def test_name_that_is_no_file_name_is_refused(rows, tmp_path, name):
    with pytest.raises(UserError, match="cannot name a file"):
        export(rows, tmp_path, name=name)


def test_folder_that_cannot_be_made_is_one_clear_line(rows, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be written"):
        export(rows, tmp_path / "file" / "out")


def test_the_page_on_exports_names_every_format():
    page = (Path(__file__).resolve().parents[3] / "docs" / "exports.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in FORMATS)


def accepted(roles, *, answered=True):
    """LLaMA-Factory's rule, one conversation at a time."""
    if roles and roles[0] == "system":
        roles = roles[1:]
    fits = all(role in (("user", "tool"), ("assistant",))[i % 2] for i, role in enumerate(roles))
    return bool(roles) and fits and len(roles) % 2 == (0 if answered else 1)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(["system", "user", "assistant", "tool"]), max_size=6), min_size=1, max_size=8
    ),
    st.booleans(),
)
def test_alternation_is_judged_as_llama_factory_does(talks, answered):
    messages = [[{"role": role, "content": "x"} for role in roles] for roles in talks]
    rows = pl.DataFrame({"messages": messages}, schema={"messages": MESSAGES_DTYPE})
    reasons = why_not_alternating(rows, answered=answered)
    assert [reason is None for reason in reasons] == [accepted(roles, answered=answered) for roles in talks]
