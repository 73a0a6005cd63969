"""Homes that this user made or trusts: a home can name code to run and servers to send keys to.

A folder that somebody else made, such as a cloned repository, may hold a `.tags`. If no home is named, that
is the home, so to enter the folder would be enough. Hence a note of each home that the user makes or trusts,
outside of all homes, as git keeps `safe.directory` and editors keep trusted workspaces.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from tags_assets.errors import UserError
from tags_assets.paths import expanded


def trust(home: Path) -> None:
    """Note that the user trusts the home at this path.

    Raises
    ------
    UserError
        If the note cannot be written.
    """
    note = _note(home)
    try:
        note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        note.write_bytes(os.fsencode(home.resolve()) + b"\n")
    except OSError as error:
        raise UserError(
            f"the note that a home is trusted cannot be written: {error.strerror}",
            where=str(note),
            fix="Name the home with --home or TAGS_HOME instead.",
        ) from None


def trust_new(home: Path) -> None:
    """Trust a home that is about to be made; where nothing can be noted, it must be named from then on."""
    if not _holds_anything(home):
        with suppress(UserError):
            trust(home)


def require_trust(home: Path) -> None:
    """Make sure that the user made or trusts a home that nobody named.

    Raises
    ------
    UserError
        If there is a folder with something in it that the user neither made nor trusts.
    """
    if _holds_anything(home) and not is_trusted(home):
        raise UserError(
            "you did not make this home on this machine, and a home can run code and send your keys away",
            where=str(home),
            fix=f"If you trust it, run: tags-assets trust {home.name}. If not, name another with --home.",
        )


def is_trusted(home: Path) -> bool:
    """Whether the user made or trusts the home at this path."""
    return _note(home).is_file()


def _holds_anything(home: Path) -> bool:
    try:
        return any(home.iterdir())
    except OSError:
        return False


def _note(home: Path) -> Path:
    """File that notes a home, in the user's folder for state (XDG Base Directory Specification)."""
    named = os.environ.get("XDG_STATE_HOME", "")
    state = Path(named) if Path(named).is_absolute() else expanded("~/.local/state")
    digest = hashlib.blake2b(os.fsencode(home.resolve()), digest_size=16).hexdigest()
    return state / "tags-assets" / "homes" / digest
