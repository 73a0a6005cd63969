from __future__ import annotations

import polars as pl
import pytest

from tags_assets.errors import UserError
from tags_assets.formats.pii import PII_KINDS, PII_SCHEMA, PIIMarker

MARKER = PIIMarker()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Write to jane.doe+news@mail.acme.co.uk today.", "email"),
        ("Call me at (650) 253-0000 tomorrow.", "phone"),
        ("My number is +44 20 7946 0958.", "phone"),
        ("Ring +49 30 901820 in Berlin", "phone"),
        ("card 4111 1111 1111 1111, expires 12/30", "card"),
        ("card 5500-0055-5555-5559", "card"),
        ("IBAN DE89 3704 0044 0532 0130 00, thanks", "iban"),
        ("pay GB82WEST12345698765432 now", "iban"),
        ("the server 203.0.114.7 is down", "ip_address"),
        ("ping 2606:4700:4700::1111", "ip_address"),
        ("SSN: 536-22-8726.", "us_ssn"),
    ],
)
def test_personal_data_is_found(text, kind):
    assert MARKER.count(text) == {kind: 1}


@pytest.mark.parametrize(
    "text",
    [
        "Compute 6502530000 / 25 + 4111.",
        "Multiply 1234567890 by 9876543210.",
        "x = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]",
        "The sum 123-45-678 is no number of that kind, nor is 000-12-3456.",
        "card 4111 1111 1111 1112",  # the check digit is wrong
        "IBAN DE89 3704 0044 0532 0130 01",
        "Use user@example.com, me@localhost or a@b.test in your tests.",
        "localhost is 127.0.0.1, the router 192.168.0.1, the mask 255.255.255.0",
        "It happened on 2021-03-04 between 1914-1918, at 10:20:30.",
        "pi is 3.14159265358979323846 and e is 2.718281828459045",
        "decorators: @property def f(self): ...",
        "Ada Lovelace wrote the first programme.",
        "",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text):
    assert MARKER.count(text) == {}


def test_only_the_kinds_that_are_asked_for_are_looked_for():
    text = "jane@acme.org, 536-22-8726, +44 20 7946 0958"
    assert PIIMarker(["email"]).count(text) == {"email": 1}
    assert PIIMarker(["phone", "us_ssn"]).count(text) == {"us_ssn": 1, "phone": 1}
    assert PIIMarker(["email"]).fingerprint != MARKER.fingerprint


def test_a_national_number_is_read_in_its_country():
    assert PIIMarker(["phone"], "DE").count("Tel. 030 901820") == {"phone": 1}
    assert PIIMarker(["phone"], "US").count("Tel. 030 901820") == {}


def test_rows_are_marked_by_speaker_and_the_data_is_not_copied():
    messages = [
        {"role": "user", "content": "I am jane@acme.org or j@acme.org"},
        {"role": "assistant", "content": "Hello jane@acme.org"},
    ]
    rows = pl.DataFrame(
        {"instance_id": ["a", "b"], "messages": [messages, [{"role": "user", "content": "Hi"}]]}
    )
    [marked] = MARKER.mark([rows])
    assert marked.schema == PII_SCHEMA
    assert marked.rows() == [("a", "assistant", "email", 1), ("a", "user", "email", 2)]


def test_hostile_text_takes_no_time():
    for text in ("a@" * 50_000, "1-" * 50_000, "4 " * 50_000, "f:" * 50_000, "AB12 " * 20_000, "." * 100_000):
        assert set(MARKER.count(text)) <= set(PII_KINDS)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"kinds": ["e-mail"]}, "Did you mean 'email'"), ({"region": "UK"}, "no country named 'UK'")],
)
def test_an_unknown_kind_or_country_is_one_line(options, said):
    with pytest.raises(UserError, match=said):
        PIIMarker(**options)
