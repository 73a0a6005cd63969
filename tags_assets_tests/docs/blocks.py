"""The code blocks of the documentation, and what is said about running them.

A ``bash`` block is run unless the line before it says otherwise::

    <!-- not run: it needs a GPU -->
    <!-- stopped after 20 s -->       (for what serves until Ctrl-C)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tags_assets_tests.requirements_of_tests import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"(?:<!-- ([^>]*) -->\n)?^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"not run: (.+)")
_STOPPED = re.compile(r"stopped after (\d+) s")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str | None
    """Why it is not run."""
    stopped_after: int | None
    """Seconds for which it must serve."""

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(CHECKOUT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        mark = match[1] or ""
        not_run, stopped = _NOT_RUN.fullmatch(mark), _STOPPED.fullmatch(mark)
        found.append(
            Block(
                page,
                text.count("\n", 0, match.start(2)) + 1,
                match[2].strip(),
                match[3],
                not_run[1] if not_run else None,
                int(stopped[1]) if stopped else None,
            )
        )
    return found


EVERY = [block for page in PAGES for block in blocks(page)]
