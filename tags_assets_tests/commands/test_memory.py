from __future__ import annotations

import pytest

from tags_assets.commands import memory
from tags_assets.commands.memory import check_memory, control_group_memory
from tags_assets.errors import UserError, out_of_memory, tells_of_no_memory


@pytest.fixture
def unlimited(monkeypatch):
    monkeypatch.setattr(memory, "address_space", lambda: None)
    monkeypatch.setattr(memory, "control_group_memory", lambda: None)


def group(folder, path, file, limit):
    (folder / path).mkdir(parents=True, exist_ok=True)
    (folder / path / file).write_text(f"{limit}\n")


def own(folder, *lines):
    file = folder / "own"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def test_the_smallest_limit_of_a_group_and_those_above_it_counts(tmp_path):
    group(tmp_path, "user/app", "memory.max", "max")
    group(tmp_path, "user", "memory.max", 300_000_000)
    group(tmp_path, ".", "memory.max", 900_000_000)
    assert control_group_memory(tmp_path, own(tmp_path, "0::/user/app")) == 300_000_000


def test_groups_of_the_first_version_are_read_as_well(tmp_path):
    group(tmp_path, "memory/box", "memory.limit_in_bytes", 500_000_000)
    found = own(tmp_path, "5:cpu,cpuacct:/box", "4:memory:/box", "0::/")
    assert control_group_memory(tmp_path, found) == 500_000_000


def test_in_a_container_that_hides_its_path_the_limit_at_the_root_counts(tmp_path):
    group(tmp_path, ".", "memory.max", 700_000_000)
    assert control_group_memory(tmp_path, own(tmp_path, "0::/machine/8f3a")) == 700_000_000


def test_without_groups_or_limits_there_is_none(tmp_path):
    assert control_group_memory(tmp_path, tmp_path / "absent") is None
    group(tmp_path, "app", "memory.max", "max")
    assert control_group_memory(tmp_path, own(tmp_path, "0::/app")) is None


@pytest.mark.usefixtures("unlimited")
def test_a_run_may_begin_where_nothing_limits_it():
    check_memory()


@pytest.mark.usefixtures("unlimited")
@pytest.mark.parametrize(
    ("limit", "said"),
    [("address_space", "1,600 MB of address space"), ("control_group_memory", "1,600 MB")],
)
def test_a_limit_below_the_need_is_said_with_both_numbers(monkeypatch, limit, said):
    monkeypatch.setattr(memory, limit, lambda: 1_600_000_000)
    monkeypatch.setattr(memory, "MEMORY", 2_000_000_000)
    with pytest.raises(UserError, match=f"may have {said}.* takes [24],[07]00 MB.* Raise the limit"):
        check_memory()


def test_what_libraries_say_of_memory_is_understood():
    assert tells_of_no_memory("ComputeError", "pyarrow.lib.ArrowMemoryError: malloc of size 1024 failed")
    assert tells_of_no_memory("MemoryError", "")
    assert not tells_of_no_memory("ComputeError", "not found")
    assert "needs more memory" in str(out_of_memory("a run"))
