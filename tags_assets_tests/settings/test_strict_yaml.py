"""What a YAML file may be: nothing in it costs more than a person could have meant."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from tags_assets.errors import UserError
from tags_assets.settings.strict_yaml import MAX_BYTES, read_yaml


@pytest.fixture
def read(tmp_path):
    def read(text):
        (tmp_path / "x.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_yaml(tmp_path / "x.yaml").document

    return read


def laughs(levels):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for above, name in zip("abcdefgh"[: levels - 1], "bcdefghi", strict=False):
        lines.append(f"{name}: &{name} [{', '.join([f'*{above}'] * 9)}]")
    return "\n".join(lines)


def test_aliases_that_stand_for_more_than_a_file_may_hold_are_one_line(read):
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="its aliases stand for more than 1 MB"):
            read(laughs(8))
        assert tracemalloc.get_traced_memory()[1] < 20 * MAX_BYTES
    finally:
        tracemalloc.stop()
    assert len(read(laughs(2))["b"]) == 9


@pytest.mark.parametrize("text", ["a: " + "[" * 20_000, "a: " + "{b: " * 20_000, "- " * 20_000, "? " * 5_000])
def test_what_nests_too_deeply_is_one_line(read, text):
    with pytest.raises(UserError, match=r"x.yaml:1: is not valid YAML: more than 32 lists and mappings"):
        read(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [*x]", "an alias stands for what it is part of"),
        ("a: !!python/object/apply:os.system [x]", "the tag .* is not allowed"),
        ("a: !!binary x", "is not allowed"),
        ("a: !mine x", "is not allowed"),
        ("a: " + "9" * 5_000, "has a number that is too long"),
        ("a: b" + " " * MAX_BYTES, "is larger than 1 MB"),
        (b"a: b\nc: \xff", r"x.yaml:2: is not UTF-8"),
        ("a: 1\n---\nb: 2", "is not valid YAML"),
        ("a: *nothing", "is not valid YAML: found undefined alias"),
        ("a: \x00", r"U\+0000"),
        ("1", "is not a mapping"),
        ("", "is empty"),
    ],
)
def test_what_is_not_a_plain_mapping_is_one_line(read, text, said):
    with pytest.raises(UserError, match=said) as caught:
        read(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_plain_words_are_read_as_yaml_1_2_reads_them(read):
    assert read(
        "a: no\nb: off\nc: true\nd: 1_000\ne: 1e3\nf: 010\ng: 1:30\nh: 2024-01-01\ni: .5\nj: -2\nk: 1.5e-3"
    ) == {
        "a": "no",
        "b": "off",
        "c": True,
        "d": 1000,
        "e": 1000.0,
        "f": "010",
        "g": "1:30",
        "h": "2024-01-01",
        "i": 0.5,
        "j": -2,
        "k": 0.0015,
    }


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("pipe.yaml", "folder.yaml"):
        with pytest.raises(UserError, match="is not a file"):
            read_yaml(tmp_path / name)
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="is not a file"):
        read_yaml(tmp_path / "zero.yaml")
