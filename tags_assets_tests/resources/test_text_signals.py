"""Text signals by content: what was kept equals what is found anew, and new rules find anew."""

from __future__ import annotations

import hashlib

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tags_assets.method.scoring.text_signals import SIGNALS, TEXT_SIGNALS_VERSION, text_signals
from tags_assets.resources import text_signals as module
from tags_assets.resources.text_signals import CachedTextSignals

RULES = {"text-signals-1": "9f7e8b434a75a0f0", "text-signals-2": "9f7e8b434a75a0f0"}
"""What the rules of each version say of `ROWS`."""

ROWS = pl.DataFrame(
    {
        "instance_id": [str(i) for i in range(8)],
        "prompt": [
            "Name a river in Europe.",
            "",
            None,
            "Why is the sky blue?",
            "Say it in German: good morning",
            "Tell me about bees.",
            "Write a list of fruits.",
            "Name a river in Europe.",
        ],
        "response": [
            "The Danube flows through ten countries.",
            "",
            "n/a",
            "I'm sorry, but I cannot help with that.",
            "Guten Morgen.",
            "Bees are insects that " * 30,
            "Apples, pears, and",
            "The Danube flows through ten countries.",
        ],
    }
)


@pytest.fixture
def cached(tmp_path):
    return CachedTextSignals(tmp_path)


def test_what_was_kept_equals_what_is_found_anew_whatever_is_asked_together(cached):
    expected = text_signals(ROWS)
    assert_frame_equal(cached(ROWS[2:5]), expected[2:5], check_exact=True)
    assert_frame_equal(cached(ROWS), expected, check_exact=True)
    assert_frame_equal(cached(ROWS[::-1]), expected[::-1], check_exact=True)
    assert_frame_equal(cached(ROWS[:0]), expected[:0], check_exact=True)


def test_known_rows_are_not_looked_at_again(cached, monkeypatch):
    looked = []
    monkeypatch.setattr(module, "text_signals", lambda rows: looked.append(len(rows)) or text_signals(rows))
    cached(ROWS[:4])
    cached(ROWS)
    assert looked == [4, 3], "the last row is the first one's text"


def test_other_rules_find_anew(cached, monkeypatch):
    cached(ROWS)
    monkeypatch.setattr(module, "TEXT_SIGNALS_VERSION", "other rules")
    monkeypatch.setattr(
        module, "text_signals", lambda rows: text_signals(rows).with_columns(empty=pl.lit(0.5))
    )
    assert set(cached(ROWS)["empty"]) == {0.5}


def test_rules_that_changed_have_a_version_of_their_own():
    values = text_signals(ROWS).select(pl.col(SIGNALS).round(6)).write_csv()
    digest = hashlib.sha256(values.encode()).hexdigest()[:16]
    assert RULES.get(TEXT_SIGNALS_VERSION) == digest, "raise TEXT_SIGNALS_VERSION, then write its digest here"
