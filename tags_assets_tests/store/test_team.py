"""A home that several people of one Unix group use; real users, so only root can run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest

from tags_assets.formats.pool import expand_pool, read_pool
from tags_assets.llm.answer_cache import Account, AnswerCache, Stored
from tags_assets.settings.home import Home
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.content_cache import ContentCache
from tags_assets.store.retention import prune_versions
from tags_assets.store.warehouse import Warehouse
from tags_assets_tests.requirements_of_tests import CHECKOUT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become two users")

GROUP, ANNA, BERTA = 54_320, 54_321, 54_322


def work(folder, name):
    """Do what a run does in a home: settings, files, caches, artifacts, the warehouse."""
    os.umask(0o022)
    home = Home(folder / "home").prepare()
    home.save_pool("default", home.pool("default").model_copy(update={"paths": [name]}))
    assert home.pool("default").paths == [name]
    read_pool(expand_pool([folder / "rows.jsonl"]), cache=home.cache)
    (folder / f"{name}.jsonl").write_text(json.dumps({"instruction": name, "output": "b"}))
    read_pool(expand_pool([folder / f"{name}.jsonl"]), cache=home.cache)
    with ContentCache(home.cache / "embeddings.sqlite") as cache:
        cache.put_many("n", {name: b"x"})
        cache.get_many("n", [name])
    with AnswerCache(home.cache / "answers.sqlite") as answers:
        stored = Stored("{}", "stop", False, 1, 1)
        answers.write_now(answers.keep(name.encode(), Account("http://x", "m"), stored, 0.1))
    store = ArtifactStore(home.path)
    for version in (name, "shared"):
        store.write("tree", version, pl.DataFrame({"x": [1]}))
    Warehouse(store).publish()
    prune_versions(store, 1, dry_run=False)
    with Warehouse(store).open() as warehouse:
        assert warehouse.sql("from tree").fetchall() == [(1,)]


SCRIPT = """
import codecs, os, pathlib, sys
from tags_assets_tests.store.test_team import GROUP, work
for name in ("utf-32-le", "utf-16-le", "idna"):
    codecs.lookup(name)
folder, uid, name = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
warm = folder / f"warm-{os.getpid()}"  # what is loaded late may lie where only root reads
warm.mkdir()
(warm / "rows.jsonl").write_text((folder / "rows.jsonl").read_text())
work(warm, "root")
os.setgroups([GROUP])
os.setgid(GROUP + uid)  # the first group of each is their own
os.setuid(uid)
work(folder, name)
"""


@pytest.fixture
def folder():
    """A folder that the group may enter, which pytest's own are not."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        for place in (folder, folder / "home"):
            place.mkdir(exist_ok=True)
            os.chown(place, -1, GROUP)
            place.chmod(0o2775)
        (folder / "rows.jsonl").write_text(json.dumps({"instruction": "a?", "output": "b"}))
        yield folder


def test_a_home_of_a_group_is_used_by_its_members_in_turn(folder):
    for uid, name in ((ANNA, "anna"), (BERTA, "berta"), (ANNA, "anna")):
        command = [sys.executable, "-c", SCRIPT, folder, str(uid), name]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    everything = [path.stat() for path in (folder / "home").rglob("*")]
    assert {(one.st_gid, one.st_mode & 0o060) for one in everything} == {(GROUP, 0o060)}
