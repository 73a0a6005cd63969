from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tags_assets.errors import UserError
from tags_assets.store import artifacts
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.health import home_health
from tags_assets.store.versions import VersionRecord
from tags_assets.store.warehouse import Warehouse


def damage(version, how):
    content = bytearray(version.path.read_bytes())
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "emptied":
        content = bytearray()
    else:
        for at in range(4096, len(content), 512):
            content[at] ^= 0xFF
    version.path.write_bytes(content)


def test_a_version_is_read_back_with_its_record(store, rows):
    record = VersionRecord(
        code_version="3",
        config={"tagger": "keyphrase", "weights": [0.3, 0.7]},
        upstream={"tag_vocabulary": "0a"},
        metadata={"leaves": np.int64(12), "kl": np.float32(0.5), "previous": None},
    )
    written = store.write("knowledge_tree", "0b", {"data": rows, "tags": rows.head(1)}, record=record)
    for version in (
        written,
        store.find("knowledge_tree", "0b"),
        ArtifactStore(store.home).current("knowledge_tree"),
    ):
        assert version == written
        assert (version.rows, version.tables["tags"].rows) == (3, 1)
        assert (version.code_version, version.config, version.upstream) == (
            "3",
            record.config,
            record.upstream,
        )
        assert version.metadata == {"leaves": 12, "kl": 0.5, "previous": None}
        assert datetime.now(UTC) - version.created_at < timedelta(minutes=1)
    assert store.read("knowledge_tree", "tags").equals(rows.head(1))


def test_what_was_never_made_is_none_or_an_error_that_says_what_to_do(store):
    assert store.find("knowledge_tree", "0a") is None
    assert store.current("knowledge_tree") is None
    assert store.versions("knowledge_tree") == []
    with pytest.raises(UserError, match=r"selected_subset\[maths\] has not been made yet"):
        store.read("selected_subset", partition="maths")
    store.write("knowledge_tree", "0a", pl.DataFrame({"x": [1]}))
    with pytest.raises(UserError, match=r"no version of knowledge_tree named '0b'. Did you mean '0a'"):
        store.read("knowledge_tree", data_version="0b")
    assert not (store.home / "nothing").exists()


def test_looking_creates_nothing(tmp_path):
    store = ArtifactStore(tmp_path / "home")
    store.current("a")
    store.versions("a", "p")
    store.snapshot()
    home_health(store)
    assert not (tmp_path / "home").exists()


def test_writing_a_version_that_exists_changes_nothing(store, rows):
    first = store.write("a", "v", rows)
    before = first.path.read_bytes()
    again = store.write("a", "v", rows.reverse())
    assert again == first
    assert first.path.read_bytes() == before
    assert store.read("a").equals(rows)


def test_an_artifact_is_never_touched_again(store, rows):
    version = store.write("a", "v", rows)
    before = version.path.stat().st_mtime_ns, version.path.read_bytes()
    store.read("a")
    store.query("from x", {"x": version})
    Warehouse(store).publish()
    Warehouse(store).open().sql("from a").fetchall()
    assert (version.path.stat().st_mtime_ns, version.path.read_bytes()) == before


def test_going_back_makes_an_older_version_current_without_rewriting_it(store, rows):
    old = store.write("a", "v1", rows.head(1))
    store.write("a", "v2", rows)
    before = old.path.stat()
    assert store.write("a", "v1", rows.head(1)) == old
    assert store.current("a") == old
    assert old.path.stat() == before
    assert [version.data_version for version in store.versions("a")] == ["v1", "v2"]


def test_a_version_can_be_written_without_becoming_current(store, rows):
    store.write("a", "v1", rows)
    store.write("a", "v2", rows, make_current=False)
    assert store.current("a").data_version == "v1"


def test_without_a_pointer_the_newest_version_is_current(store, rows):
    for name in ("v2", "v9", "v1"):
        store.write("a", name, rows)
    pointer = store.layout.pointer("a", None)
    for content in (None, b"", b"{", b"[]", b'{"data_version": "gone"}', b'{"data_version": "../../x"}'):
        pointer.unlink(missing_ok=True)
        if content is not None:
            pointer.write_bytes(content)
        assert store.current("a").data_version == "v1"


def test_order_is_the_order_of_writing_also_where_the_clock_jumps_back(store, rows, monkeypatch):
    class Clock(datetime):
        hours = 0

        @classmethod
        def now(cls, tz=None):
            return datetime(2026, 1, 1, cls.hours, tzinfo=tz)

    monkeypatch.setattr(artifacts, "datetime", Clock)
    for name, Clock.hours in (("v1", 5), ("v2", 20), ("v3", 1), ("v4", 2)):
        store.write("a", name, rows)
    assert [version.data_version for version in store.versions("a")] == ["v1", "v2", "v3", "v4"]
    store.layout.pointer("a", None).unlink()
    assert store.current("a").data_version == "v4"


def test_partitions_are_apart(store, rows):
    store.write("s", "v1", rows.head(1), partition="maths")
    store.write("s", "v1", rows.head(2), partition="law")
    assert store.partitions("s") == ["law", "maths"]
    assert [store.read("s", partition=name).height for name in ("maths", "law")] == [1, 2]
    assert store.current("s") is None
    assert set(store.snapshot()) == {("s", "law"), ("s", "maths")}
    assert store.locate("s", "v1").partition == "law"


def test_a_removed_partition_is_gone_until_it_is_made_again(store, rows):
    version = store.write("s", "v1", rows, partition="maths")
    store.remove_partition("s", "maths")
    assert store.current("s", "maths") is None
    assert store.partitions("s") == []
    assert store.find("s", "v1", "maths") == version
    store.set_current(version)
    assert store.current("s", "maths") == version
    store.remove_partition("s", "maths", keep_versions=False)
    assert store.find("s", "v1", "maths") is None
    assert store.layout.partitions("s") == []
    store.remove_partition("s", "never")


def test_a_query_sees_fixed_versions_and_frames(store, rows):
    old = store.write("a", "v1", {"data": rows.head(1), "extra": rows})
    store.write("a", "v2", rows)
    maths = store.write("s", "m", rows.select("rank"), partition="maths")
    law = store.write("s", "l", rows.select("rank", target=pl.lit("law")), partition="law")
    found = store.query(
        "select count(*) as n, (select count(*) from a_extra) as extra, (select count(*) from s) as s, "
        "(select count(target) from s) as named, (select sum(x) from f) as f from a where rank <= $most",
        {"a": old, "s": [maths, law]},
        {"most": 2},
        frames={"f": pl.DataFrame({"x": [4, 5]})},
    )
    assert found.row(0) == (1, 3, 6, 3, 9)


def test_a_table_can_be_queried_under_a_name_of_sql(store, rows):
    version = store.write("a", "v", rows)
    assert store.query("from x order by rank desc", {"x": version}).equals(rows.reverse())
    with pytest.raises(ValueError, match="alias"):
        store.query("from x", {'x"; drop': version})


@pytest.mark.parametrize("how", ["cut", "emptied", "flipped"])
@pytest.mark.parametrize("header", [True, False])
def test_a_damaged_current_version_is_put_away_and_reported_and_can_be_made_anew(store, rows, how, header):
    store.write("a", "v1", rows.head(1))
    version = store.write("a", "v2", rows)
    damage(version, how)
    if not header:
        version.path.with_suffix(".json").unlink()
    with pytest.raises(
        UserError, match=r"artifacts/a/-/v2.duckdb: damaged: .*moved to quarantine/a-----v2.*run again"
    ) as caught:
        ArtifactStore(store.home).read("a")
    assert "\n" not in str(caught.value)
    assert len(list(store.layout.quarantine.glob("*.duckdb"))) == 1
    assert store.find("a", "v2") is None
    assert store.current("a").data_version == "v1"
    store.write("a", "v2", rows)
    assert store.read("a").equals(rows)


def test_the_reader_that_has_seen_a_version_notices_that_it_was_damaged_since(store, rows):
    version = store.write("a", "v", rows)
    damage(version, "cut")
    assert store.find("a", "v") is None
    assert store.current("a") is None


def test_a_mistake_in_a_query_puts_nothing_away(store, rows):
    version = store.write("a", "v", rows)
    with pytest.raises(Exception, match="no_such_column"):
        store.query("select no_such_column from x", {"x": version})
    assert store.find("a", "v") == version


def test_a_version_removed_while_it_is_read_says_so(store, rows):
    version = store.write("a", "v", rows)
    version.path.unlink()
    with pytest.raises(UserError, match=r"a v: this version was removed while it was being read. Run again"):
        store.read_version(version)


def test_a_lost_header_is_made_again_from_the_artifact(store, rows):
    record = VersionRecord(code_version="3", config={"x": 1}, upstream={"u": "0"}, metadata={"m": [1]})
    version = store.write("s", "v", rows, partition="maths", record=record)
    header = version.path.with_suffix(".json")
    before = header.read_bytes()
    for content in (None, b"", b"{}", before[:-20]):
        header.unlink()
        if content is not None:
            header.write_bytes(content)
        assert ArtifactStore(store.home).find("s", "v", "maths") == version
        assert header.exists()


def test_a_copied_home_is_a_home(store, rows, tmp_path):
    store.write("a", "v", rows)
    shutil.copytree(store.home, tmp_path / "copy")
    shutil.rmtree(store.home)
    assert ArtifactStore(tmp_path / "copy").read("a").equals(rows)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_a_home_that_refuses_writes_can_be_read_and_says_so_when_written_to(store, rows, tmp_path):
    version = store.write("a", "v", rows)
    shared = Path(tempfile.gettempdir())
    for folder in (tmp_path, *tmp_path.parents):  # pytest keeps its folders to their owner
        if folder.is_relative_to(shared) and folder != shared:
            folder.chmod(0o755)
    with as_a_stranger():
        reader = ArtifactStore(store.home)
        assert reader.read("a").equals(rows)
        assert reader.write("a", "v", rows) == version
        assert Warehouse(reader).open().sql("from a").fetchall() == rows.rows()
        assert not home_health(reader).writable
        for attempt in (
            lambda: reader.write("a", "v2", rows),
            Warehouse(reader).publish,
            lambda: ArtifactStore(tmp_path / "new").write("a", "v", rows),
        ):
            with pytest.raises(UserError, match=r"Permission denied.*--home or TAGS_HOME") as caught:
                attempt()
            assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path):
    # A limit on the size of files is the full disk that any machine can have.
    script = """
import resource, sys
import polars as pl
from tags_assets.errors import UserError
from tags_assets.store.artifacts import ArtifactStore
store = ArtifactStore(sys.argv[1])
frame = pl.DataFrame({"x": [str(i) * 50 for i in range(100_000)]})
store.write("a", "small", frame.head(10))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    store.write("a", "large", frame)
except UserError as error:
    print(error)  # noqa: T201
print(store.find("a", "large"), store.current("a"), store.read("a").height)
print(list(store.layout.scratch.iterdir()))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "home"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    error, state, scratch = ran.stdout.splitlines()
    assert "the disk is full" in error
    assert "Free some space" in error
    assert state == "None a small 10"
    assert scratch == "[]"


def test_too_little_memory_is_one_line(tmp_path):
    store = ArtifactStore(tmp_path / "home", memory_limit="3MB")
    with pytest.raises(UserError, match=r"not enough memory: .*Raise the store's memory_limit"):
        store.write("a", "v", pl.DataFrame({"x": [str(i) * 20 for i in range(300_000)]}))


class as_a_stranger:  # noqa: N801 - reads as what it does
    """Give up the rights of root, whom no permission stops."""

    def __enter__(self):
        if os.geteuid() == 0:
            os.seteuid(65534)

    def __exit__(self, *_):
        if os.getuid() == 0:
            os.seteuid(0)
