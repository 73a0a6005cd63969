from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tags_assets.errors import UserError
from tags_assets.formats.readers import Position, isolated, read_records

ROWS = [{"instruction": f"Add 1 and {n}.", "output": str(n + 1)} for n in range(3000)]


@pytest.fixture(autouse=True)
def no_child_left():
    yield
    isolated.release()


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.parquet"
    pl.DataFrame(ROWS).write_parquet(path)
    return path


def children():
    return [child._process.pid for child in isolated._IDLE]


def test_one_child_reads_file_after_file(good):
    assert [record.row for record in read_records(good)] == ROWS
    (first,) = children()
    position = Position()
    assert [record.line for record in read_records(good, position)] == list(range(1, 3001))
    assert position.done == good.stat().st_size
    assert children() == [first]


def test_a_reader_that_is_ended_is_one_line_and_the_next_file_is_read(good):
    before = set(_below(os.getpid()))
    reading = read_records(good)
    next(reading)
    (child,) = set(_below(os.getpid())) - before
    os.kill(child, signal.SIGSEGV)
    with pytest.raises(UserError, match=r"good.parquet: ended the process that reads it \(SIGSEGV\)"):
        list(reading)
    assert len(list(read_records(good))) == len(ROWS)


def _below(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in children.split()]


def test_a_reading_that_is_given_up_leaves_no_child(good):
    before = set(_below(os.getpid()))
    reading = read_records(good)
    next(reading)
    reading.close()
    assert set(_below(os.getpid())) <= before
    assert children() == []


def test_a_dictionary_that_unfolds_to_more_memory_than_there_is_is_one_line(tmp_path):
    path = tmp_path / "bomb.parquet"
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int32()), pa.array(["x" * 4_000_000]))
    pq.write_table(pa.table({"instruction": text, "output": text}), path, compression="zstd")
    assert path.stat().st_size < 20_000
    with pytest.raises(UserError, match=r"bomb.parquet: (takes more than 2 GiB|unpacks to more than)"):
        list(read_records(path))


def test_rows_without_number_in_a_small_file_are_one_line(tmp_path):
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"instruction": ["q"] * 2_000_000, "output": ["a"] * 2_000_000}), path)
    with pytest.raises(UserError, match=r"bomb.parquet: unpacks to more than \d+ MiB, over 200 times"):
        for _ in read_records(path):
            pass


def test_a_file_that_is_cut_short_while_it_is_read_is_one_line(tmp_path):
    path = tmp_path / "rows.arrow"
    table = pa.table({"instruction": ["q" * 5000] * 20_000, "output": ["a"] * 20_000})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=500)
    reading = read_records(path)
    next(reading)
    os.truncate(path, 10_000)
    with pytest.raises(UserError, match=r"rows.arrow: the Arrow file is damaged or cut short"):
        list(reading)


def test_a_cell_that_is_nested_too_deeply_costs_its_row_alone(tmp_path):
    path = tmp_path / "rows.parquet"
    deep = "[{" + '"a": [{' * 480 + "}]" * 480 + "}]"
    pl.DataFrame({"messages": [deep, None, "[" * 900 + "]" * 900]}).write_parquet(path)
    found = list(read_records(path))
    assert [record.line for record in found] == [1, 2, 3]
    assert found[1].row is not None


def test_nothing_of_the_current_folder_runs(tmp_path, good):
    for name in ("orjson.py", "pyarrow.py", "tags_assets.py", "pickle.py"):
        (tmp_path / name).write_text("import pathlib; pathlib.Path('owned').write_text('')")
    code = (
        "from pathlib import Path; from tags_assets.formats.readers import read_records; "
        f"print(len(list(read_records(Path({str(good)!r})))))"
    )
    said = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert said.stdout.strip() == "3000"
    assert not (tmp_path / "owned").exists()


def test_the_child_ends_with_its_parent(good):
    code = (
        "import os, signal; from pathlib import Path; "
        "from tags_assets.formats.readers import isolated, read_records; "
        f"list(read_records(Path({str(good)!r}))); print(isolated._IDLE[0]._process.pid, flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    child = int(said.stdout)
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the child still runs")
