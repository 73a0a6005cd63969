"""The comparison of shown output with what came finds what is wrong, and allows what may differ."""

from __future__ import annotations

import pytest

from tags_assets_tests.docs.shown import missing

CAME = """\
asset           seconds  peak MB
raw_instances   ran      9.9      700
a node  27.4%, 40973d5ef635
48 rows selected; KL 0.131, certificate 0.9980
a long line that goes on and on
│ rank ┆ id   │
"""


@pytest.mark.parametrize(
    "shown",
    [
        "raw_instances  ran  5.5  613",
        "a node  27.9%, 0b5379a0d9b8",
        "48 rows selected; KL 0.129, certificate 0.9981     # a remark",
        "...\na long line that ...\n...",
        "│ rank ┆ id │",
    ],
)
def test_what_may_differ_is_allowed(shown):
    assert missing(shown, CAME) == []


@pytest.mark.parametrize(
    "shown",
    [
        "48 rows selected; KL 0.231, certificate 0.9980",
        "84 rows selected; KL 0.131, certificate 0.9980",
        "another line",
        "a long line that stops",
        "48 rows selected; KL 0.131, certificate 0.9980\nasset  seconds  peak MB",  # the other way round
    ],
)
def test_what_did_not_come_is_found(shown):
    assert len(missing(shown, CAME)) == 1
