from __future__ import annotations

import csv
import errno
import gzip
import json
import os
import shutil
import sys
from contextlib import suppress

import numpy as np
import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tags_assets.errors import UserError
from tags_assets.formats import parsed_file
from tags_assets.formats import pool as pool_module
from tags_assets.formats.instance import INSTANCE_SCHEMA, REJECTED_SCHEMA
from tags_assets.formats.pool import expand_pool, read_pool

ROWS = [
    {"id": "a", "source": "wiki", "instruction": "Name a fruit.", "input": "", "output": "Apple."},
    {
        "id": "b",
        "conversations": [{"from": "human", "value": "Name a tree."}, {"from": "gpt", "value": "Oak."}],
    },
    {
        "id": "c",
        "messages": [
            {"role": "user", "content": "Name a fruit."},
            {"role": "assistant", "content": "Apple."},
        ],
    },
    {"id": "d", "prompt": "name a FRUIT", "completion": "apple"},
    {"id": "e", "text": "no row"},
]


def write(path, rows=ROWS):
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def adds_up(pool):
    counts = pool.counts.with_columns(
        right=pl.col("rows_in") == pl.col("rows_kept") + pl.col("rows_rejected") + pl.col("rows_duplicate")
    )
    instances = pool.instances.collect()
    return (
        counts["right"].all()
        and pool.rows_in == instances.height + pool.rejected.height
        and pool.rows_kept == instances["duplicate_of"].null_count()
        and instances["instance_id"].n_unique() == instances.height
        and not set(instances["duplicate_of"].drop_nulls())
        - set(instances.filter(pl.col("duplicate_of").is_null())["instance_id"])
    )


def test_every_row_is_kept_rejected_or_a_duplicate(tmp_path, read):
    pool = read(write(tmp_path / "mixed.jsonl"))
    instances = pool.instances.collect()
    first = instances["instance_id"][0]
    assert instances.schema == INSTANCE_SCHEMA
    assert pool.rejected.schema == REJECTED_SCHEMA
    assert instances.select("id", "source", "line", "format", "duplicate_of", "near_duplicate").rows() == [
        ("a", "wiki", 1, "alpaca", None, False),
        ("b", "mixed", 2, "sharegpt", None, False),
        ("c", "mixed", 3, "messages", first, False),
        ("d", "mixed", 4, "prompt_completion", first, True),
    ]
    assert pool.rejected.rows() == [
        ("mixed.jsonl", 5, "no known layout: the row has the fields id, text", json.dumps(ROWS[4]).encode())
    ]
    assert pool.counts.drop("path").rows() == [("mixed.jsonl", 5, 2, 1, 2, 1)]
    assert adds_up(pool)


def test_the_row_as_it_came_is_kept(tmp_path, read):
    row = '{"prompt":  "caf\\u00e9 \\u0000",\t"completion": "x", "extra": [1.0, 1e3]}'
    instances = read(write(tmp_path / "rows.jsonl", ["  " + row + " \r"])).instances.collect()
    assert instances["raw"][0] == row
    assert instances["messages"][0][0] == {"role": "user", "content": "café \x00"}


def test_tokens_turns_and_language_are_told(tmp_path, read):
    turns = [
        ("system", "Be kind."),
        ("user", "Hello there"),
        ("assistant", "Hi!"),
        ("tool", "x"),
        ("user", "Bye"),
    ]
    turns.append(("assistant", "See you."))
    row = {"messages": [{"role": role, "content": content} for role, content in turns]}
    instance = read(write(tmp_path / "rows.jsonl", [row])).instances.collect()
    told = instance.select("prompt_tokens", "response_tokens", "turns", "language")
    assert told.row(0) == (3 + 2 + 1 + 1, 2 + 3, 2, "en")


def test_identity_depends_neither_on_folders_nor_on_how_the_path_is_written(tmp_path, monkeypatch, read):
    (tmp_path / "one").mkdir()
    (tmp_path / "elsewhere").mkdir()
    file = write(tmp_path / "one" / "rows.jsonl")
    shutil.copy(file, tmp_path / "elsewhere" / "rows.jsonl")
    columns = ["instance_id", "file"]
    first = read(file).instances.select(columns).collect()
    assert read(tmp_path / "elsewhere").instances.select(columns).collect().equals(first)
    monkeypatch.chdir(tmp_path)
    assert read("one/rows.jsonl").instances.select(columns).collect().equals(first)
    both = read("one", "elsewhere")
    assert both.instances.select("instance_id").collect().head(4).equals(first.select("instance_id"))
    assert both.counts["file"].to_list() == ["one/rows.jsonl", "elsewhere/rows.jsonl"]
    assert both.counts["rows_duplicate"].to_list() == [2, 4]
    assert adds_up(both)


def test_rows_appended_to_a_file_leave_the_others_their_identity(tmp_path, read):
    before = read(write(tmp_path / "rows.jsonl", ROWS[:2])).instances.select("instance_id").collect()
    after = read(write(tmp_path / "rows.jsonl", ROWS)).instances.select("instance_id").collect()
    assert after.head(2).equals(before)


def test_a_pool_is_the_same_in_every_format(tmp_path, read):
    rows = [{"id": str(n), "prompt": f"What is {n}?", "completion": f"It is {n}."} for n in range(20)]
    lines = "\n".join(map(json.dumps, rows)).encode()
    table = pl.DataFrame(rows)
    (tmp_path / "a.jsonl").write_bytes(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "c.jsonl.zst").write_bytes(zstandard.compress(lines))
    (tmp_path / "d.json").write_text(json.dumps(rows, indent=1))
    (tmp_path / "e.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    table.write_csv(tmp_path / "f.csv")
    (tmp_path / "g.csv.zst").write_bytes(zstandard.compress(table.write_csv().encode()))
    table.write_parquet(tmp_path / "h.parquet")
    pool = read(tmp_path)
    instances = pool.instances.select("id", "content_hash", "messages", "duplicate_of").collect()
    assert pool.counts["rows_kept"].to_list() == [20, *[0] * 7]
    for start in range(0, 160, 20):
        part = instances.slice(start, 20)
        assert part.drop("duplicate_of").equals(instances.head(20).drop("duplicate_of"))
    assert adds_up(pool)


def test_a_file_that_was_read_is_not_read_again(tmp_path, read, monkeypatch):
    file = write(tmp_path / "rows.jsonl")
    first = read(file).instances.collect()
    monkeypatch.setattr(parsed_file, "read_records", None)
    assert read(file).instances.collect().equals(first)
    moved = file.rename(tmp_path / "moved.jsonl")
    assert read(moved).instances.select("content_hash").collect().equals(first.select("content_hash"))


def test_what_a_killed_run_leaves_behind_is_not_taken_for_a_result(tmp_path, read, monkeypatch):
    file = write(tmp_path / "rows.jsonl")
    with monkeypatch.context() as patch:
        # As kill -9 in the middle of a file: nothing is tidied up.
        patch.setattr(parsed_file, "remove_parsed", lambda _: None)
        patch.setattr(parsed_file._Batch, "rejected", lambda _: sys.exit(9))
        with pytest.raises(SystemExit):
            read(file)
    (left,) = (tmp_path / ".cache").glob(".parsing-*")
    assert adds_up(read(file))
    assert left.exists()  # it may be another process at work
    os.utime(left, (0, 0))
    read(file)
    assert not left.exists()


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be written"):
        read_pool(expand_pool([write(tmp_path / "rows.jsonl")]), cache=tmp_path / "cache")


def test_a_full_disk_is_one_line(tmp_path, read, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(parsed_file._Writer, "write", full)
    with pytest.raises(UserError, match="the disk is full"):
        read(write(tmp_path / "rows.jsonl"))


def test_too_little_memory_is_not_blamed_on_the_cache(tmp_path, read, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(parsed_file._Writer, "write", fail)
    with pytest.raises(UserError, match="needs more memory than is available"):
        read(write(tmp_path / "rows.jsonl"))


@pytest.mark.parametrize("name", ["rows.parquet", "rejected.parquet", "summary.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_parsed_file_is_read_anew(tmp_path, read, name, damage):
    file = write(tmp_path / "rows.jsonl")
    before = read(file).instances.collect()
    (part,) = (tmp_path / ".cache").glob(f"*/{name}")
    content = bytearray(part.read_bytes())
    if damage == "gone":
        part.unlink()
    elif damage == "cut":
        part.write_bytes(content[:-9])
    else:
        content[len(content) // 2] ^= 1
        part.write_bytes(content)
    assert read(file).instances.collect().equals(before)
    (folder,) = {path.parent for path in (tmp_path / ".cache").glob("*/summary.json")}
    assert parsed_file.is_sound(folder)


def test_a_parsed_file_of_a_home_before_checksums_is_used_and_checked_from_then_on(
    tmp_path, read, monkeypatch
):
    file = write(tmp_path / "rows.jsonl")
    before = read(file).instances.collect()
    (summary,) = (tmp_path / ".cache").glob("*/summary.json")
    facts = json.loads(summary.read_text())
    summary.write_text(json.dumps({name: facts[name] for name in facts if not name.startswith("digest")}))
    with monkeypatch.context() as patch:
        patch.setattr(parsed_file, "read_records", None)
        assert read(file).instances.collect().equals(before)
    assert json.loads(summary.read_text()) == facts
    rows = summary.with_name("rows.parquet")
    rows.write_bytes(rows.read_bytes()[:-9])
    assert not parsed_file.is_sound(summary.parent)


def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path, read, monkeypatch):
    file = write(tmp_path / "rows.jsonl")
    read_records = parsed_file.read_records

    def and_append(path, position):
        yield from read_records(path, position)
        with path.open("a") as opened:
            opened.write("\n{}")

    monkeypatch.setattr(parsed_file, "read_records", and_append)
    with pytest.raises(UserError, match=r"changed while it was read\. Run again"):
        read(file)


def test_instances_can_be_taken_in_part(tmp_path, read):
    pool = read(write(tmp_path / "rows.jsonl"))
    whole = pool.instances.collect()
    assert (
        pool.instances.select("near_duplicate", "id").collect().equals(whole.select("near_duplicate", "id"))
    )
    assert pool.instances.head(2).collect().equals(whole.head(2))
    kept = pl.col("duplicate_of").is_null()
    assert pool.instances.filter(kept).select("file").collect().equals(whole.filter(kept).select("file"))
    assert pl.concat(pool.batches(["line", "file"])).equals(whole.select("file", "line"))
    pool.instances.sink_parquet(path := tmp_path / "out.parquet")
    assert pl.read_parquet(path).equals(whole)


def test_progress_ends_at_the_whole(tmp_path, read):
    write(tmp_path / "a.jsonl")
    write(tmp_path / "b.jsonl", ROWS * 2)
    for _ in range(2):  # also where all is in the cache
        told: list[tuple[int, int]] = []
        read(tmp_path / "a.jsonl", tmp_path / "b.jsonl", progress=lambda *done, to=told: to.append(done))
        assert told == sorted(told)
        total = sum((tmp_path / name).stat().st_size for name in ("a.jsonl", "b.jsonl"))
        assert told[-1] == (total, total)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["{broken", "null", "null"],
            "bad.jsonl:1: not one of the 3 rows can be read: 2 x a row is a JSON object",
        ),
        ([], "bad.jsonl: the pool has no row"),
        ([" ", ""], "bad.jsonl: the pool has no row"),
    ],
)
def test_a_pool_of_which_nothing_can_be_read_is_one_line(tmp_path, read, rows, message):
    with pytest.raises(UserError) as error:
        read(write(tmp_path / "bad.jsonl", rows))
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_an_empty_file_among_others_is_no_error(tmp_path, read):
    write(tmp_path / "a.jsonl", [])
    write(tmp_path / "b.jsonl")
    assert read(tmp_path).counts["rows_in"].to_list() == [0, 5]


def test_pairs_are_confirmed_in_parts_as_at_once(tmp_path, read, monkeypatch):
    words = [f"word{n}" for n in range(80)]
    rows = [{"prompt": " ".join(words[n:] + words[:n]), "completion": "x"} for n in range(0, 80, 8)]
    rows += [{"prompt": row["prompt"] + " thanks", "completion": "x"} for row in rows]
    write(tmp_path / "a.jsonl", rows[:7])
    write(tmp_path / "b.jsonl", rows[7:])
    monkeypatch.setattr(parsed_file, "_ROWS_A_BATCH", 3)
    at_once = read(tmp_path / "a.jsonl", tmp_path / "b.jsonl").marks
    assert at_once["near_duplicate"].sum() == 10
    monkeypatch.setattr(pool_module, "_ROWS_COMPARED", 4)
    in_parts = read(tmp_path / "a.jsonl", tmp_path / "b.jsonl").marks
    assert at_once.equals(in_parts)


LINE = st.one_of(
    st.sampled_from([json.dumps(row).encode() for row in ROWS]),
    st.binary(max_size=40),
    st.text('{}[]",:\\ \n', max_size=20).map(str.encode),
)
CONTENT = st.one_of(
    st.lists(LINE, max_size=6).map(b"\n".join),
    st.lists(LINE, max_size=4).map(lambda lines: b"[" + b",".join(lines) + b"]"),
    st.binary(max_size=120),
    st.tuples(
        st.sampled_from([b"PAR1", b"ARROW1", b"\xff\xff\xff\xff", b"\x1f\x8b\x08", b"12345678DUCK"]),
        st.binary(),
    ).map(b"".join),
)


@settings(max_examples=60)
@given(
    CONTENT,
    st.sampled_from(["x.jsonl", "x.json", "x.csv", "x.parquet", "x.arrow", "x"]),
    st.sampled_from([bytes, gzip.compress, zstandard.compress]),
)
def test_no_bytes_end_in_a_traceback_and_all_rows_add_up(tmp_path_factory, content, name, pack):
    folder = tmp_path_factory.mktemp("any")
    (folder / name).write_bytes(pack(content))
    with suppress(UserError):  # which is of one line by its making
        assert adds_up(read_pool(expand_pool([folder / name]), cache=folder / "cache"))


@pytest.mark.real_data
def test_every_line_of_the_dirty_file_is_what_its_manifest_expects(shared_data, read_once):
    pool = read_once(shared_data / "dirty.jsonl")
    with (shared_data / "dirty.manifest.csv").open(newline="") as file:
        manifest = {int(row["line"]): row for row in csv.DictReader(file)}
    # What our input page decides where the manifest leaves it open.
    decided = {
        "bom_mid_file": "ok",
        "nan_token": "reject",
        "int_5000_digits": "reject",
        "duplicate_json_keys": "ok",
        "lone_low_surrogate": "reject",
        "content_parts_image": "ok",  # with an attachment, which a rule takes out
        "assistant_first": "ok",
        "role_case": "ok",
        "sharegpt_text_key": "reject",
        "moss_style": "reject",
        "alpaca_response_key": "near_dup",  # the row before it with two more words
        "dpo_row": "ok",
        "id_empty": "ok",
        "dup_id_other_content": "ok",
    }
    found = dict.fromkeys(manifest, "skip")
    for line, duplicate_of, near in (
        pool.instances.select("line", "duplicate_of", "near_duplicate").collect().rows()
    ):
        found[line] = "ok" if duplicate_of is None else "near_dup" if near else "dup"
    found |= dict.fromkeys(pool.rejected["line"], "reject")
    expected = {
        line: decided[row["kind"]] if row["expect"] == "policy" else row["expect"]
        for line, row in manifest.items()
    }
    wrong = {
        line: (manifest[line]["kind"], found[line], expected[line])
        for line in manifest
        if found[line] != expected[line]
    }
    assert wrong == {}
    assert pool.rows_in == sum(row["expect"] != "skip" for row in manifest.values())
    assert adds_up(pool)
    raw = (shared_data / "dirty.jsonl").read_bytes().split(b"\n")
    assert all(raw[line - 1] == bad for line, bad in pool.rejected.select("line", "raw").rows())


@pytest.mark.real_data
def test_the_real_pool_loses_next_to_nothing_as_near_duplicate(shared_data, read_once):
    pool = read_once(shared_data / "pool_mixed.jsonl.gz")
    assert pool.rows_in == 19_636
    assert pool.rows_rejected == 0
    assert pool.rows_duplicate < 20
    assert adds_up(pool)
    instances = pool.instances.select("format", "prompt_tokens").collect()
    assert dict(instances["format"].value_counts().rows()) == {
        "alpaca": 9036,
        "messages": 6768,
        "sharegpt": 3832,
    }
    assert np.all(instances["prompt_tokens"].to_numpy() > 0)


def test_a_file_without_a_usable_row_stops_the_run_unless_allowed(tmp_path, read):
    folder = tmp_path / "pool"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"prompt": "q", "completion": "a"}\n')
    (folder / "b.json").write_text('{"version": 1}\n{"version": 2}\n')
    (folder / "c.jsonl.gz").write_bytes(gzip.compress(b'{"prompt": "q2", "completion": "a2"}\n')[:-9])
    with pytest.raises(UserError, match="damaged or cut short"):
        read(folder)
    (folder / "d.parquet").write_bytes(b"PAR1 damaged PAR1")
    allowed = read(folder, allow_unreadable=True)
    assert (allowed.rows_in, allowed.rows_kept, allowed.rows_rejected) == (5, 1, 4)
    reasons = dict(allowed.rejected.select("file", "reason").unique("file").rows())
    assert "gzip stream is damaged" in reasons["c.jsonl.gz"]
    assert "Parquet file is damaged" in reasons["d.parquet"]
    for name in ("c.jsonl.gz", "d.parquet"):
        (folder / name).unlink()
    with pytest.raises(UserError, match=r"b\.json:1: not one of the 2 rows.*--allow-unreadable-files"):
        read(folder)
