"""The files of a pool: which they are, what they are called, and the fingerprint of what is in each."""

from __future__ import annotations

import glob
import json
import os
import re
import time
from collections import Counter
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tags_assets.errors import UserError
from tags_assets.formats.folders import LEADS_OUT, OTHER_NAME, Found, Unread, data_below, no_file, stays_in
from tags_assets.formats.readers.duckdb_relation import (
    SEPARATOR,
    is_query,
    is_relation,
    relation_path,
    split_relation,
)
from tags_assets.formats.readers.sniff import COMPRESSED_SUFFIXES, SUFFIXES
from tags_assets.formats.readers.streams import cannot_be_read, opened
from tags_assets.paths import expanded
from tags_assets.store.durable import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    return find_pool(paths).files


def find_pool(paths: Sequence[str | Path]) -> Found:
    """Name every file that a pool's paths stand for, as `expand_pool` does, and what is not read.

    A file that the user names, or that a pattern without ``**`` matches, may be a link to anywhere.
    """
    files: dict[str, Path] = {}
    unread: dict[Path, Unread] = {}
    for path in paths:
        found = _expand(path)
        for file in found.files:
            files.setdefault(os.path.realpath(file), file)
        unread |= {each.path: each for each in found.unread}
    return Found(list(files.values()), [each for path, each in unread.items() if path not in files.values()])


def _expand(given: str | Path) -> Found:
    path = _absolute(given)
    # These are False for a name that no file may have.
    if os.path.isdir(path):  # noqa: PTH112
        found = data_below(path)
        if not found.files:
            raise _no_data(given, found)
        return found
    if os.path.isfile(path):  # noqa: PTH113
        return Found([path])
    if os.path.lexists(path):
        raise no_file(path)
    if is_relation(given):
        # The separator is also DuckDB's cast: what stands before the first is the file.
        database, _, relation = str(given).partition(SEPARATOR)
        file = _absolute(database)
        if not file.is_file():
            raise _no_such(file, given)
        return Found([relation_path(file, relation.strip())])
    if glob.has_magic(str(given)):
        found = Found()
        for match in sorted(_matches(path, found)):
            part = data_below(match) if match.is_dir() else _expand(match)
            found.files += part.files
            found.unread += part.unread
        if not found.files:
            raise UserError("no file matches", where=str(given))
        return found
    raise _no_such(path, given)


def _matches(pattern: Path, found: Found) -> Iterator[Path]:
    """Yield what a pattern matches; ``**`` goes through folders of its own, not through links."""
    if "**" not in pattern.parts:
        yield from map(Path, glob.glob(str(pattern)))  # noqa: PTH207 - the pattern is absolute
        return
    at = next(i for i, part in enumerate(pattern.parts) if glob.has_magic(part))
    folder, rest = Path(*pattern.parts[:at]), pattern.parts[at:]
    asks_for_hidden = any(part.startswith(".") for part in rest)
    for match in folder.glob("/".join(rest)):
        if not asks_for_hidden and any(part.startswith(".") for part in match.relative_to(folder).parts):
            continue
        if stays_in(folder, match):
            yield match
        else:
            found.unread.append(Unread(match, LEADS_OUT))


def _no_data(given: str | Path, found: Found) -> UserError:
    """Say that a folder has nothing to read, and what lies there instead."""
    reasons = Counter(each.reason for each in found.unread)
    reasons.pop(OTHER_NAME, None)
    there = "; ".join(f"{n:,} x {reason}" for reason, n in reasons.most_common(3))
    return UserError(
        f"no data in this folder{f' ({there})' if there else ''}",
        where=str(given),
        fix=f"Data is what is named {', '.join(SUFFIXES)}, also compressed.",
    )


def _absolute(path: str | Path) -> Path:
    """Make a path absolute; links keep their names, which say more than what they lead to."""
    return Path(os.path.abspath(expanded(path)))  # noqa: PTH100 - `resolve` would follow links


def _no_such(path: Path, given: str | Path) -> UserError:
    beside = path.parent.iterdir() if os.path.isdir(path.parent) else ()  # noqa: PTH112
    siblings = [file.name for file in beside if not file.name.startswith(".")]
    if not siblings:
        return UserError("there is no such file or folder", where=str(given))
    return UserError.unknown("file", path.name, siblings, where=str(path.parent))


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


class Status(NamedTuple):
    """What tells whether a file is still the one that it was."""

    size: int
    mtime_ns: int
    ctime_ns: int
    """Unlike the time of the last change, no program can set it."""
    inode: int


def status_of(file: Path) -> Status:
    """Return the status of a file, or of the DuckDB file around a relation."""
    try:
        status = (split_relation(file)[0] if is_relation(file) else file).stat()
    except OSError as error:
        raise cannot_be_read(file, error) from error
    return Status(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def fingerprint_files(files: Sequence[Path], cache_dir: Path) -> dict[str, str]:
    """Fingerprint what is in each file: 32 hexadecimal digits of BLAKE2b.

    Parameters
    ----------
    files
        As `expand_pool` gives them.
    cache_dir
        Remembers fingerprints by path and status, so that a file that did not change is not read.

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
    known = _remembered(memory)
    fresh: dict[str, list[object]] = {}
    found = {str(file): _fingerprint(file, known, fresh) for file in files}
    if fresh:
        remembered = known | fresh
        write_whole(memory, json.dumps({"files": remembered, "checksum": _checksum(remembered)}))
    return found


def _remembered(memory: Path) -> dict[str, list[object]]:
    """Read the fingerprints that are remembered; none where the file is damaged."""
    try:
        remembered = json.loads(memory.read_bytes())
        files: dict[str, list[object]] = remembered["files"]
        return files if remembered["checksum"] == _checksum(files) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _checksum(files: dict[str, list[object]]) -> str:
    return blake2b(json.dumps(files, sort_keys=True).encode(), digest_size=16).hexdigest()


def _fingerprint(file: Path, known: dict[str, list[object]], fresh: dict[str, list[object]]) -> str:
    if not is_relation(file):
        return _of_bytes(file, known, fresh)
    database, relation = split_relation(file)
    # What was committed and not yet merged into the file stands in the log beside it.
    log = database.with_name(f"{database.name}.wal")
    parts = [_of_bytes(part, known, fresh) for part in (database, log) if part is database or part.is_file()]
    return blake2b("\n".join([*parts, relation]).encode(), digest_size=16).hexdigest()


def _of_bytes(file: Path, known: dict[str, list[object]], fresh: dict[str, list[object]]) -> str:
    status = status_of(file)
    seen = known.get(str(file), fresh.get(str(file)))
    if isinstance(seen, list) and seen[:-1] == [*status]:
        return str(seen[-1])
    try:
        with opened(file) as stream:
            digest = file_digest(stream, lambda: blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise cannot_be_read(file, error) from error
    if time.time_ns() - status.ctime_ns > _SETTLED_NS:
        fresh[str(file)] = [*status, digest]
    return digest
