"""The files of a pool: which they are, what they are called, and the fingerprint of what is in each."""

from __future__ import annotations

import glob
import json
import os
import re
import tempfile
import time
from collections import Counter
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import TYPE_CHECKING

from tags_assets.errors import UserError
from tags_assets.formats.readers.duckdb_relation import (
    SEPARATOR,
    is_query,
    is_relation,
    relation_path,
    split_relation,
)
from tags_assets.formats.readers.sniff import COMPRESSED_SUFFIXES, SUFFIXES, suffix_of
from tags_assets.formats.readers.streams import cannot_be_read

if TYPE_CHECKING:
    from collections.abc import Sequence

# What datasets and LLaMA-Factory write beside the data.
_NOT_DATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")
_FINGERPRINTS = "fingerprints.json"
# A file that was just written can be written again within one tick of its time stamp.
_SETTLED_NS = 2_000_000_000


def expand_pool(paths: Sequence[str | Path]) -> list[Path]:
    """Name every file that a pool's paths stand for.

    Parameters
    ----------
    paths
        Files, folders (read with all below them), globs, folders written by ``save_to_disk``, and tables or
        queries of DuckDB files, as ``my.duckdb::rows``.

    Returns
    -------
    list[Path]
        Absolute, in the order given, those of a folder or a glob sorted, each once.

    Raises
    ------
    UserError
        If a path stands for nothing.
    """
    files: dict[str, Path] = {}
    for path in paths:
        for file in _expand(path):
            files.setdefault(os.path.realpath(file), file)
    return list(files.values())


def _expand(given: str | Path) -> list[Path]:
    path = _absolute(given)
    if path.is_dir():
        found = _in_folder(path)
        if not found:
            suffixes = ", ".join(SUFFIXES)
            raise UserError(
                "no data in this folder",
                where=str(given),
                mend=f"Data is what is named {suffixes}, also compressed.",
            )
        return found
    if path.is_file():
        return [path]
    if path.exists() or path.is_symlink():
        raise _no_file(path)
    if is_relation(given):
        # The separator is also DuckDB's cast: what stands before the first is the file.
        database, _, relation = str(given).partition(SEPARATOR)
        file = _absolute(database)
        if not file.is_file():
            raise _no_such(file, given)
        return [relation_path(file, relation.strip())]
    if glob.has_magic(str(given)):
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute
        found = [
            file for match in matches for file in (_in_folder(match) if match.is_dir() else _expand(match))
        ]
        if not found:
            raise UserError("no file matches", where=str(given))
        return found
    raise _no_such(path, given)


def _absolute(path: str | Path) -> Path:
    """Make a path absolute; links keep their names, which say more than what they lead to."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - `resolve` would follow links


def _no_such(path: Path, given: str | Path) -> UserError:
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    siblings = [file.name for file in beside if not file.name.startswith(".")]
    if not siblings:
        return UserError("there is no such file or folder", where=str(given))
    return UserError.unknown("file", path.name, siblings, where=str(path.parent))


def _in_folder(folder: Path, above: frozenset[str] = frozenset()) -> list[Path]:
    """Return the data files below a folder; a data set's own lists of files are followed."""
    real = os.path.realpath(folder)
    if real in above:
        return []  # a link to a folder that it stands in
    above |= {real}
    if (folder / "dataset_dict.json").is_file():
        splits = _listed(folder / "dataset_dict.json", "splits")
        return [file for split in splits for file in _in_folder(folder / str(split), above)]
    if (folder / "state.json").is_file():
        files = _listed(folder / "state.json", "_data_files")
        return [folder / str(file["filename"]) for file in files if isinstance(file, dict)]
    found: list[Path] = []
    for entry in _entries(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            found += _in_folder(entry, above)
        elif suffix_of(entry) in SUFFIXES and entry.name not in _NOT_DATA:
            if not entry.is_file():
                raise _no_file(entry)
            found.append(entry)
    return found


def _no_file(path: Path) -> UserError:
    """Say what stands where a file should; a pipe would be waited for without end."""
    if path.exists():
        return UserError("is neither a file nor a folder", where=str(path), mend="Write it to a file first.")
    return UserError("is a link that leads nowhere", where=str(path), mend="Mend or remove it.")


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise cannot_be_read(folder, error) from error


def _listed(file: Path, key: str) -> list[object]:
    try:
        listed = json.loads(file.read_bytes())[key]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"does not list the data set's {key}", where=str(file)) from error
    return listed if isinstance(listed, list) else []


def names_of(files: Sequence[Path]) -> list[str]:
    """Name each file by the shortest end of its path that no other file of the pool shares.

    So the names are the same whether the pool was given by relative or absolute paths, and on another
    machine.
    """
    parts = [_parts(file) for file in files]
    depths = [1] * len(files)
    while True:
        names = [_shown("/".join(part[-depth:])) for part, depth in zip(parts, depths, strict=True)]
        shared = Counter(names)
        longer = [i for i, name in enumerate(names) if shared[name] > 1 and depths[i] < len(parts[i])]
        if not longer:
            return names
        for i in longer:
            depths[i] += 1


def _parts(file: Path) -> tuple[str, ...]:
    if is_relation(file):
        database, relation = split_relation(file)
        return (*database.parent.parts, f"{database.name}{SEPARATOR}{relation}")
    return file.parts


def _shown(name: str) -> str:
    """Return a name as text that can be written; file systems allow bytes that are no text."""
    return os.fsencode(name).decode(errors="replace")


def source_of(file: Path) -> str:
    """Name the source of rows that name none: the file's stem.

    Shards of one set are one source; a table gives its own name, a data set's folder the folder's.
    """
    if is_relation(file):
        database, relation = split_relation(file)
        return database.stem if is_query(relation) else relation
    if (file.parent / "state.json").is_file():
        folder = file.parent
        return folder.parent.name if (folder.parent / "dataset_dict.json").is_file() else folder.name
    stem = file.name
    for suffix in reversed(file.suffixes):
        if suffix.lower() in COMPRESSED_SUFFIXES or suffix.lower() in SUFFIXES:
            stem = stem.removesuffix(suffix)
    return _shown(_SHARD.sub("", stem) or file.name)


def status_of(file: Path) -> tuple[int, int]:
    """Return the size and the time of the last change of a file, or of the DuckDB file around a relation."""
    try:
        status = (split_relation(file)[0] if is_relation(file) else file).stat()
    except OSError as error:
        raise cannot_be_read(file, error) from error
    return status.st_size, status.st_mtime_ns


def fingerprint_files(files: Sequence[Path], cache_dir: Path) -> dict[str, str]:
    """Fingerprint what is in each file: 32 hexadecimal digits of BLAKE2b.

    Parameters
    ----------
    files
        As `expand_pool` gives them.
    cache_dir
        Remembers fingerprints by path, size and time of change, so that a file that did not change is not
        read.

    Returns
    -------
    dict[str, str]
        Path as text -> fingerprint.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    memory = cache_dir / _FINGERPRINTS
    try:
        known: dict[str, list[object]] = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        known = {}
    fresh: dict[str, list[object]] = {}
    found = {str(file): _fingerprint(file, known, fresh) for file in files}
    if fresh:
        write_beside(memory, json.dumps(known | fresh).encode())
    return found


def _fingerprint(file: Path, known: dict[str, list[object]], fresh: dict[str, list[object]]) -> str:
    if not is_relation(file):
        return _of_bytes(file, known, fresh)
    database, relation = split_relation(file)
    # What was committed and not yet merged into the file stands in the log beside it.
    log = database.with_name(f"{database.name}.wal")
    parts = [_of_bytes(part, known, fresh) for part in (database, log) if part is database or part.is_file()]
    return blake2b("\n".join([*parts, relation]).encode(), digest_size=16).hexdigest()


def _of_bytes(file: Path, known: dict[str, list[object]], fresh: dict[str, list[object]]) -> str:
    try:
        status = file.stat()
        seen = known.get(str(file), fresh.get(str(file)))
        if seen is not None and seen[:2] == [status.st_size, status.st_mtime_ns]:
            return str(seen[2])
        with file.open("rb") as opened:
            digest = file_digest(opened, lambda: blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise cannot_be_read(file, error) from error
    if time.time_ns() - status.st_mtime_ns > _SETTLED_NS:
        fresh[str(file)] = [status.st_size, status.st_mtime_ns, digest]
    return digest


def write_beside(file: Path, content: bytes) -> None:
    """Write a file beside its place and rename it, so that no reader sees half of it.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    try:
        _write_beside(file, content)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror or error}", where=str(file)) from error


def _write_beside(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as beside:
        beside.write(content)
    Path(beside.name).replace(file)
