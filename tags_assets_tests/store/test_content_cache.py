from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from tags_assets.errors import UserError
from tags_assets.store.content_cache import ContentCache


@pytest.fixture
def cache(tmp_path):
    with ContentCache(tmp_path / "new" / "answers.sqlite") as cache:
        yield cache


def test_what_was_put_is_got_and_what_was_not_is_not(cache):
    cache.put_many("llm", {"a": b"1", "b": b"\0\xff", "c": b""})
    assert cache.get_many("llm", ["a", "b", "c", "d", "a"]) == {"a": b"1", "b": b"\0\xff", "c": b""}
    assert cache.get_many("llm", []) == {}
    assert cache.get_many("other", ["a"]) == {}


def test_keys_are_text_of_any_kind(cache):
    keys = ["", "'; drop table entries --", "ü\u0301", '["x"]', "\U0001f600", "a\nb", "x" * 10_000]
    cache.put_many("n's", {key: key.encode() for key in keys})
    assert cache.get_many("n's", keys) == {key: key.encode() for key in keys}


def test_many_go_in_and_out_in_chunks(cache):
    entries = {f"{i:x}": i.to_bytes(4, "big") for i in range(12_345)}
    cache.put_many("embeddings", iter(entries.items()))
    assert cache.get_many("embeddings", (key for key in entries)) == entries
    assert cache.counts() == {"embeddings": 12_345}


def test_a_later_value_replaces(cache):
    cache.put_many("llm", {"a": b"1", "b": b"1"})
    cache.put_many("llm", {"a": b"2"})
    assert cache.get_many("llm", ["a", "b"]) == {"a": b"2", "b": b"1"}


def flip(path, value):
    """Flip one bit of a value in a closed SQLite file."""
    content = bytearray(path.read_bytes())
    place = content.index(value)
    content[place + len(value) // 2] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_is_seen_and_its_entry_made_anew(cache):
    values = {f"{i}": os.urandom(64) for i in range(50)}
    cache.put_many("vectors", values)
    cache.close()
    flip(cache.path, values["7"])
    assert cache.damaged() == 1
    assert cache.get_many("vectors", values) == {key: v for key, v in values.items() if key != "7"}
    made = []

    def make(places):
        made.extend(places)
        return [values[str(place)] for place in places]

    assert cache.get_or_make("vectors", list(values), make) == list(values.values())
    assert made == [7]
    assert cache.damaged() == 0


def test_damaged_entries_can_be_removed_and_no_others(cache):
    values = {f"{i}": os.urandom(64) for i in range(5)}
    cache.put_many("vectors", values)
    cache.close()
    flip(cache.path, values["3"])
    cache.remove_damaged()
    assert cache.counts() == {"vectors": 4}


def test_entries_of_a_home_before_checksums_are_used_and_checked_from_then_on(tmp_path):
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as old, old:
        columns = "namespace text, key text, value blob not null, primary key (namespace, key)"
        old.execute(f"create table entries ({columns})")
        old.execute("insert into entries values ('n', 'a', ?)", (b"x" * 64,))
    with ContentCache(path) as cache:
        assert cache.get_many("n", ["a"]) == {"a": b"x" * 64}
        cache.close()
        flip(path, b"x" * 64)
        assert cache.get_many("n", ["a"]) == {}


def test_counting_creates_nothing(tmp_path):
    assert ContentCache(tmp_path / "none.sqlite").counts() == {}
    assert not (tmp_path / "none.sqlite").exists()


def test_threads_share_one_cache(cache):
    def work(number):
        for i in range(20):
            cache.put_many("t", {f"{number}-{i}": b"x"})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.counts() == {"t": 160}


def test_what_was_put_survives_kill_9_of_several_processes(cache):
    script = """
import os, sys
from tags_assets.store.content_cache import ContentCache
cache = ContentCache(sys.argv[1])
for i in range(1_000_000):
    cache.put_many("llm", {f"{os.getpid()}-{i}": b"answer" * 100})
    print(f"{os.getpid()}-{i}", flush=True)  # noqa: T201
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", script, cache.path], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    try:
        stored = [process.stdout.readline().strip() for process in processes for _ in range(15)]
    finally:
        for process in processes:
            process.kill()
    for process in processes:
        rest = process.stdout.read().split("\n")
        stored += rest[:-1]  # the last may be half a line
        process.wait()
    assert len(cache.get_many("llm", stored)) == len(stored)
    assert sqlite3.connect(cache.path).execute("pragma integrity_check").fetchone() == ("ok",)


def test_a_fork_opens_the_file_for_itself(cache):
    cache.put_many("n", {"a": b"1"})
    child = os.fork()
    if child == 0:
        try:
            cache.put_many("n", {"b": b"2"})
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert cache.get_many("n", ["a", "b"]) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("content", [b"not a database at all" * 100, None])
def test_a_damaged_file_is_set_aside_and_begun_anew(cache, content):
    cache.put_many("n", {f"{i}": bytes(500) for i in range(100)})
    cache.close()
    if content is None:
        whole = bytearray(cache.path.read_bytes())
        whole[4096:] = os.urandom(len(whole) - 4096)
        content = bytes(whole)
    cache.path.write_bytes(content)
    assert cache.damaged() == 1
    assert cache.get_many("n", ["1"]) == {}
    cache.put_many("n", {"1": b"again"})
    assert cache.get_many("n", ["1"]) == {"1": b"again"}
    assert len(list(cache.path.parent.glob("answers.sqlite.damaged-*"))) == 1


def test_a_folder_in_the_way_is_one_line(tmp_path):
    (tmp_path / "answers.sqlite").mkdir()
    with pytest.raises(UserError, match="cannot be used"):
        ContentCache(tmp_path / "answers.sqlite").get_many("n", ["a"])
