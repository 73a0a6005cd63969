"""Personal data in the texts of rows: told by kind, never copied.

What has a check digit or a plan of numbers is checked against it, so that an arithmetic problem is not a
telephone directory: telephone numbers by `phonenumbers`, the port of Google's library, in the strictest form
that their grouping allows; card numbers and IBANs by their check digits; addresses of the internet by their
registries. Names of people are not looked for: a row about Ada Lovelace holds nothing private.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING

import phonenumbers
import polars as pl

from tags_assets.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

PII_SCHEMA = pl.Schema(
    {"instance_id": pl.String(), "role": pl.String(), "kind": pl.String(), "count": pl.Int64()}
)
"""Columns of the table ``filtered_rows_pii``: one row per instance, speaker and kind."""

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@((?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24})(?![\w-])"
)
_RESERVED = re.compile(
    r"(?:^|\.)(?:example(?:\.(?:com|org|net))?|test|invalid|localhost|local|domain\.com)$", re.IGNORECASE
)
_CARD = re.compile(r"(?<![\d.,-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\d.,]?\d)")
# Lengths and first digits of Visa, Mastercard, American Express, Diners Club, JCB, Discover and UnionPay.
_BRAND = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}"
    r"|6(?:011|5\d\d|4[4-9]\d|2\d\d)\d{12,15}"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\d-])")
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{1,4}(?![\w:.])")
_LIKE_PHONE = re.compile(r"\d(?:[ ()./-]{0,3}\d){6,}")
_IBAN_SHORTEST, _IBAN_LONGEST = 15, 34


def _emails(text: str) -> int:
    return 0 if "@" not in text else sum(not _RESERVED.search(m[1]) for m in _EMAIL.finditer(text))


def _cards(text: str) -> int:
    return sum(_luhn(re.sub(r"\D", "", match[0])) for match in _CARD.finditer(text))


def _luhn(digits: str) -> bool:
    if not _BRAND.fullmatch(digits):
        return False
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _ibans(text: str) -> int:
    return sum(_mod97(match[0].replace(" ", "")) for match in _IBAN.finditer(text))


def _mod97(iban: str) -> bool:
    if not _IBAN_SHORTEST <= len(iban) <= _IBAN_LONGEST:
        return False
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def _ip_addresses(text: str) -> int:
    found = [match[0] for match in _IPV4.finditer(text)]
    found += [match[0] for match in _IPV6.finditer(text)] if text.count(":") > 1 else []
    return sum(_is_public(address) for address in found)


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def _social_security(text: str) -> int:
    return len(_SSN.findall(text))


_FINDERS: dict[str, Callable[[str], int]] = {
    "email": _emails,
    "card": _cards,
    "iban": _ibans,
    "ip_address": _ip_addresses,
    "us_ssn": _social_security,
}
PII_KINDS = (*_FINDERS, "phone")
"""Every kind that is known."""


class PIIMarker:
    """Looks for personal data of some kinds.

    Parameters
    ----------
    kinds
        Of `PII_KINDS`; empty for all.
    region
        ISO 3166 code of the country in whose form a telephone number without a ``+`` is read.

    Raises
    ------
    UserError
        For a kind or a country that does not exist.
    """

    def __init__(self, kinds: Sequence[str] = (), region: str = "US") -> None:
        for kind in kinds:
            if kind not in PII_KINDS:
                raise UserError.unknown("kind of personal data", kind, PII_KINDS, where="pii_kinds")
        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise UserError.unknown("country", region, phonenumbers.SUPPORTED_REGIONS, where="pii_region")
        self.kinds = tuple(kind for kind in PII_KINDS if not kinds or kind in kinds)
        self.region = region

    @property
    def fingerprint(self) -> str:
        """Names the marker and its settings, for versions."""
        return f"1, phonenumbers {version('phonenumbers')}: {', '.join(self.kinds)}, {self.region}"

    def count(self, text: str) -> dict[str, int]:
        """Count what a text holds, by kind; kinds that it holds none of are left out."""
        found = {kind: find(text) for kind, find in _FINDERS.items() if kind in self.kinds}
        if "phone" in self.kinds:
            found["phone"] = self._phones(text)
        return {kind: count for kind, count in found.items() if count}

    def mark(self, batches: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Mark rows of ``instance_id, messages``: `PII_SCHEMA`, a frame per batch."""
        for batch in batches:
            findings: list[tuple[str, str, str, int]] = []
            for name, messages in batch.select("instance_id", "messages").iter_rows():
                counts: Counter[tuple[str, str]] = Counter()
                for turn in messages:
                    for kind, count in self.count(turn["content"] or "").items():
                        counts[turn["role"], kind] += count
                findings += [(name, role, kind, count) for (role, kind), count in sorted(counts.items())]
            yield pl.DataFrame(findings, schema=PII_SCHEMA, orient="row")

    def _phones(self, text: str) -> int:
        if not _LIKE_PHONE.search(text):
            return 0
        matcher = phonenumbers.PhoneNumberMatcher(
            text, self.region, leniency=phonenumbers.Leniency.STRICT_GROUPING
        )
        # Bare digits are numbers in instruction data; a telephone number has its grouping or its +.
        return sum(not match.raw_string.isdigit() for match in matcher)
