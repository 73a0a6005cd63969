from __future__ import annotations

import pytest

from tags_assets.errors import UserError
from tags_assets.llm import Judge, LLMRefiner, LLMTagger
from tags_assets.llm.prompt import parse_prompt, read_prompt
from tags_assets.llm.tagger import LeakCheck, Tags
from tags_assets.llm.task import Task
from tags_assets_tests.llm.conftest import rows
from tags_assets_tests.llm.loopback import completion

NAMES = ["tag", "judge", "audit", "summarise", "deduplicate", "reassign", "rename"]


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_is_whole_and_its_examples_fit_its_form(name, connect):
    prompt = read_prompt(name)
    assert prompt.system
    assert "{{row}}" in prompt.question
    assert prompt.reminder
    tasks = [LLMTagger(connect()).task, Judge(connect()).task, Judge(connect()).audit_task]
    tasks += list(LLMRefiner(connect()).tasks.values())
    task = next(t for t in tasks if t.name == name)
    for example in prompt.examples:
        task.answer.model_validate(example.answer)
    assert "$ref" not in str(task.schema)
    assert "pattern" not in str(task.bare_schema)


def test_another_text_is_another_version(tmp_path, connect, server):
    LLMTagger(connect()).tag(*rows(3))
    mine = tmp_path / "mine.yaml"
    mine.write_text("version: 1\nsystem: Label rows.\nquestion: '{{row}}'\nreminder: JSON\n")
    tagger = LLMTagger(connect(), prompt=mine)
    assert tagger.fingerprint_config() != LLMTagger(connect()).fingerprint_config()
    tagger.tag(*rows(3))
    assert len(server.chats) == 6
    mine.write_text(
        "# a comment is no change\nversion: 1\nsystem: Label rows.\nquestion: '{{row}}'\nreminder: JSON\n"
    )
    LLMTagger(connect(), prompt=mine).tag(*rows(3))
    assert len(server.chats) == 6


@pytest.mark.parametrize("text", ["[]", "version: 1", "a: [", "version: x\nsystem: s\nquestion: q"])
def test_a_file_that_is_no_prompt_is_one_clear_line(text):
    with pytest.raises(UserError, match=r"mine\.yaml: not a prompt"):
        parse_prompt(text, "tag", "mine.yaml")


def test_tags_copied_from_the_examples_are_dropped_and_counted(server, connect):
    server.behave = lambda _: completion(
        '{"tags": ["houseplant leaf drop", "Catenary curve", "photosynthesis"]}'
    )
    messages = [
        [
            {"role": "user", "content": "How does a catenary hang?"},
            {"role": "assistant", "content": "Freely."},
        ]
    ]
    result = LLMTagger(connect()).tag(["a"], messages)
    assert result.tags["tag"].to_list() == ["Catenary curve", "photosynthesis"]
    assert result.figures["leaked_tags"] == 1
    assert result.notes.row(0) == ("a", "leaked", "houseplant leaf drop")


def test_a_leak_needs_a_tag_of_the_examples_without_a_word_in_the_row():
    leaks = LeakCheck(read_prompt("tag"))
    assert leaks.leaked("Konjunktiv I", "A row on baking bread")
    assert not leaks.leaked("konjunktiv I", "Was ist der Konjunktiv?")
    assert not leaks.leaked("baking", "A row on law")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["A tag.", " a  tag ", "Other"], ["A tag", "Other"]),
        (["x" * 200, "fine tag"], ["fine tag"]),
        (
            ["C++ templates", "f(x) notation", "naïve Bayes", "don't"],
            ["C++ templates", "f(x) notation", "naïve Bayes", "don't"],
        ),
        ([f"tag {i}" for i in range(20)], [f"tag {i}" for i in range(8)]),
        ("first tag, second tag", ["first tag", "second tag"]),
        (["<script>alert(1)</script>", "safe tag"], ["safe tag"]),
    ],
)
def test_tags_are_tidied(given, kept):
    assert Tags.model_validate({"tags": given}).tags == kept


def test_the_opening_is_the_same_for_every_row(server, connect):
    LLMTagger(connect()).tag(*rows(5))
    openings = {str(c.body["messages"][:-1]) for c in server.chats}
    assert len(openings) == 1  # servers keep such a prefix in their cache


def test_a_task_knows_how_long_its_opening_is(connect):
    task = LLMTagger(connect()).task
    assert isinstance(task, Task)
    assert 400 < task.opening_tokens < 1000
