"""Artifacts as they lie on disk: known by their headers, and put away where they are damaged."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import duckdb

from tags_assets.errors import UserError
from tags_assets.store import artifact_file
from tags_assets.store.durable import disk_errors, write_whole
from tags_assets.store.mark import is_home
from tags_assets.store.versions import ArtifactVersion, header_bytes, version_from_header, version_from_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tags_assets.store.connections import Connections
    from tags_assets.store.layout import Layout


DAMAGED = "damaged"
"""Name under which a failure says that it is a `DamagedArtifactError`."""


class DamagedArtifactError(UserError):
    """A version that was damaged and is now out of the way: the next run makes it anew."""


class Shelf:
    """Looks artifacts up by file, and remembers those that it has seen: they do not change.

    Parameters
    ----------
    layout, connections
        Where, and how to open a file.
    touches
        Whether damaged artifacts are moved to quarantine and lost headers written anew.
    """

    def __init__(self, layout: Layout, connections: Connections, *, touches: bool = True) -> None:
        self._layout, self._connections, self._touches = layout, connections, touches
        self._known: dict[Path, tuple[tuple[int, int, int], ArtifactVersion]] = {}

    def load(self, path: Path) -> ArtifactVersion | None:
        """Read what is known of an artifact; None if there is no file.

        Raises
        ------
        UserError
            If the file is not as long as it was written, or does not say what it is.
        """
        with disk_errors(self._layout.home):
            return self._load(path)

    def inspect(self, path: Path, *, deep: bool) -> ArtifactVersion | None:
        """As `load`; `deep` compares the whole file with its checksum."""
        version = self.load(path)
        if version is not None and deep and artifact_file.digest_file(version.path) != version.file_digest:
            raise self.damaged(version.path, "its content does not match its checksum")
        return version

    def _load(self, path: Path) -> ArtifactVersion | None:
        for attempt in range(3):
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            known = self._known.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            version = self._read_header(path) or self._rebuild_header(path, status.st_size)
            if version is None:
                return None
            if version.file_bytes == status.st_size:
                self._known[path] = (stamp, version)
                return version
            lengths = f"{status.st_size} bytes long instead of {version.file_bytes}"
            time.sleep(0.01 * attempt)  # it may have been removed and made again between the two looks
        raise self.damaged(path, lengths)

    def _read_header(self, path: Path) -> ArtifactVersion | None:
        try:
            return version_from_header(path.with_suffix(".json").read_bytes(), path)
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return None

    def _rebuild_header(self, path: Path, size: int) -> ArtifactVersion | None:
        try:
            digest = artifact_file.digest_file(path)  # first: not being allowed to read is no damage
            with disk_errors(self._layout.home):
                row = artifact_file.read_version_row(self._connections, path)
            version = version_from_row(row, path, file_bytes=size, file_digest=digest)
        except FileNotFoundError:
            return None
        except (duckdb.Error, KeyError, TypeError, ValueError) as error:
            if not path.exists():
                return None
            raise self.damaged(path, _first_line(error)) from error
        if not self._touches:
            return version
        with suppress(UserError):  # a read-only home: read it again next time
            write_whole(path.with_suffix(".json"), header_bytes(row, file_bytes=size, file_digest=digest))
        return version

    @contextmanager
    def reading(self, *versions: ArtifactVersion) -> Iterator[None]:
        """Tell a damaged or removed artifact from the reader's own trouble."""
        try:
            with disk_errors(self._layout.home):
                yield
        except duckdb.Error as error:
            for version in versions:
                if not version.path.exists():
                    raise UserError(
                        "this version was removed while it was being read",
                        where=str(version),
                        fix="Run again; keep more versions if this happens often.",
                    ) from error
                if artifact_file.digest_file(version.path) != version.file_digest:
                    raise self.damaged(version.path, _first_line(error)) from error
            raise

    def damaged(self, path: Path, why: str) -> UserError:
        """Move a damaged artifact out of the way, and return the error that says so.

        What lies in a folder that is not a home is left alone: it may be anybody's.
        """
        if not self._touches or not is_home(self._layout.home):
            place = str(path.relative_to(self._layout.home))
            return DamagedArtifactError(f"damaged: {why}", where=place, fix="Run: tags-assets repair --deep.")
        relative = path.relative_to(self._layout.artifacts)
        away = (
            self._layout.quarantine / f"{'--'.join(relative.parts[:-1])}--{path.stem}--{os.getpid()}.duckdb"
        )
        try:
            self._layout.quarantine.mkdir(parents=True, exist_ok=True)
            path.replace(away)
            with suppress(OSError):
                path.with_suffix(".json").replace(away.with_suffix(".json"))
            done = f"It was moved to {away.relative_to(self._layout.home)}; run again and it is made anew."
        except FileNotFoundError:
            done = "Another process has moved it away; run again and it is made anew."
        except OSError as error:
            done = f"It could not be moved to quarantine ({error.strerror}): delete it and run again."
        return DamagedArtifactError(
            f"damaged: {why}", where=str(path.relative_to(self._layout.home)), fix=done
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
