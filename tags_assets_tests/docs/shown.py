"""What a page shows as output, beside what came."""

from __future__ import annotations

import re

NEAR, LEAST = 0.1, 0.02
"""How far a number may be from the one that is shown: a share of it, and at the least."""

_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
_MEASURED = re.compile(r"(ran|reused) +[\d.]+ +[\d,]+")
_ID = re.compile(r"\b[0-9a-f]{12}\b")
_LEFT_OUT = re.compile(r"(\.\.\.|…)$")


def missing(shown: str, came: str) -> list[str]:
    """Lines that a page shows and that did not come, in this order.

    Lines of dots stand for any number of lines, dots at the end of a line for its rest. Spaces, the width of
    tables, ids of nodes and a run's seconds and megabytes may differ; other numbers a little.
    """
    left = [_plain(line) for line in came.splitlines()]
    lost = []
    for line in map(_plain, re.sub(r"  +# .*$", "", shown, flags=re.MULTILINE).splitlines()):
        if not line or _LEFT_OUT.fullmatch(line):
            continue
        at = next((at for at, other in enumerate(left) if _same(line, other)), None)
        if at is None:
            lost.append(line)
        else:
            del left[: at + 1]
    return lost


def _plain(line: str) -> str:
    line = _ID.sub("ID", _MEASURED.sub(r"\1", line))
    return re.sub(r"([─═┬┴╪])[─═]*", r"\1", " ".join(line.split()))


def _same(shown: str, came: str) -> bool:
    cut = _LEFT_OUT.search(shown)
    if cut:
        shown = shown[: cut.start()].rstrip()
    words, numbers = _NUMBER.sub("#", shown), _numbers(shown)
    others = _NUMBER.sub("#", came)
    if not (others.startswith(words) if cut else others == words):
        return False
    pairs = zip(numbers, _numbers(came), strict=False)
    return all(abs(a - b) <= max(LEAST if abs(a) < 1 else 0.0, NEAR * abs(a)) for a, b in pairs)


def _numbers(line: str) -> list[float]:
    return [float(number.replace(",", "")) for number in _NUMBER.findall(line)]
