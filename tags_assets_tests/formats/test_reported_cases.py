"""Inputs that people reported to other tools, beside the checkout: what becomes of each here.

Every case has an ``expect.md`` that says what its user expects. Cases that are not met yet are marked.
"""

from __future__ import annotations

import gzip
import json
import time

import polars as pl
import pyarrow as pa
import pytest
import zstandard

from tags_assets.errors import UserError
from tags_assets.formats import tokens
from tags_assets.formats.contamination import Benchmarks
from tags_assets.formats.export import export
from tags_assets.formats.pool import expand_pool, read_pool
from tags_assets.formats.pool_files import find_pool
from tags_assets_tests.requirements_of_tests import SHARED_DATA, require

pytestmark = pytest.mark.real_data

CASES = SHARED_DATA.parent / "cases"


class Case:
    """A case's pool, read."""

    def __init__(self, cache, paths, **options):
        self.read = read_pool(expand_pool(paths), cache=cache, **options)
        self.frame = pl.concat(list(self.read.batches()))
        self.rows = {row["id"]: row for row in self.frame.iter_rows(named=True) if row["id"]}
        self.reasons = self.read.rejected["reason"].to_list()

    def said(self, row):
        return [(turn["role"], turn["content"]) for turn in self.rows[row]["messages"]]

    def n(self, prefix):
        return sum(name.startswith(prefix) for name in self.rows)

    def exported(self, folder, form):
        """Export all rows, and return the files' rows by name and the reasons of those left out by id."""
        export(self.frame, folder, [form])
        out: dict[str, list] = {}
        for file in sorted((folder / form).glob("*.jsonl")):
            out[file.stem] = [json.loads(line) for line in file.read_text().split("\n") if line]
        return out, {row["id"]: row["reason"] for row in out.pop("left_out", [])}


@pytest.fixture
def case(tmp_path):
    require(CASES.is_dir(), "the reported cases at ../shared/cases")

    def named(number, *paths, **options):
        (folder,) = CASES.glob(f"{number:02}-*")
        return Case(tmp_path / "cache", [folder / path for path in paths or ["pool"]], **options)

    return named


def text_of(rows):
    return json.dumps(rows, ensure_ascii=False)


def test_01_reasoning_beside_the_content_is_part_of_the_answer(case, tmp_path):
    read = case(1)
    assert "0.04 square metres" in read.said("think-0")[1][1]
    assert read.rows["think-1"]["response_tokens"] > 20
    assert "<think>\n7 x 13 is 91.\n</think>" in read.said("think-inline")[1][1]
    assert read.said("think-parquet-null") == [("user", "Name a noble gas."), ("assistant", "Argon.")]
    assert "look it up" in text_of(read.said("think-tool"))
    for form in ("trl", "llamafactory", "axolotl"):
        out, _ = read.exported(tmp_path / form, form)
        assert text_of(out).count("<think>") >= 7


def test_02_turns_that_must_not_be_learnt_keep_their_mark(case, tmp_path):
    read = case(2)
    out, reasons = read.exported(tmp_path / "a", "axolotl")
    kept = [row["messages"] for row in out["subset"] if "mouses" in text_of(row)]
    assert [turn.get("train") for turn in kept[0]] == [None, False, None, True]
    assert "w-all0" in reasons
    for form in ("trl", "llamafactory", "llamafactory-alpaca", "llamafactory-openai"):
        out, reasons = read.exported(tmp_path / form, form)
        assert {"w-0", "w-1", "w-2", "w-3", "w-train", "w-loss", "w-all0"} <= set(reasons)
        assert "mouses" not in text_of(out)
    out, reasons = read.exported(tmp_path / "pc", "trl-prompt-completion")
    assert set(reasons) == {"w-all0"}


def test_03_undesirable_answers_are_never_exported_to_be_imitated(case, tmp_path):
    read = case(3)
    assert read.rows["kto-1"]["label"] is False
    assert read.rows["kto-0"]["label"] is True
    for form in ("trl", "llamafactory", "axolotl"):
        out, _ = read.exported(tmp_path / form, form)
        assert "asdf" not in text_of(out["subset"])
        assert "The salmon" not in text_of(out["subset"])
        assert len(out["subset_kto"]) == 10


def test_04_history_comes_first_in_every_layout(case):
    read = case(4)
    assert [len(read.said(f"h-{n}")) for n in range(7)] == [7, 4, 4, 4, 4, 2, 2]
    assert read.said("h-0")[0] == ("system", "You are a patient chess coach.")


def test_06_tool_calls_as_json_text_are_calls(case, tmp_path):
    read = case(6)
    assert read.n("js-") == 5
    assert '{"name": "weather", "arguments": {"city": "Oslo"}}' in text_of(read.said("js-0")).replace(
        "\\", ""
    )
    assert "I look it up." in read.said("js-2")[1][1]
    out, _ = read.exported(tmp_path, "trl")
    assert sum(any(turn["tool_calls"] for turn in row["messages"]) for row in out["subset"]) >= 5


def test_09_system_prompts_have_many_names(case):
    read = case(9)
    assert read.said("orca-0")[0] == ("system", "You explain to a child of five.")
    assert [role for role, _ in read.said("orca-1")] == ["user", "assistant"]
    for row in ("sp-0", "sp-1", "nem-0", "nem-1"):
        assert read.said(row)[0][0] == "system"
    assert not read.reasons


def test_10_results_of_tools_may_be_objects(case):
    read = case(10)
    assert read.n("to-") == 7
    assert json.loads(read.said("to-0")[2][1]) == {"item": 7, "left": 31}
    assert read.said("to-2")[2] == ("tool", "180")
    assert read.said("to-5")[1][1] == '{"name": "door", "arguments": {"n": 2}}'
    assert '{"name": "rm", "arguments": "{\\"path\\": \\"a\\""}' in read.said("to-4")[1][1]


def test_11_rows_with_pictures_are_treated_alike(case, tmp_path):
    read = case(11)
    has = {name: row["attachments"] for name, row in read.rows.items() if name.startswith("img")}
    assert {name for name, n in has.items() if n} == {*(f"img-{n}" for n in range(6)), "imgp-0", "imgp-1"}
    assert {"img-6", "img-7", "img-8"} <= has.keys()
    out, reasons = read.exported(tmp_path, "trl")
    assert {f"img-{n}" for n in range(6)} <= set(reasons)
    assert "heron" not in text_of(out)


def test_13_lists_in_cells_are_lists(case):
    read = case(13)
    assert read.n("cj-") == 5
    assert read.said("cj-0")[0] == ("user", "What is a lute?")
    assert read.said("cr-0")[1] == ("assistant", "A plucked instrument with a round back.")
    assert read.said("cp-0")[0] == ("user", "What is a lute?")
    assert read.read.traits["python_repr"] == 10


def test_14_quotes_escaped_by_a_backslash(case):
    read = case(14)
    assert read.said("sp-0")[0][1] == 'What did the sign "Achtung" mean?'
    assert read.said("sp-0")[1][1] == 'It means "attention", and stands before dangers.'
    assert read.said("sp-1")[1][1] == '"Haste makes waste", as they say'
    assert read.said("sp-3")[1][1] == "C:\\temp\\"
    assert not read.reasons


def rows_of(n, name):
    return "".join(
        json.dumps({"id": f"{name}-{i}", "instruction": f"What is {name} {i}?", "output": f"It is {i * 7}."})
        + "\n"
        for i in range(n)
    ).encode()


def test_15_compressed_in_unusual_ways(tmp_path):
    (tmp_path / "skip.jsonl.zst").write_bytes(
        b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + zstandard.ZstdCompressor().compress(rows_of(5, "skip"))
    )
    (tmp_path / "pad.jsonl.gz").write_bytes(gzip.compress(rows_of(5, "pad")) + bytes(512))
    for name in ("skip.jsonl.zst", "pad.jsonl.gz"):
        assert Case(tmp_path / "cache", [tmp_path / name]).read.rows_in == 5
    window = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=window).compressobj()
    content = compressor.compress(rows_of(5, "long")) + compressor.flush()
    (tmp_path / "long.jsonl.zst").write_bytes(content)
    try:
        assert Case(tmp_path / "cache", [tmp_path / "long.jsonl.zst"]).read.rows_in == 5
    except UserError as error:
        assert "window" in str(error)  # noqa: PT017


def test_16_every_shard_is_read_or_named(case):
    read = case(16)
    unread = {each.path.name: each.reason for each in find_pool([next(CASES.glob("16-*")) / "pool"]).unread}
    assert set(unread) <= {"README.md", "part-4.jsonl.part"}
    assert "part-4.jsonl.part" in unread
    assert read.read.rows_in == 60 + 5 * 5


def test_20_caches_beside_a_data_set_are_no_data(tmp_path):
    def stream(path, table):
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)

    rows = [{"instruction": f"Question {n}?", "output": f"Answer {n}."} for n in range(5)]
    cache = tmp_path / "hfcache"
    stream(cache / "json-train.arrow", pa.Table.from_pylist(rows))
    (cache / "dataset_info.json").write_text("{}")
    stream(cache / "cache-bb.arrow", pa.Table.from_pylist([row | {"more": 1} for row in rows]))
    stream(cache / "cache-cc.arrow", pa.table({"indices": pa.array([3, 1, 2], pa.uint64())}))
    assert Case(tmp_path / "c", [cache]).read.rows_in == 5
    old = tmp_path / "old"
    stream(old / "dataset.arrow", pa.Table.from_pylist(rows))
    stream(old / "indices.arrow", pa.table({"indices": pa.array([0, 2], pa.uint64())}))
    listed = {"_data_files": [{"filename": "dataset.arrow"}]}
    listed["_indices_data_files"] = [{"filename": "indices.arrow"}]
    (old / "state.json").write_text(json.dumps(listed))
    with pytest.raises(UserError, match="a selection of the rows in its files"):
        Case(tmp_path / "c", [old])


def test_21_a_row_may_have_a_field_called_examples(case):
    read = case(21)
    assert read.n("jq-") == 4
    assert read.n("one-") == 3
    assert "Shot" not in text_of(read.frame["messages"].to_list())


def test_23_no_text_is_counted_as_a_handful_of_tokens():
    burmese, khmer, thai = (chr(point) * 2000 for point in (0x1000, 0x1780, 0x0E01))
    strings = ["aGVsbG8" * 17_000, "0123456789abcdef" * 3_750, burmese, khmer, thai]
    assert all(count >= len(text) / 20 for count, text in zip(tokens.count(strings), strings, strict=True))


def test_24_a_name_is_no_contamination(case, tmp_path):
    bench = tmp_path / "bench.jsonl"
    quiz = [
        ("下列哪一项是光合作用发生的主要细胞器？", ["叶绿体", "线粒体", "中华人民共和国国务院办公厅"]),  # noqa: RUF001
        ("เมืองหลวงของประเทศไทยคือเมืองใดต่อไปนี้", ["กรุงเทพมหานคร", "เชียงใหม่", "ภูเก็ต"]),
        (
            "Which of these organelles is the main site of photosynthesis in the leaf of a plant?",
            ["chloroplast", "mitochondrion"],
        ),
    ]
    bench.write_text(
        "".join(json.dumps({"question": q, "choices": c, "answer": c[0]}) + "\n" for q, c in quiz)
    )
    read = case(24)
    hit = Benchmarks.read([bench], 13).hits(read.frame)["instance_id"].to_list()
    names = {name for name, row in read.rows.items() if row["instance_id"] in hit}
    assert names == {name for name in read.rows if name.startswith("dirty-")}


def lost_pairs(read):
    return {name.rsplit("-", 1)[0] for name, row in read.rows.items() if row["duplicate_of"]}


def test_25_what_says_another_thing_is_no_duplicate(case):
    assert not lost_pairs(case(25)) & {"nd-sys", "nd-zh", "nd-re", "nd-num", "nd-case", "nd-neg"}


def test_25_programs_that_differ_in_indentation_are_no_duplicates(case):
    assert "nd-py" not in lost_pairs(case(25))


def test_28_traces_inside_of_the_answer_are_read(case):
    assert case(28).n("r-") == 7


EXAMPLES = {
    "mcq": {"question": "What is 2 + 2?", "choices": ["3", "4"], "answer": 1},
    "code": {"prompt": "def double(x):\n", "canonical_solution": "    return 2 * x\n", "test": "assert 1"},
}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_29_rows_of_benchmarks_are_read_for_what_they_have(tmp_path, name):
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(EXAMPLES[name] | {"id": str(n)}) + "\n" for n in range(3)))
    assert Case(tmp_path / "cache", [path]).read.rows_rejected == 0


def test_29_bad_examples_cost_no_others(tmp_path):
    path = tmp_path / "t.jsonl"
    good = rows_of(18, "t").decode()
    path.write_text(good + '{"text": 3}\n{"instruction": "no answer"}\n')
    read = Case(tmp_path / "cache", [path])
    assert (read.n("t-"), len(read.reasons)) == (18, 2)


@pytest.mark.slow
def test_31_repetition_is_read_in_seconds(tmp_path):
    path = tmp_path / "rows.jsonl"
    with path.open("w") as file:
        for n in range(12):
            said = "word " * (100_000 + n * 4_000) + f"then it says number {n} " * 40
            file.write(json.dumps({"instruction": f"Say it {n} times.", "output": said}) + "\n")
    start = time.process_time()
    assert Case(tmp_path / "cache", [path]).read.rows_in == 12
    assert time.process_time() - start < 10


def test_33_mapped_columns_reach_pairs(case, tmp_path):
    columns = {"chosen": "chosen_response", "rejected": "rejected_response"}
    read = case(33, "pool/pref.jsonl", columns=columns)
    assert read.frame["format"].unique().to_list() == ["preference"]
    for form in ("trl", "llamafactory", "axolotl"):
        out, _ = read.exported(tmp_path / form, form)
        assert len(out["subset_dpo"]) == 5
    table = tmp_path / "chat.csv"
    talk = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]
    cell = json.dumps(talk).replace('"', '""')
    table.write_text(f'id,chat_json\nc-0,"{cell}"\n')
    assert len(Case(tmp_path / "c", [table], columns={"messages": "chat_json"}).said("c-0")) == 2


def test_35_nearly_json_is_read_or_each_row_is_rejected(case):
    read = case(35)
    assert read.n("nb-") == read.n("nd-") == 5
    counts = {row["file"]: row["rows_in"] for row in read.read.counts.iter_rows(named=True)}
    assert counts["f.json"] in (5, 6)
    assert all(counts[name] >= 5 for name in ("a.json", "b.json", "c.jsonl", "d.json", "g.jsonl"))
    assert all(counts[name] >= 2 for name in ("e.jsonl",))
    assert all(any(word in reason for word in ("comma", "array", "CR", "layout")) for reason in read.reasons)
