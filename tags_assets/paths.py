"""Paths as a user writes them."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: Path | str) -> Path:
    """Replace ``~`` by the home of its user; that of an unknown user is a name like others.

    `Path.expanduser` raises RuntimeError there.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111
