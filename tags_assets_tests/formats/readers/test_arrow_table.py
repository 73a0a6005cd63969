from __future__ import annotations

import datetime as dt
import decimal
import json
import os
import random
from contextlib import suppress

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tags_assets.errors import UserError
from tags_assets.formats.pool import expand_pool
from tags_assets.formats.readers import Position, arrow_table, read_records

TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]


def write(path, frame, kind):
    table = frame.to_arrow()
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind == "arrow_file":
        frame.write_ipc(path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table)


@pytest.mark.parametrize("kind", ["parquet", "arrow_file", "arrow_stream"])
def test_rows_are_read_in_order_whatever_the_name(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(arrow_table, "_ROWS_A_BATCH", 2)
    frame = pl.DataFrame({"id": [1, 2, 3, 4, 5], "messages": [TURNS] * 5})
    path = tmp_path / "rows.jsonl"
    write(path, frame, kind)
    position = Position()
    found = list(read_records(path, position))
    assert [(record.line, record.row["id"]) for record in found] == [(n, n) for n in range(1, 6)]
    assert json.loads(found[0].raw) == {"id": 1, "messages": TURNS}
    assert position.done == path.stat().st_size


def test_a_row_becomes_json_whatever_its_types(tmp_path):
    frame = pl.DataFrame(
        {
            "instruction": ["q"],
            "day": [dt.date(2026, 1, 2)],
            "price": [decimal.Decimal("1.50")],
            "nan": [float("nan")],
            "image": [b"\x00\xff"],
            "kind": pl.Series(["x"], dtype=pl.Categorical),
            "nothing": [None],
        }
    )
    path = tmp_path / "rows.parquet"
    frame.write_parquet(path)
    (only,) = read_records(path)
    raw = json.loads(only.raw)
    assert raw["day"] == "2026-01-02"
    assert raw["image"] == "AP8="
    assert (raw["price"], raw["nan"], raw["kind"], raw["nothing"]) == ("1.50", None, "x", None)


def test_a_cell_that_is_no_text_costs_its_row_alone(tmp_path):
    bad = pa.array([b"good", b"\xff\xfe", b"fine"]).cast(pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": [1, 2, 3], "instruction": bad}), tmp_path / "rows.parquet")
    found = list(read_records(tmp_path / "rows.parquet"))
    assert [record.reason is None for record in found] == [True, False, True]
    assert "the column instruction cannot be read" in found[1].reason
    assert json.loads(found[1].raw) == {"id": 2}


@pytest.mark.parametrize("kind", ["parquet", "arrow_file", "arrow_stream"])
def test_a_file_that_is_cut_short_is_an_error_of_one_line(tmp_path, kind):
    path = tmp_path / "rows.parquet"
    write(path, pl.DataFrame({"id": list(range(1000)), "instruction": ["some text"] * 1000}), kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(UserError, match="damaged or cut short"):
        list(read_records(path))


@pytest.mark.parametrize("kind", ["parquet", "arrow_file", "arrow_stream"])
def test_damaged_bytes_neither_end_the_process_nor_in_a_traceback(tmp_path, kind):
    path = tmp_path / "rows.arrow"
    write(path, pl.DataFrame({"id": list(range(50)), "messages": [TURNS] * 50}), kind)
    whole = path.read_bytes()
    choice = random.Random(0)  # noqa: S311 - the same damage each time
    for _ in range(60):
        damaged = bytearray(whole)
        for place in choice.sample(range(len(whole)), 20):
            damaged[place] = choice.randrange(256)
        path.write_bytes(damaged)
        with suppress(UserError):
            list(read_records(path))


def test_a_stream_that_is_cut_between_two_batches_is_not_taken_for_whole(tmp_path):
    path = tmp_path / "rows.arrow"
    table = pa.table({"instruction": ["q"] * 20, "output": ["a"] * 20})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=10)
        stop = file.tell()
        stream.write_table(table)
    os.truncate(path, stop)
    with pytest.raises(UserError, match="damaged or cut short"):
        list(read_records(path))


def test_an_empty_parquet_file_is_an_error_of_one_line(tmp_path):
    (tmp_path / "rows.parquet").write_bytes(b"")
    with pytest.raises(UserError, match="damaged or cut short"):
        list(read_records(tmp_path / "rows.parquet"))


def test_what_save_to_disk_writes_is_read(tmp_path, read):
    datasets = pytest.importorskip("datasets")
    rows = [{"messages": [{"role": "user", "content": f"q{n}"}, TURNS[1]]} for n in range(6)]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "one", num_shards=2)
    split = datasets.Dataset.from_list(rows).train_test_split(test_size=2, shuffle=False)
    split.save_to_disk(tmp_path / "both")

    one = read(tmp_path / "one").instances.collect()
    assert [turns[0]["content"] for turns in one["messages"].to_list()] == [f"q{n}" for n in range(6)]
    assert one["source"].unique().to_list() == ["one"]

    both = expand_pool([tmp_path / "both"])
    assert [path.parent.name for path in both] == ["train", "test"]
    assert read(tmp_path / "both").rows_in == 6
    assert read(tmp_path / "both" / "train").rows_in == 4
    assert read(tmp_path).rows_in == 12


def test_what_is_null_because_other_rows_have_it_is_taken_out(tmp_path):
    path = tmp_path / "rows.parquet"
    calls = [[{"name": "f", "arguments": {"a": 1}}], [{"name": "g", "arguments": {"b": "x"}}]]
    rows = [
        {
            "messages": [{"role": "assistant", "content": None, "tool_calls": call}],
            "other": None,
            "deep": None,
        }
        for call in calls
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    found = list(read_records(path))
    for record, row in zip(found, rows, strict=True):
        assert record.row == json.loads(record.raw) == row


def test_maps_are_objects_and_bytes_that_are_text_are_text(tmp_path):
    path = tmp_path / "rows.parquet"
    arguments = pa.array([[("to", "Ely"), ("via", None)]], pa.map_(pa.string(), pa.string()))
    columns = {
        "arguments": arguments,
        "prompt": pa.array(["gr\u00fcn".encode()]),
        "blob": pa.array([b"\x00a"]),
    }
    pq.write_table(pa.table(columns), path)
    (record,) = read_records(path)
    assert record.row["arguments"] == {"to": "Ely"}
    assert record.row["prompt"] == "gr\u00fcn"
    assert json.loads(record.raw)["blob"] == "AGE="
