"""The one error that a user may see: a single line that says what is wrong, where, and how to fix it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tags_assets.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable


LISTED = 5
"""Names listed where none is near the one that was asked for."""


_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
    "|\r(?!\n)"
)


def printable(text: str) -> str:
    """Replace the characters of a foreign text that could steer a terminal, a log or a page by U+FFFD.

    These are control characters (except tab and line end), marks that change the direction of writing, line
    separators, invisible tags, and surrogates, which no UTF-8 output takes.
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


class UserError(Exception):
    """Something that the user can fix.

    Parameters
    ----------
    problem
        What is wrong, with the numbers that show it.
    where
        File, line and field, as ``targets/maths.yaml: budget.fraction``.
    fix
        What to do about it.
    """

    def __init__(self, problem: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.problem, self.where, self.fix = _line(problem), where and _line(where), fix and _line(fix)
        line = f"{self.where}: {self.problem}" if where else self.problem
        if fix:
            line = f"{line.rstrip('.')}. {self.fix}"
        super().__init__(line)

    @classmethod
    def unknown(cls, kind: str, name: str, known: Iterable[str], *, where: str | None = None) -> UserError:
        """Build the error for a name that does not exist, with the nearest names that do, else the first."""
        known = list(known)
        nearest = get_close_matches(name, known, n=3, cutoff=0.4)
        if nearest:
            hint = f"Did you mean {', '.join(map(repr, nearest))}?"
        elif known:
            names = listed([repr(name) for name in sorted(known)], LISTED)
            hint = f"There {'is' if len(known) == 1 else 'are'} {names}."
        else:
            hint = f"There is no {kind} yet."
        return cls(f"there is no {kind} named {name!r}", where=where, fix=hint)


_NO_MEMORY = ("MemoryError", "_ArrayMemoryError", "OutOfMemoryException")
_SIGNS_OF_NO_MEMORY = (
    "failed to map segment",
    "cannot allocate memory",
    "bad_alloc",
    "can't start new thread",
    "arrowmemoryerror",
)


def out_of_memory(what: str) -> UserError:
    """Build the error for a machine that is too small."""
    return UserError(
        f"{what} needs more memory than there is",
        fix="Close other programs, raise the limit (ulimit -v), or select on a larger machine; what was "
        "finished is kept.",
    )


def tells_of_no_memory(kind: str, message: str) -> bool:
    """Say whether an error's class and text mean that there is no memory left.

    A library that finds none while it is loaded says so as an `ImportError`.
    """
    return kind in _NO_MEMORY or any(sign in message.lower() for sign in _SIGNS_OF_NO_MEMORY)


def broken_start(error: Exception) -> UserError | None:
    """Build the line for what keeps a command from its work before it has begun; None for all else."""
    if tells_of_no_memory(type(error).__name__, str(error)):
        return out_of_memory("the command")
    if isinstance(error, ImportError):
        return UserError(
            f"the installation is not whole: {error}",
            fix="Install it again: make, or pip install --force-reinstall tags-assets.",
        )
    return None
