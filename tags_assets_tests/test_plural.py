from __future__ import annotations

import pytest

from tags_assets.plural import counted


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (counted(0, "row"), "0 rows"),
        (counted(1, "row"), "1 row"),
        (counted(1_234, "damaged entry"), "1,234 damaged entries"),
        (counted(2, "key"), "2 keys"),
        (counted(2, "match"), "2 matches"),
        (counted(3, "person", "people"), "3 people"),
    ],
)
def test_a_count_is_said_as_people_say_it(said, expected):
    assert said == expected
