"""The errors that a user may see: a single line that says what is wrong, where, and how to fix it."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from tags_assets.text import clipped, listed

if TYPE_CHECKING:
    from collections.abc import Iterable


LONGEST = 1200
"""Characters of each part of an error: names and values in it come from files of unknown origin."""

LISTED = 5
"""Known names that an error lists where none is similar to the unknown one."""


_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
    "|\r(?!\n)"
)


def printable(text: str) -> str:
    """Replace characters that could control a terminal, a log or a page with U+FFFD.

    These are control characters (except tab and line end), marks that change the direction of writing, line
    separators, invisible tags, and surrogates, which UTF-8 cannot encode.
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def _line(text: str) -> str:
    return printable(clipped(" ".join(text.split()), LONGEST))


class UserError(Exception):
    """A mistake or a circumstance that the user can fix; callers can catch the subclasses.

    Parameters
    ----------
    problem
        What is wrong, with the numbers that show it.
    where
        File, line and field, such as ``targets/maths.yaml: budget.fraction``.
    fix
        What to do about it.
    """

    def __init__(self, problem: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.problem, self.where, self.fix = _line(problem), where and _line(where), fix and _line(fix)
        line = f"{self.where}: {self.problem}" if where else self.problem
        if fix:
            line = f"{line.rstrip('.')}. {self.fix}"
        super().__init__(line)

    @staticmethod
    def unknown(kind: str, name: str, known: Iterable[str], *, where: str | None = None) -> NotFoundError:
        """Build the error for an unknown name; it suggests similar names, or else lists the first ones."""
        known = list(known)
        nearest = get_close_matches(name, known, n=3, cutoff=0.4)
        if nearest:
            hint = f"Did you mean {', '.join(map(repr, nearest))}?"
        elif known:
            names = listed([repr(name) for name in sorted(known)], LISTED)
            hint = f"There {'is' if len(known) == 1 else 'are'} {names}."
        else:
            hint = f"There is no {kind} yet."
        return NotFoundError(f"there is no {kind} named {name!r}", where=where, fix=hint)


class NotFoundError(UserError):
    """A target, version, asset, node, row, file or field that does not exist, or no longer exists."""


class InvalidInputError(UserError):
    """A value that is wrong: out of range, malformed, ambiguous, or in conflict with another."""


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
        f"{what} needs more memory than is available",
        fix="Close other programs, raise the limit (ulimit -v), or use a larger machine; finished work is "
        "kept.",
    )


def tells_of_no_memory(kind: str, message: str) -> bool:
    """Whether an error's class and text mean that memory ran out.

    A library that runs out of memory while it loads raises an `ImportError`.
    """
    return kind in _NO_MEMORY or any(sign in message.lower() for sign in _SIGNS_OF_NO_MEMORY)


def broken_start(error: Exception) -> UserError | None:
    """Build the error for a command that cannot even start; None for any other exception."""
    if tells_of_no_memory(type(error).__name__, str(error)):
        return out_of_memory("the command")
    if isinstance(error, ImportError):
        return UserError(
            f"the installation is incomplete: {error}",
            fix="Reinstall it: make, or pip install --force-reinstall tags-assets.",
        )
    return None
