from __future__ import annotations

import pytest

import tags_assets
from tags_assets.errors import InvalidInputError, NotFoundError, UserError, printable

STEERING = ["\x1b[31m", "\x07", "\x9b2J", "\r", "\x00", "\u202e", "\u2066", "\u2028", "\udc80", "\U000e0041"]


@pytest.mark.parametrize("mark", STEERING, ids=ascii)
def test_what_steers_a_terminal_is_replaced(mark):
    assert not set(printable(f"a{mark}b")) & set(mark) - set("[31m2J")
    printable(f"a{mark}b").encode()
    error = UserError(f"bad{mark}file", where=f"x{mark}.json", fix=f"Rename{mark} it.")
    for text in (str(error), error.problem, error.where, error.fix):
        assert mark not in text
        assert "\n" not in text


def test_ordinary_text_is_left_alone():
    text = "caf\u00e9\t\u65e5\u672c\u8a9e \u0645\u06cc\u200c\u062e\n\U0001f468\u200d\U0001f469 line\r\nend"
    assert printable(text) == text


def test_an_error_is_one_line_of_problem_place_and_fix():
    error = UserError("3 rows\nare empty.", where="a.json: 3", fix="Fill them.")
    assert str(error) == "a.json: 3: 3 rows are empty. Fill them."


def test_an_unknown_name_is_not_found_and_suggests_similar_names():
    error = UserError.unknown("target", "mathz", ["maths", "code"], where="targets")
    assert isinstance(error, NotFoundError)
    assert str(error) == "targets: there is no target named 'mathz'. Did you mean 'maths'?"


@pytest.mark.parametrize("error", [NotFoundError, InvalidInputError])
def test_callers_can_catch_every_error_at_once_or_apart(error):
    assert issubclass(error, UserError)
    assert not issubclass(error, ({NotFoundError, InvalidInputError} - {error}).pop())
    assert getattr(tags_assets, error.__name__) is error


def test_an_error_stays_short_whatever_it_quotes():
    error = UserError(f"no target named {'x' * 70_000}", where="y" * 70_000, fix="z" * 70_000)
    assert len(str(error)) < 4000
    assert str(error).endswith("…")
