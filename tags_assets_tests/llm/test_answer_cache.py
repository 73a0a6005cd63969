from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from tags_assets.errors import UserError
from tags_assets.llm import AnswerCache
from tags_assets.llm.answer_cache import Account, OverCap, Stored


def test_a_file_that_is_no_cache_is_one_clear_line(tmp_path):
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match="answer cache can't be opened"):
        AnswerCache(path)


def test_a_bad_write_fails_alone_and_the_others_of_its_group_are_kept(tmp_path):
    account = Account("http://x/v1", "m")

    def bad(_):
        raise ZeroDivisionError

    async def write_all(cache):
        answer = Stored("{}", "stop", False, 1, 1)
        writes = [cache.write(cache.keep(bytes([i]), account, answer, 0.0)) for i in range(50)]
        return await asyncio.gather(*writes, cache.write(bad), return_exceptions=True)

    with AnswerCache(tmp_path / "c.sqlite") as cache:
        results = asyncio.run(write_all(cache))
        assert sum(isinstance(r, ZeroDivisionError) for r in results) == 1
        assert len(cache.known([bytes([i]) for i in range(50)])) == 50
        assert cache.spending(account).calls == 50


def test_the_cap_counts_what_is_spent_and_what_is_reserved(tmp_path):
    account = Account("http://x/v1", "m", cap=1.0)
    with AnswerCache(tmp_path / "c.sqlite") as cache:
        cache.write_now(cache.claim(b"a", account, 0.4, 1))
        cache.write_now(cache.keep(b"a", account, Stored("", "stop", False, 1, 1), 0.3))
        cache.write_now(cache.claim(b"b", account, 0.4, 1))
        assert cache.write_now(cache.claim(b"c", account, 0.4, 1)) == OverCap(0.3, 0.4)
        other = Account("http://x/v1", "another model", cap=1.0)
        cache.write_now(cache.claim(b"d", other, 0.9, 1))


def test_a_full_disk_is_one_clear_line(tmp_path):
    with AnswerCache(tmp_path / "c.sqlite") as cache:

        def full(_):
            raise sqlite3.OperationalError("database or disk is full")

        with pytest.raises(UserError, match="disk is full"):
            cache.write_now(full)


def test_many_keys_are_looked_up(tmp_path):
    account = Account("http://x/v1", "m")
    with AnswerCache(tmp_path / "c.sqlite") as cache:
        keys = [i.to_bytes(4, "big") for i in range(3000)]
        cache.write_now(cache.keep(keys[-1], account, Stored("x", "stop", True, 1, 1), 0.0))
        assert list(cache.known(keys)) == [keys[-1]]


ANSWER = Stored('{"tags": ["heap sort"]}', "stop", False, 10, 5)


def flip(path, value):
    content = bytearray(path.read_bytes())
    place = content.index(value)
    content[place + len(value) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_answer_is_not_used_and_not_paid_for_again_without_a_word(tmp_path):
    account, path = Account("http://x/v1", "m"), tmp_path / "c.sqlite"
    with AnswerCache(path) as cache:
        cache.write_now(cache.keep(b"a", account, ANSWER, 0.1))
        cache.write_now(cache.keep(b"b", account, Stored("{}", "stop", False, 1, 1), 0.1))
        cache.write_now(cache.keep_vectors(b"c", account, {b"v": bytes(range(40))}, 1, 0.1))
    flip(path, ANSWER.content.encode())
    flip(path, bytes(range(40)))
    with AnswerCache(path) as cache:
        said = r"1 stored answer of a language model is damaged\. Run `tags-assets repair --deep`"
        with pytest.raises(UserError, match=said):
            cache.known([b"a", b"b"])
        with pytest.raises(UserError, match=said):
            cache.write_now(cache.claim(b"a", account, 0.1, 1))
        with pytest.raises(UserError, match="1 stored vector of"):
            cache.known_vectors([b"v"])
        assert cache.damaged() == {"answers": [b"a"], "vectors": [b"v"]}
        cache.remove_damaged()
        assert cache.known([b"a", b"b"]).keys() == {b"b"}
        assert cache.damaged() == {"answers": [], "vectors": []}


def test_answers_of_a_home_before_checksums_are_used_and_checked_from_then_on(tmp_path):
    account, path = Account("http://x/v1", "m"), tmp_path / "c.sqlite"
    with AnswerCache(path) as cache:
        cache.write_now(cache.keep(b"a", account, ANSWER, 0.1))
        cache.write_now(cache.keep_vectors(b"c", account, {b"v": bytes(range(40))}, 1, 0.1))
    with closing(sqlite3.connect(path)) as old, old:
        for table in ("answers", "vectors"):
            old.execute(f"alter table {table} drop column checksum")
    with AnswerCache(path) as cache:
        assert cache.known([b"a"]) == {b"a": ANSWER}
        assert cache.known_vectors([b"v"]) == {b"v": bytes(range(40))}
    flip(path, ANSWER.content.encode())
    flip(path, bytes(range(40)))
    with AnswerCache(path) as cache:
        assert cache.damaged() == {"answers": [b"a"], "vectors": [b"v"]}
