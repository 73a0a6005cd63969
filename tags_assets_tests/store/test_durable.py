from __future__ import annotations

import errno
import os
import time

import pytest

from tags_assets.errors import UserError
from tags_assets.store.durable import (
    abandoned,
    collect_abandoned,
    collect_spill,
    disk_errors,
    open_to_group,
    scratch_file,
    write_whole,
    written_whole,
)
from tags_assets.store.lock import locked, try_lock, unlock
from tags_assets_tests.store.test_several_processes import CONTEXT, start


def hold(folder, ready):
    with scratch_file(folder, ".duckdb") as path:
        path.write_bytes(b"half")
        path.with_name(f"{path.name}.wal").write_bytes(b"log")
        with locked(folder.parent / "lock"):
            ready.set()
            time.sleep(60)


def test_a_scratch_file_is_nobodys_garbage_until_its_writer_is_killed(tmp_path):
    folder = tmp_path / "scratch"
    ready = CONTEXT.Event()
    process = start(hold, folder, ready)
    assert ready.wait(60)
    assert abandoned(folder) == []
    assert collect_abandoned(folder) == 0
    assert len(list(folder.iterdir())) == 3
    assert try_lock(tmp_path / "lock") is None
    with (
        pytest.raises(UserError, match=r"another process held this lock.*fuser"),
        locked(tmp_path / "lock", timeout=0.1),
    ):
        pass
    process.kill()
    process.join()
    assert len(abandoned(folder)) == 3
    assert collect_abandoned(folder) == 7
    assert list(folder.iterdir()) == []
    unlock(try_lock(tmp_path / "lock"))


def test_a_collector_that_died_half_way_leaves_work_for_the_next(tmp_path):
    (tmp_path / "123-0123456789ab.duckdb").write_bytes(b"half")  # its lock is gone already
    assert len(abandoned(tmp_path)) == 1
    collect_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_that_is_missing_is_empty(tmp_path):
    assert abandoned(tmp_path / "none") == []
    assert collect_abandoned(tmp_path / "none") == 0


def test_threads_exclude_each_other_too(tmp_path):
    with locked(tmp_path / "lock"):
        assert try_lock(tmp_path / "lock") is None
    unlock(try_lock(tmp_path / "lock"))


def test_a_forked_child_does_not_keep_a_lock_that_was_given_back(tmp_path):
    held = try_lock(tmp_path / "lock")
    child = os.fork()
    if child == 0:
        time.sleep(20)
        os._exit(0)
    unlock(held)
    again = try_lock(tmp_path / "lock")
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert again is not None
    unlock(again)


def test_nothing_but_scratch_files_is_collected(tmp_path):
    mine = tmp_path / "notes.txt"
    mine.write_text("mine")
    (tmp_path / "123-abc").mkdir()
    assert abandoned(tmp_path) == []
    collect_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["123-abc", "notes.txt"]


def test_a_small_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "new" / "pointer"
    for content in (b"one", b"", "three ü"):
        write_whole(path, content)
        assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert [file.name for file in path.parent.iterdir()] == ["pointer"]


def test_a_file_that_fails_leaves_the_old_content_and_nothing_beside(tmp_path):
    path = tmp_path / "pointer"
    write_whole(path, "old")

    def fail():
        with written_whole(path) as beside:
            beside.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["pointer"]


def test_a_link_in_the_way_of_a_file_is_replaced_and_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("theirs")
    names = set()
    for _ in range(3):
        (tmp_path / "report.html").unlink(missing_ok=True)
        (tmp_path / "report.html").symlink_to(secret)
        with written_whole(tmp_path / "report.html") as beside:
            names.add(beside.name)
            beside.write_text("ours")
    assert secret.read_text() == "theirs"
    assert (tmp_path / "report.html").read_text() == "ours"
    assert len(names) == 3  # none can be foreseen
    assert not any(str(os.getpid()) == name.rpartition(".")[2] for name in names)


def test_what_stands_in_the_way_of_a_file_is_one_line(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "folder", tmp_path / "file" / "report.html"):
        with pytest.raises(UserError, match="cannot be written"):
            write_whole(path, "x")


@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o2770, 0o660), (0o755, 0o600)])
def test_a_file_is_as_open_to_the_group_as_its_home(tmp_path, folder_mode, file_mode):
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(folder_mode)
    before = os.umask(0o077)
    try:
        open_to_group(tmp_path / "home")
        write_whole(tmp_path / "home" / "file", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "home" / "file").stat().st_mode & 0o777 == file_mode


def test_only_old_spill_is_collected(tmp_path):
    old, young = ".spill-1-0123456789ab", ".spill-2-0123456789ab"
    for name in (old, young, "other", ".spill-of-mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").write_bytes(b"x")
        if name != young:
            os.utime(tmp_path / name, (0, 0))
    collect_spill(tmp_path / ".spill-")
    assert sorted(path.name for path in tmp_path.iterdir()) == [young, ".spill-of-mine", "other"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full.*Free some space"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "Read-only file system.*--home or TAGS_HOME"),
        (errno.EACCES, "Permission denied.*--home or TAGS_HOME"),
    ],
)
def test_what_the_disk_refuses_is_one_line(tmp_path, number, message):
    with pytest.raises(UserError, match=message) as caught, disk_errors(tmp_path / "new"):
        raise OSError(number, os.strerror(number), "x")
    assert str(tmp_path / "new") in str(caught.value)


def test_other_errors_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), disk_errors(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "x")
