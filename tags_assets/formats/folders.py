"""The data files below a folder, and what lies there and is not read, each with a reason."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from tags_assets.errors import UserError
from tags_assets.formats.readers.sniff import SUFFIXES, suffix_of
from tags_assets.formats.readers.streams import cannot_be_read, check_regular, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

EXPORTS_FILE = "exports.json"
"""Beside the exports in a folder of the user's: lists what was written there."""

OUTPUTS = ("manifest.json", "subset.jsonl", "selection.parquet", "report.html")
"""What a selection leaves in a folder; `manifest.json` tells that the others are ours."""

# What datasets and LLaMA-Factory write beside the data.
_NOT_DATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
_CACHE = re.compile(r"cache-[0-9a-z_]+\.arrow")
_HOME_FOLDERS = {"cache", "dagster", "landing", "pools"}
_MAX_LIST_BYTES = 16 * 2**20

HIDDEN = "hidden: the name begins with a dot"
OUR_HOME = "a home of tags-assets"
OUR_OUTPUT = "written by tags-assets"
LEADS_OUT = "a link that leads out of the folder; name what it leads to"
OTHER_NAME = "not named as data"
NO_DATA = "describes data, holds none"
CACHE = "a cache of the datasets package: rows of other files, or their order"
NOT_LISTED = "not in the data set's own list of files"


class Unread(NamedTuple):
    """A file or folder of the pool that is not read."""

    path: Path
    reason: str


@dataclass
class Found:
    """The files of a pool and what is not read, in the order in which they were met."""

    files: list[Path] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def data_below(folder: Path) -> Found:
    """Find the data files below a folder; a data set's own lists of files are followed.

    A link is followed as long as it stays inside of the folder. What a data set's list names must lie inside
    of the data set.

    Raises
    ------
    UserError
        If a data set's list names what lies elsewhere, or if something is named as data and is no file.
    """
    walk = _Walk(_root_of(folder))
    walk.go(folder)
    return walk.found


def stays_in(folder: Path, path: Path) -> bool:
    """Whether what is at a path below a folder is no link that leads out of it."""
    return _stays_in(_root_of(folder), path)


def no_file(path: Path) -> UserError:
    """Say what stands where a file should; a pipe would be waited for without end."""
    try:
        if path.exists():
            check_regular(path)
    except OSError as error:
        return cannot_be_read(path, error)
    except UserError as error:
        return error
    return UserError("is a link that leads nowhere", where=str(path), fix="Fix or remove it.")


def _root_of(folder: Path) -> Path:
    """Return the real folder that links may not leave.

    A snapshot of Hugging Face's cache is made of links to the ``blobs`` beside it.
    """
    real = Path(os.path.realpath(folder))
    for place in real.parents:
        if place.name == "snapshots" and (place.parent / "blobs").is_dir():
            return place.parent
    return real


class _Walk:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: set[tuple[int, int]] = set()
        self._ours: set[Path] = set()
        self.found = Found()

    def go(self, folder: Path) -> None:
        """Visit a folder and all below it, sorted; without recursion, since folders may be nested deeply."""
        left = [folder]
        while left:
            place = left.pop()
            if not _is_folder(place):
                self._take(place)
                continue
            try:
                status = place.stat()
                identity = (status.st_dev, status.st_ino)
                if identity not in self._seen:  # else a link, perhaps to a folder around it
                    self._seen.add(identity)
                    left += reversed(list(self._inside(place)))
            except OSError as error:
                self._leave(place, f"cannot be opened: {error.strerror or error}")

    def _inside(self, folder: Path) -> Iterator[Path]:
        """Yield what is to be visited of a folder's entries."""
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
        here = set(names)
        if here >= _HOME_FOLDERS:
            self._leave(folder, OUR_HOME)
            return
        self._ours |= _written_by_us(folder, here)
        listed = self._listed(folder, here)
        for name in names:
            entry = folder / name
            is_folder = _is_folder(entry)
            if name.startswith("."):
                self._leave(entry, HIDDEN)
            elif entry in self._ours:
                self._leave(entry, OUR_OUTPUT)
            elif listed is None and not is_folder and suffix_of(entry) not in SUFFIXES:
                self._leave(entry, OTHER_NAME)
            elif name in _NOT_DATA or (listed is None and _CACHE.fullmatch(name) and here & _NOT_DATA):
                self._leave(entry, NO_DATA if name in _NOT_DATA else CACHE)
            elif entry.is_symlink() and not self._stays(entry):
                self._leave(entry, LEADS_OUT)
            elif listed is None:
                yield entry
            elif entry not in listed:
                self._leave(entry, NOT_LISTED)
        yield from listed or ()

    def _listed(self, folder: Path, here: set[str]) -> list[Path] | None:
        """Return the files or splits that a data set names as its own, None where it is no data set."""
        if "dataset_dict.json" in here:
            file, key = folder / "dataset_dict.json", "splits"
        elif "state.json" in here:
            file, key = folder / "state.json", "_data_files"
        else:
            return None
        try:
            content = _json(file)
            if content.get("_indices_data_files"):
                raise UserError(
                    "the data set is a selection of the rows in its files, and the selection is not read",
                    where=str(file),
                    fix="Write it with dataset.flatten_indices().save_to_disk(...).",
                )
            named = content[key]
            names = named if key == "splits" else [each["filename"] for each in named]
            return [self._named(folder, name, file) for name in names]
        except (ValueError, KeyError, TypeError, OSError, AttributeError) as error:
            raise UserError(f"does not list the data set's {key}", where=str(file)) from error

    def _named(self, folder: Path, name: object, file: Path) -> Path:
        """Return the path that data names, which must not lead anywhere else."""
        shown = f"{name!r:.80}"
        if not isinstance(name, str) or not name or "\x00" in name:
            raise UserError(f"names {shown}, which is no name of a file", where=str(file))
        path = folder / name
        inside = not Path(name).is_absolute() and ".." not in Path(name).parts and path != folder
        if not inside or not self._stays(path):
            raise UserError(
                f"names {shown}, which is outside of the data set's folder",
                where=str(file),
                fix="A data set names only files of its own: do not use it unless you know who made it.",
            )
        return path

    def _take(self, file: Path) -> None:
        if not os.path.isfile(file):  # noqa: PTH113 - False for a name that no file may have
            raise no_file(file)
        self.found.files.append(file)

    def _leave(self, path: Path, reason: str) -> None:
        self.found.unread.append(Unread(path, reason))

    def _stays(self, path: Path) -> bool:
        return _stays_in(self._root, path)


def _stays_in(root: Path, path: Path) -> bool:
    real = Path(os.path.realpath(path))
    # A link that leads nowhere is told as such.
    return real.is_relative_to(root) or not os.path.exists(real)  # noqa: PTH110 - False for no name of a file


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _written_by_us(folder: Path, here: set[str]) -> set[Path]:
    """List what was written into a folder by ``select`` or ``export``, judged by what these left there."""
    ours: set[Path] = set()
    if OUTPUTS[0] in here and {"tags_assets", "target", "rows_selected"} <= _keys(folder / OUTPUTS[0]):
        ours |= {folder / name for name in OUTPUTS}
    if EXPORTS_FILE in here and {"tags_assets", "files"} <= _keys(folder / EXPORTS_FILE):
        names = _json(folder / EXPORTS_FILE)["files"]
        names = names if isinstance(names, list) else []
        ours |= {folder / name for name in names if isinstance(name, str)} | {folder / EXPORTS_FILE}
    return ours


def _keys(file: Path) -> set[str]:
    try:
        content = _json(file)
    except (ValueError, OSError, UserError):
        return set()
    return set(content) if isinstance(content, dict) else set()


def _json(file: Path) -> Any:  # noqa: ANN401
    """Read a small JSON file; what it holds is for the caller to check."""
    with opened(file) as stream:
        content = stream.read(_MAX_LIST_BYTES + 1)
    if len(content) > _MAX_LIST_BYTES:
        raise UserError(f"is larger than {_MAX_LIST_BYTES // 2**20} MiB", where=str(file))
    return orjson.loads(content)
