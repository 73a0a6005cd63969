from __future__ import annotations

import pytest

from tags_assets.text import clipped, counted, listed


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (counted(0, "row"), "0 rows"),
        (counted(1, "row"), "1 row"),
        (counted(1_234, "damaged entry"), "1,234 damaged entries"),
        (counted(2, "key"), "2 keys"),
        (counted(2, "match"), "2 matches"),
        (counted(3, "person", "people"), "3 people"),
    ],
)
def test_a_count_has_the_right_noun(count, expected):
    assert count == expected


def test_a_clipped_text_is_never_longer_than_its_limit():
    assert clipped("abcdef", 6) == "abcdef"
    assert clipped("abcdefg", 6) == "abcde…"
    assert clipped("abcdefg", 6, "...") == "abc..."


def test_a_list_counts_what_it_does_not_name():
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert listed([str(i) for i in range(2_000)], 1, between="; ") == "0 and 1,999 more"
