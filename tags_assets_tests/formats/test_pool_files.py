from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tags_assets.errors import UserError
from tags_assets.formats import pool_files
from tags_assets.formats.folders import LEADS_OUT
from tags_assets.formats.pool_files import expand_pool, find_pool, fingerprint_files, names_of, source_of


@pytest.fixture
def folder(tmp_path):
    for name in (
        "b.jsonl",
        "a.jsonl.gz",
        "sub/c.parquet",
        "sub/D.JSON",
        ".hidden.jsonl",
        "readme.md",
        "state.txt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"{}")
    (tmp_path / "dataset_info.json").write_text("{}")  # LLaMA-Factory's list of its data sets
    return tmp_path


def relative(folder, files):
    return [str(file.relative_to(folder)) for file in files]


def test_a_folder_stands_for_the_data_below_it(folder):
    assert relative(folder, expand_pool([folder])) == ["a.jsonl.gz", "b.jsonl", "sub/D.JSON", "sub/c.parquet"]


def test_globs_are_sorted_and_files_named_once(folder):
    given = [folder / "b.jsonl", f"{folder}/**/*.json*", str(folder / "sub"), f"{folder}/s?b"]
    assert relative(folder, expand_pool(given)) == [
        "b.jsonl",
        "a.jsonl.gz",
        "dataset_info.json",
        "sub/D.JSON",
        "sub/c.parquet",
    ]


def test_a_recursive_glob_does_not_follow_links_out_of_its_folder(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "secret.jsonl").write_bytes(b"{}")
    (folder / "out").symlink_to(elsewhere)
    (folder / "out.jsonl").symlink_to(elsewhere / "secret.jsonl")
    (folder / "loop1").symlink_to(folder)
    (folder / "loop2").symlink_to(folder)  # two of them are 2^40 paths
    (folder / ".hidden").mkdir(exist_ok=True)
    (folder / ".hidden" / "h.jsonl").write_bytes(b"{}")
    found = find_pool([f"{folder}/**/*.jsonl"])
    assert relative(folder, found.files) == ["b.jsonl"]
    assert [(each.path.name, each.reason) for each in found.unread] == [("out.jsonl", LEADS_OUT)]
    # What the user names without ``**`` may be a link.
    assert relative(folder, expand_pool([f"{folder}/o*.jsonl"])) == ["out.jsonl"]
    assert relative(folder, expand_pool([f"{folder}/.hid*/**/*.jsonl"])) == [".hidden/h.jsonl"]
    assert relative(folder, expand_pool([f"{folder}/**"])) == relative(folder, expand_pool([folder]))


def test_relative_paths_become_absolute(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert expand_pool(["b.jsonl", "./sub/../b.jsonl"]) == [folder / "b.jsonl"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    (tmp_path / "x[1].jsonl").write_bytes(b"{}")
    (tmp_path / "a::b.jsonl").write_bytes(b"{}")
    assert len(expand_pool([tmp_path / "x[1].jsonl", tmp_path / "a::b.jsonl"])) == 2


def test_a_link_to_a_folder_around_it_ends(folder):
    (folder / "sub" / "loop").symlink_to(folder)
    assert len(expand_pool([folder])) == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("b.json", "there is no file named 'b.json'. Did you mean 'b.jsonl'"),
        ("*.csv", "no file matches"),
        ("nowhere/x.jsonl", "there is no such file or folder"),
        ("empty", "no data in this folder. Data is what is named .jsonl"),
        ("my.duckdb::rows", "there is no file named 'my.duckdb'"),
        ("pipe", "is neither a file nor a folder"),
    ],
)
def test_a_path_that_stands_for_nothing_is_one_line(folder, given, message):
    (folder / "empty").mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(UserError) as error:
        expand_pool([folder / given])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("given", ["", "*"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (os.mkfifo, "x.jsonl: is neither a file nor a folder"),
        (lambda path: path.symlink_to(path), "x.jsonl: is a link that leads nowhere. Fix or remove it"),
        (lambda path: path.symlink_to("/nowhere"), "x.jsonl: is a link that leads nowhere"),
    ],
)
def test_what_can_never_be_read_is_named_and_not_waited_for(folder, given, make, message):
    make(folder / "x.jsonl")
    with pytest.raises(UserError, match=message):
        expand_pool([folder / given])


def test_names_are_as_short_as_tells_them_apart():
    files = [Path("/data/a/x.jsonl"), Path("/data/b/x.jsonl"), Path("/data/b/y.jsonl"), Path("/x.jsonl")]
    assert names_of(files) == ["a/x.jsonl", "b/x.jsonl", "y.jsonl", "//x.jsonl"]
    assert names_of([Path("/moved/a/x.jsonl")]) == ["x.jsonl"]


def test_a_name_that_is_no_text_can_be_shown():
    assert names_of([Path(os.fsdecode(b"/data/caf\xe9.jsonl"))]) == ["caf\ufffd.jsonl"]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("pool_mixed.jsonl.gz", "pool_mixed"),
        ("v1.5.json", "v1.5"),
        ("train-00000-of-00012.parquet", "train"),
        ("noname", "noname"),
        (".jsonl", ".jsonl"),
        ("my.duckdb::rows", "rows"),
        ("my.duckdb::select 1%2F2", "my"),
    ],
)
def test_the_source_is_the_stem_of_the_file(name, source):
    assert source_of(Path("/data") / name) == source


def test_fingerprints_are_of_content_and_read_it_once(tmp_path, monkeypatch):
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_bytes(b"{}\n")
    two.write_bytes(b"{}\n")
    with monkeypatch.context() as patch:
        patch.setattr(pool_files, "_SETTLED_NS", -1)  # as if it had been written a while ago
        fingerprint_files([one], tmp_path / "cache")
    first = fingerprint_files([one, two], tmp_path / "cache")
    assert first[str(one)] == first[str(two)]

    reads = []
    digest = pool_files.file_digest
    monkeypatch.setattr(
        pool_files, "file_digest", lambda file, how: reads.append(file.name) or digest(file, how)
    )
    assert fingerprint_files([one, two], tmp_path / "cache") == first
    # What was written a moment ago may be written again without a trace in its time stamp.
    assert reads == [str(two)]

    two.write_bytes(b"[]\n")
    assert fingerprint_files([one, two], tmp_path / "cache")[str(two)] != first[str(two)]


def test_other_content_under_the_same_size_and_time_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(pool_files, "_SETTLED_NS", -1)
    file = tmp_path / "x.jsonl"
    file.write_bytes(b"{}\n")
    before, times = (
        fingerprint_files([file], tmp_path / "cache"),
        (file.stat().st_atime_ns, file.stat().st_mtime_ns),
    )
    file.write_bytes(b"[]\n")
    os.utime(file, ns=times)
    assert fingerprint_files([file], tmp_path / "cache") != before
    other = tmp_path / "y.jsonl"
    other.write_bytes(b"[]\n")
    os.utime(other, ns=times)
    seen = fingerprint_files([file], tmp_path / "cache")
    other.write_bytes(b"{}\n")
    os.utime(other, ns=times)
    other.replace(file)
    assert fingerprint_files([file], tmp_path / "cache") != seen


def test_a_file_whose_name_is_no_text_is_read(tmp_path, read):
    (tmp_path / os.fsdecode(b"caf\xe9.jsonl")).write_bytes(b'{"instruction": "q", "output": "a"}\n')
    found = read(tmp_path)
    assert found.counts["file"].to_list() == ["caf\ufffd.jsonl"]
    assert found.rows_kept == 1


def test_a_spoilt_memory_of_fingerprints_is_forgotten(tmp_path):
    (tmp_path / "fingerprints.json").write_text("{broken")
    (tmp_path / "x.jsonl").write_bytes(b"{}")
    assert fingerprint_files([tmp_path / "x.jsonl"], tmp_path)


def test_a_flipped_bit_in_the_memory_of_fingerprints_is_seen(tmp_path):
    file, memory = tmp_path / "x.jsonl", tmp_path / "fingerprints.json"
    file.write_bytes(b"{}")
    seen = fingerprint_files([file], tmp_path)
    time.sleep(2.1)  # so that it is remembered
    assert fingerprint_files([file], tmp_path) == seen
    wrong = seen[str(file)].translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))
    memory.write_text(memory.read_text().replace(seen[str(file)], wrong))
    assert fingerprint_files([file], tmp_path) == seen


def test_a_file_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        fingerprint_files([tmp_path / "gone.jsonl"], tmp_path)
