"""Homes that this user made or trusts: a home can name code to run and servers to send keys to.

A folder that somebody else made, such as a cloned repository, may hold a `.tags`. If no home is named, that
is the home, so to enter the folder would be enough. Hence a note of each home that the user makes or trusts,
outside of all homes, as git keeps `safe.directory` and editors keep trusted workspaces.
"""

from __future__ import annotations

import hashlib
import os
import pwd
from contextlib import suppress
from pathlib import Path

from tags_assets.errors import UserError
from tags_assets.paths import expanded


def trust(home: Path) -> None:
    """Note that the user trusts the home at this path.

    Raises
    ------
    UserError
        If the note cannot be written anywhere.
    """
    failed: list[tuple[Path, str]] = []
    notes = _notes(home)
    for note in notes:
        try:
            note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            note.write_bytes(os.fsencode(home.resolve()) + b"\n")
        except OSError as error:
            failed.append((note, error.strerror or str(error)))
    if len(failed) == len(notes):
        note, why = failed[0]
        raise UserError(
            f"the note that a home is trusted cannot be written: {why}",
            where=str(note),
            fix="Name the home with --home or TAGS_HOME instead.",
        )


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
    return any(note.is_file() for note in _notes(home))


def _holds_anything(home: Path) -> bool:
    try:
        return any(home.iterdir())
    except OSError:
        return False


def _notes(home: Path) -> list[Path]:
    """Files that note a home, in the user's folders for state (XDG Base Directory Specification).

    ``HOME`` may be another in the next shell, or in a job of a scheduler; the one in the user database stays.
    """
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    folders = [named] if named.is_absolute() else [expanded("~/.local/state")]
    if not named.is_absolute():
        with suppress(KeyError):  # a user whom the database does not know, as in some containers
            folders.append(Path(pwd.getpwuid(os.getuid()).pw_dir) / ".local" / "state")
    digest = hashlib.blake2b(os.fsencode(home.resolve()), digest_size=16).hexdigest()
    notes = [folder / "tags-assets" / "homes" / digest for folder in folders]
    return list(dict.fromkeys(notes))
