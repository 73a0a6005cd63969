"""Sentences say what the figures mean."""

from __future__ import annotations

import math

import pytest

from tags_assets.method.selection.against_random import farther_than_random
from tags_assets.report import sentences as words


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (19636, "19,636"),
        (0.4123, "0.41"),
        (1234.5, "1,234"),
        (0.00001, "1.0e-05"),
        (None, "–"),  # noqa: RUF001
        (math.nan, "–"),  # noqa: RUF001
        (True, "yes"),
        ("5% of the rows", "5% of the rows"),
    ],
)
def test_numbers_read_as_a_person_writes_them(value, said):
    assert words.number(value) == said


@pytest.mark.parametrize(
    ("mass", "said"),
    [(31, "31 rows"), (1, "1 row"), (0.42, "0.4 rows"), (0, "0 rows"), (0.01, "under 0.1 rows")],
)
def test_mass_is_told_in_rows(mass, said):
    assert words.rows(mass) == said


def test_shortage_says_what_to_go_and_get():
    assert words.shortage("“X”", 400, 31, 30) == (
        "The pool has 31 rows on “X”, the target needs 400 rows: 369 rows missing. The selection has 30 rows."
    )


def test_certificate_says_what_it_proves_and_what_it_does_not():
    said = words.certificate({"certificate": 0.9963})
    assert "more than 0.37% above this one" in said
    assert "not the objective" in said
    assert "loose for small budgets" in words.certificate({"certificate": 0.6})
    assert "optimal" in words.certificate({"certificate": 1.0})
    assert "No certificate" in words.certificate({})


def test_closeness_is_told_against_random_and_against_the_floor():
    said = " ".join(words.closeness({"kl": 0.4, "kl_floor": 0.2, "kl_pool": 2.2}, "maths"))
    assert "pool as a whole is 2.20 nats from" in said
    assert "closer than 0.20" in said
    assert "at least 90% of the gap" in said


def test_a_selection_farther_than_random_is_not_praised():
    said = " ".join(words.closeness({"kl": 2.4, "kl_floor": 0.2, "kl_pool": 2.2}, "maths"))
    assert "of the gap" not in said
    assert "between selections of one size" in said


def test_a_selection_farther_than_random_rows_says_what_the_figures_show():
    farther = {"kl": 0.4, "kl_random": 0.3, "kl_random_limit": 0.35, "kl_pool": 2.2, "alignment": 0.75}

    def said(**figures):
        return " ".join(words.closeness({**farther, "asked_share_pool": 0.1, **figures}, "maths"))

    less = said(asked_share=0.05, asked_share_target=0.9)
    assert (
        "5.0% of the selection is on concepts that the target emphasises, against 10.0% of the pool" in less
    )
    assert "larger breadth" not in less
    assert "90.0% of the target" in said(asked_share=0.5, asked_share_target=0.9)
    assert "larger breadth" in said(asked_share=0.95, asked_share_target=0.9)
    assert "ignores the target" in said(alignment=0.0, asked_share=0.05, asked_share_target=0.9)
    assert "does not match" in said()
    of_pool = words.closeness({**farther, "kl_pool": 0.0}, "pool")
    assert "larger alignment" in " ".join(of_pool)
    assert not farther_than_random({**farther, "kl": 0.34})
    assert not farther_than_random({**farther, "kl_pool": 0.0})


def test_a_bound_of_nothing_is_not_told():
    assert "closer than" not in " ".join(
        words.closeness({"kl": 0.4, "kl_floor": 0.0, "kl_pool": 2.2}, "maths")
    )


def test_absent_figures_say_nothing():
    assert words.closeness({}, "maths") == []
    assert words.intake({}) is None
    assert words.headline({}, "maths") == "A selection, chosen for “maths”."
