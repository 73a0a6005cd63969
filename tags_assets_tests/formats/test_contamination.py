from __future__ import annotations

import json

import polars as pl
import pytest

from tags_assets.errors import UserError
from tags_assets.formats.contamination import HIT_SCHEMA, Benchmarks

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
CODE = "def add(a, b):\n    return a + b  # the sum of the two numbers that are given to it as a and b"


@pytest.fixture
def benchmarks(tmp_path):
    file = tmp_path / "test_set.jsonl"
    rows = [
        {"question": QUESTION, "answer": "72", "choices": ["The mitochondria of the cell", "no"]},
        {"task_id": 7, "prompt": CODE, "nested": {"tests": ["assert add(1, 2) == 3"]}},
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return Benchmarks.read([file], 13)


def hits(benchmarks, *texts):
    rows = pl.DataFrame(
        {
            "instance_id": [f"r{i}" for i in range(len(texts))],
            "messages": [
                [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}]
                for text in texts
            ],
        }
    )
    found = benchmarks.hits(rows)
    assert found.schema == HIT_SCHEMA
    return dict(found.iter_rows())


SCRIPTS = {
    "zh": "下列关于光合作用的说法中哪一项是正确的请从四个选项中选出最合适的一个并说明理由",
    "th": "ข้อใดต่อไปนี้อธิบายกระบวนการสังเคราะห์ด้วยแสงของพืชได้ถูกต้องที่สุดและเพราะเหตุใดจึงเป็นเช่นนั้น",
}


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_where_no_spaces_are_written_a_passage_is_found_and_a_name_is_not(script):
    text = SCRIPTS[script]
    known = Benchmarks.of([text], ["bench.jsonl:1"], 13)
    letters = {"zh": 26, "th": 52}[script]  # of Thai, three in four are letters
    passage, name = text[5 : 5 + letters], text[5 : 5 + letters // 2]
    assert list(hits(known, f"{name}。", f"“{passage}”", name)) == ["r1"]


def test_a_run_of_words_is_found_whatever_stands_around_it(benchmarks):
    run = "SOLD  clips to 48 of her friends in April and then she sold half as many"
    found = hits(
        benchmarks, f"Consider this. {run} of them?", "Something else entirely about clips and friends."
    )
    assert found == {"r0": "13 words in a row of test_set.jsonl:1"}


def test_a_text_with_a_word_changed_is_found_as_a_near_duplicate():
    words = QUESTION.split()
    benchmark = Benchmarks.of([QUESTION], ["test_set.jsonl:1"], 25)
    words[16] = "zebra"  # no run of 25 words is left
    [detail] = hits(benchmark, f"Please solve it: {' '.join(words)} Show your work.").values()
    assert detail.endswith("% of the wording of test_set.jsonl:1")
    assert 85 <= int(detail.split("%")[0]) < 100
    for place in (4, 10, 22):
        words[place] = "zebra"
    assert hits(benchmark, " ".join(words)) == {}


def test_a_short_text_must_be_the_whole_turn(benchmarks):
    found = hits(benchmarks, "the mitochondria of the cell!", "Draw the mitochondria of the cell for me.")
    assert found == {"r0": "the whole of test_set.jsonl:1"}


def test_code_and_nested_texts_count(benchmarks):
    assert set(hits(benchmarks, f"Complete:\n\n{CODE}", "Write a function that adds.")) == {"r0"}


def test_a_run_does_not_cross_turns(benchmarks):
    words = QUESTION.split()
    messages = [
        {"role": "user", "content": " ".join(words[:10])},
        {"role": "assistant", "content": " ".join(words[10:20])},
    ]
    rows = pl.DataFrame({"instance_id": ["a"], "messages": [messages]})
    assert benchmarks.hits(rows).is_empty()


def test_fewer_words_find_more():
    few, many = (Benchmarks.of([QUESTION], ["b:1"], n) for n in (5, 13))
    text = "She sold half as many clips in May, said the teacher."
    assert hits(few, text) == {"r0": "5 words in a row of b:1"}
    assert hits(many, text) == {}


def test_shingles_that_all_texts_share_propose_nothing_and_cost_nothing():
    texts = [
        f"What is the capital of the country that lies north of {name}land today?" for name in range(300)
    ]
    found = hits(
        Benchmarks.of(texts, [f"b:{i}" for i in range(300)], 13), texts[7], "What is the capital of Peru?"
    )
    assert set(found) == {"r0"}


def test_an_empty_batch_and_an_empty_benchmark(tmp_path, benchmarks):
    assert benchmarks.hits(
        pl.DataFrame(
            schema={
                "instance_id": pl.String(),
                "messages": pl.List(pl.Struct({"role": pl.String(), "content": pl.String()})),
            }
        )
    ).is_empty()
    file = tmp_path / "numbers.jsonl"
    file.write_text('{"a": 1}\n')
    with pytest.raises(UserError, match="holds no text to compare rows with"):
        Benchmarks.read([file], 13)
