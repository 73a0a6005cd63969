from __future__ import annotations

import json
import os
import socket

import pytest

from tags_assets.errors import UserError
from tags_assets.formats.folders import (
    CACHE,
    EXPORTS_FILE,
    HIDDEN,
    LEADS_OUT,
    NO_DATA,
    NOT_LISTED,
    OTHER_NAME,
    OUR_HOME,
    OUR_OUTPUT,
    data_below,
)
from tags_assets.formats.pool import expand_pool, fingerprint_files
from tags_assets.formats.pool_files import find_pool

ROW = b'{"instruction": "Add 1 and 2.", "output": "3"}\n'


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "secret.jsonl"
    file.write_bytes(ROW)
    return file


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "downloaded"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(ROW)
    return folder


def names(folder, found):
    return [str(file.relative_to(folder)) for file in found.files]


def reasons(folder, found):
    return {str(each.path.relative_to(folder)): each.reason for each in found.unread}


def write_list(folder, kind, name):
    if kind == "state":
        (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    else:
        (folder / "dataset_dict.json").write_text(json.dumps({"splits": [name]}))


@pytest.mark.parametrize("kind", ["state", "dict"])
@pytest.mark.parametrize(
    "name",
    ["../secret.jsonl", "/dev/zero", "a/../../secret.jsonl", "out.jsonl", ".", "", "..", "x\x00y", 7, None],
)
def test_a_data_sets_list_names_nothing_outside_of_it(folder, secret, kind, name):
    (folder / "out.jsonl").symlink_to(secret)
    write_list(folder, kind, name)
    with pytest.raises(UserError, match=r"outside of the data set's folder|no name of a file") as error:
        data_below(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", ["[" * 100_000, "{}", "[1]", '{"_data_files": 5}', '{"_data_files": [5]}', "\xff"]
)
def test_a_data_sets_list_that_is_none_is_one_line(folder, content):
    (folder / "state.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match="does not list the data set's _data_files"):
        data_below(folder)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_a_list_names_and_is_no_file_is_refused(folder, make):
    (folder / "sub").mkdir()
    make(folder / "sub" / "x.arrow")
    write_list(folder, "state", "sub/x.arrow")
    with pytest.raises(UserError, match=r"is neither a file nor a folder|outside of the data set's folder"):
        data_below(folder)


def test_a_special_file_is_neither_waited_for_nor_hashed_without_end(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name in ("pipe", "socket"):
            with pytest.raises(UserError, match=r"is neither a file nor a folder|cannot be read"):
                fingerprint_files([tmp_path / name], tmp_path / "cache")


def test_links_are_followed_inside_of_the_folder_only(folder, secret):
    (folder / "inside.jsonl").symlink_to(folder / "a.jsonl")
    (folder / "outside.jsonl").symlink_to(secret)
    (folder / "up").symlink_to(folder.parent)
    found = data_below(folder)
    assert names(folder, found) == ["a.jsonl", "inside.jsonl"]
    assert reasons(folder, found) == {"outside.jsonl": LEADS_OUT, "up": LEADS_OUT}
    # A link that the user names, or that a pattern of the user's matches, may lead anywhere.
    assert expand_pool([folder / "outside.jsonl"]) == [folder / "outside.jsonl"]
    assert len(expand_pool([f"{folder}/*.jsonl"])) == 2


def test_a_snapshot_of_hugging_faces_cache_is_read(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "1f").write_bytes(ROW)
    snapshot = tmp_path / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / "train.jsonl").symlink_to("../../blobs/1f")
    assert names(snapshot, data_below(snapshot)) == ["train.jsonl"]


def test_folders_that_link_to_each_other_end(folder):
    for place in (folder, folder / "sub"):
        place.mkdir(exist_ok=True)
        for name in "xyz":
            (place / name).symlink_to(folder)
            (place / f"{name}{name}").symlink_to(folder / "sub")
    assert names(folder, data_below(folder)) == ["a.jsonl"]


def test_folders_may_be_nested_deeply(folder):
    places = [folder / "d"]
    for _ in range(1200):
        places[-1].mkdir()
        places.append(places[-1] / "d")
    deepest = places[-2] / "b.jsonl"
    deepest.write_bytes(ROW)
    assert data_below(folder).files == [folder / "a.jsonl", deepest]
    deepest.unlink()
    for place in reversed(places[:-1]):  # pytest's own removal is recursive
        place.rmdir()


def test_every_file_is_read_or_named_with_a_reason(folder):
    (folder / ".git").mkdir()
    (folder / "notes.txt").write_text("")
    (folder / "dataset_info.json").write_text("{}")
    found = data_below(folder)
    assert names(folder, found) == ["a.jsonl"]
    assert reasons(folder, found) == {".git": HIDDEN, "notes.txt": OTHER_NAME, "dataset_info.json": NO_DATA}


def test_files_beside_those_that_a_data_set_lists_are_named(folder):
    (folder / "cache-1.arrow").write_bytes(b"")
    write_list(folder, "state", "a.jsonl")
    found = data_below(folder)
    assert names(folder, found) == ["a.jsonl"]
    assert reasons(folder, found) == {"cache-1.arrow": NOT_LISTED, "state.json": NO_DATA}


def test_a_folder_that_may_not_be_opened_is_named(folder, monkeypatch):
    closed = folder / "closed"
    closed.mkdir()
    scandir = os.scandir

    def refuse(path):  # as root, who runs this in CI, may open any folder
        if os.fspath(path) == str(closed):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = data_below(folder)
    assert names(folder, found) == ["a.jsonl"]
    assert reasons(folder, found) == {"closed": "cannot be opened: Permission denied"}


def test_what_we_wrote_is_not_read_again(folder):
    out = folder / "out" / "python"
    out.mkdir(parents=True)
    for name in ("subset.jsonl", "selection.parquet", "report.html", "mine.jsonl"):
        (out / name).write_bytes(ROW)
    (out / "manifest.json").write_text(
        json.dumps({"tags_assets": "1", "target": "python", "rows_selected": 5})
    )
    exports = folder / "exports"
    (exports / "trl").mkdir(parents=True)
    (exports / "trl" / "python.jsonl").write_bytes(ROW)
    (exports / EXPORTS_FILE).write_text(json.dumps({"tags_assets": "1", "files": ["trl/python.jsonl"]}))
    home = folder / "home"
    for name in ("cache", "dagster", "landing", "pools"):
        (home / name).mkdir(parents=True)
    (home / "landing" / "x.jsonl").write_bytes(ROW)
    found = data_below(folder)
    assert names(folder, found) == ["a.jsonl", "out/python/mine.jsonl"]
    ours = {name for name, reason in reasons(folder, found).items() if reason in (OUR_OUTPUT, OUR_HOME)}
    assert ours == {
        "exports/exports.json",
        "exports/trl/python.jsonl",
        "home",
        "out/python/manifest.json",
        "out/python/report.html",
        "out/python/selection.parquet",
        "out/python/subset.jsonl",
    }
    # The landing folder of a home is what it is for, and a file that the user names is read.
    assert names(home, data_below(home / "landing")) == ["landing/x.jsonl"]
    assert expand_pool([out / "subset.jsonl"])
    with pytest.raises(UserError, match=r"no data in this folder .1 x a home of tags-assets"):
        expand_pool([home])


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"tags_assets": 1, "files": 5}', '{"tags_assets": 1, "files": [5]}']
)
def test_a_manifest_of_somebody_elses_hides_nothing(folder, content):
    for name in ("manifest.json", "exports.json"):
        (folder / name).write_text(content)
    (folder / "subset.jsonl").write_bytes(ROW)
    assert {"a.jsonl", "subset.jsonl"} <= set(names(folder, data_below(folder)))


def test_a_file_that_is_also_named_is_not_told_as_unread(folder):
    (folder / ".b.jsonl").write_bytes(ROW)
    found = find_pool([folder, folder / ".b.jsonl"])
    assert len(found.files) == 2
    assert found.unread == []


def test_caches_of_datasets_are_no_data_beside_what_describes_it(folder):
    (folder / "cache-0a1b.arrow").write_bytes(b"x")
    assert names(folder, data_below(folder)) == ["a.jsonl", "cache-0a1b.arrow"]
    (folder / "dataset_info.json").write_text("{}")
    found = data_below(folder)
    assert names(folder, found) == ["a.jsonl"]
    assert reasons(folder, found)["cache-0a1b.arrow"] == CACHE


def test_a_data_set_that_is_a_selection_of_its_rows_is_refused(folder):
    listed = {"_data_files": [{"filename": "a.jsonl"}], "_indices_data_files": [{"filename": "i.arrow"}]}
    (folder / "state.json").write_text(json.dumps(listed))
    with pytest.raises(UserError, match="flatten_indices"):
        data_below(folder)


@pytest.mark.parametrize("name", ["b.jl", "b.jsonlines", "b.jsonl.xz", "b.json.lz4", "b.jsonl.zip"])
def test_other_names_of_data_are_data(folder, name):
    (folder / name).write_bytes(ROW)
    assert name in names(folder, data_below(folder))


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 3000 + "b", "\ud800", "ok" + "9" * 6000])
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("state.json", lambda n: {"_data_files": [{"filename": n}]}),
        ("dataset_dict.json", lambda n: {"splits": [n]}),
    ],
    ids=["state", "dict"],
)
def test_a_name_that_no_file_may_have_is_one_line(tmp_path, file, content, name):
    (tmp_path / file).write_text(json.dumps(content(name)))
    with pytest.raises(UserError) as error:
        expand_pool([tmp_path])
    assert len(str(error.value)) < 4000
    with pytest.raises(UserError):
        expand_pool([name])
    with pytest.raises(UserError):
        expand_pool(["~nobody-of-this-name/x.jsonl"])
