"""One file, read once: its rows in the normal form, as Parquet in a cache keyed by the file's content."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import blake2b, file_digest
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from tags_assets.errors import UserError
from tags_assets.formats import language, near_duplicates, tokens
from tags_assets.formats.content_hash import content_hash
from tags_assets.formats.instance import INSTANCE_SCHEMA, REJECTED_SCHEMA, Message, Recognised, RowError
from tags_assets.formats.pool_files import Status, status_of
from tags_assets.formats.readers import Position, Record, read_records
from tags_assets.formats.readers.sniff import suffix_of
from tags_assets.formats.recognise import recognise
from tags_assets.formats.traits import traits_of
from tags_assets.store.durable import refusals, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from tags_assets.formats.column_map import ColumnMap, Given

READER_VERSION = f"6, rensa {version('rensa')}"
"""Part of every key of the cache: raise it whenever the same file would give other rows or sketches."""

BANDS = tuple(f"band_{number}" for number in range(near_duplicates.N_BANDS))

PARSED_SCHEMA: dict[str, pl.DataType] = {
    **{
        name: dtype
        for name, dtype in INSTANCE_SCHEMA.items()
        if name not in ("instance_id", "file", "duplicate_of", "near_duplicate")
    },
    "wording": pl.UInt64(),
    "n_words": pl.Int32(),
    **dict.fromkeys(BANDS, pl.UInt64()),
}
"""Columns of a parsed file's rows: what its content alone decides, and the sketch for near-duplicates.

``source`` is the row's own and may be null.
"""

_REJECTED_SCHEMA = {name: dtype for name, dtype in REJECTED_SCHEMA.items() if name != "file"}
_UNUSED_NAMED = 100
_ROWS_A_BATCH, _BYTES_A_BATCH = 4096, 8 * 2**20
_LEFT_BEHIND_S = 24 * 3600
_BESIDE = re.compile(r"\.parsing-[0-9a-z_]{8,16}")

SUMMARY, PARTS = "summary.json", ("rows.parquet", "rejected.parquet")
"""The files of a parsed file's folder; the summary comes last and has the checksums of the others."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ParsedFile:
    """A file's rows in the cache.

    Attributes
    ----------
    directory
        Holds ``rows.parquet`` (`PARSED_SCHEMA`) and ``rejected.parquet``, both in the order of the file.
    n_rows, n_rejected
        Rows that were read, rows that could not be.
    columns_met
        The user's mapped columns that some row has.
    traits
        How many rows have what: reasoning, tools, attachments and so on.
    unused
        How many rows have a field that looks like content and is not used, by its name.
    """

    directory: Path
    n_rows: int
    n_rejected: int
    columns_met: tuple[str, ...]
    traits: Mapping[str, int] = field(default_factory=dict)
    unused: Mapping[str, int] = field(default_factory=dict)

    def batches(self, columns: list[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the rows in batches of at most 4,096."""
        with pq.ParquetFile(self.directory / "rows.parquet") as file:
            for group in range(file.num_row_groups):
                yield _frame(file, group, columns)

    def column(self, name: str) -> pl.Series:
        """Return one column of all rows."""
        return pl.read_parquet(self.directory / "rows.parquet", columns=[name]).to_series()

    def messages(self, rows: NDArray[np.int64]) -> list[list[Message]]:
        """Return the messages of some rows, given by number from 0 in ascending order."""
        found: list[list[Message]] = []
        with pq.ParquetFile(self.directory / "rows.parquet") as file:
            start = 0
            for group in range(file.num_row_groups):
                stop = start + file.metadata.row_group(group).num_rows
                first, last = np.searchsorted(rows, [start, stop])
                if first < last:
                    wanted = rows[first:last] - start
                    found += _frame(file, group, ["messages"])["messages"].gather(wanted).to_list()
                start = stop
        return found

    def rejected(self) -> pl.DataFrame:
        """Return the rows that could not be read: ``line``, ``reason``, ``raw``."""
        return pl.read_parquet(self.directory / "rejected.parquet")


def _frame(file: pq.ParquetFile, group: int, columns: list[str] | None) -> pl.DataFrame:
    frame = pl.from_arrow(file.read_row_group(group, columns=columns))
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table is never a series
    return frame


def parse_file(
    path: Path,
    fingerprint: str,
    cache: Path,
    columns: ColumnMap,
    *,
    status: Status | None = None,
    advance: Callable[[int], None] | None = None,
    allow_unreadable: bool = False,
) -> ParsedFile:
    """Read a file, or find it in the cache.

    Parameters
    ----------
    fingerprint
        Of the file's content.
    cache
        A folder; a file's rows are written beside and renamed, so that it holds whole results only.
    status
        The file's `status_of` before it was fingerprinted, to tell whether it has changed since.
    advance
        Called with the bytes of the file that were read so far.
    allow_unreadable
        Whether a file that cannot be read, as a whole or from some place on, is a rejected row instead of an
        error.

    Raises
    ------
    UserError
        If the file as a whole cannot be read, or if it changed while it was read.
    """
    # The name has a part in what the content is taken for only where that leaves it open.
    parts = [fingerprint, READER_VERSION, suffix_of(path), columns.key()]
    key = "\n".join([*parts, "allow unreadable"] if allow_unreadable else parts)
    directory = cache / blake2b(key.encode(), digest_size=16).hexdigest()
    known = _known(directory)
    if known is not None:
        with suppress(OSError):  # says when it was last used; a read-only cache need not
            os.utime(directory / SUMMARY)
        return known
    with _beside(directory) as beside:
        position = Position()
        records = read_records(path, position)
        _parse(_tolerated(records) if allow_unreadable else records, position, beside, columns, advance)
        if status is not None and status != status_of(path):
            raise UserError("changed while it was read", where=str(path), fix="Run again.")
    written = _known(directory)
    if written is None:
        raise UserError("does not keep what is written there", where=str(cache), fix="Check the disk.")
    return written


def is_sound(directory: Path) -> bool:
    """Whether a parsed file is as it was written, by its checksums."""
    summary = _summary(directory)
    if summary is None:
        return False
    digests = _digests(directory)
    return digests.keys() == set(PARTS) and summary.get("digests", digests) == digests


def _known(directory: Path) -> ParsedFile | None:
    """Find a parsed file in the cache; one that is damaged is removed, and so read again."""
    if not directory.is_dir():
        return None
    if not is_sound(directory):
        _log.warning("%s: this cached file is damaged; its source is read again", directory)
        with refusals(directory):
            remove_parsed(directory)
        return None
    summary = _summary(directory) or {}
    if "digests" not in summary:  # of a home made before there were checksums
        with suppress(UserError):
            _write_summary(directory, summary)
    return ParsedFile(
        directory,
        summary["rows"],
        summary["rejected"],
        tuple(summary["columns_met"]),
        summary.get("traits", {}),
        summary.get("unused", {}),
    )


def _summary(directory: Path) -> dict[str, Any] | None:
    """Read a summary; None where it is damaged."""
    try:
        summary: dict[str, Any] = json.loads((directory / SUMMARY).read_bytes())
        digest = summary.pop("digest", None)
        whole = digest is None or digest == _digest(summary)
        return summary if whole and {"rows", "rejected", "columns_met"} <= summary.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _write_summary(directory: Path, summary: dict[str, Any]) -> None:
    complete = summary | {"digests": _digests(directory)}
    write_whole(directory / SUMMARY, json.dumps(complete | {"digest": _digest(complete)}))


def _digest(summary: dict[str, Any]) -> str:
    return blake2b(json.dumps(summary, sort_keys=True).encode(), digest_size=16).hexdigest()


def _digests(directory: Path) -> dict[str, str]:
    found = {}
    for name in PARTS:
        with suppress(FileNotFoundError), (directory / name).open("rb") as file:
            found[name] = file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()
    return found


def remove_parsed(directory: Path) -> None:
    """Remove a parsed file's folder: the files that this package writes there, and nothing else."""
    for name in (SUMMARY, *PARTS):
        (directory / name).unlink(missing_ok=True)
    with suppress(OSError):  # not empty: somebody put something there
        directory.rmdir()


def clear_left_behind(cache: Path) -> None:
    """Remove what runs that were killed left half written in the cache a day ago or more."""
    for directory in cache.glob(".parsing-*"):
        old = time.time() - directory.stat().st_mtime > _LEFT_BEHIND_S
        if old and _BESIDE.fullmatch(directory.name) and not directory.is_symlink():
            with suppress(OSError):
                remove_parsed(directory)


@contextmanager
def _beside(directory: Path) -> Iterator[Path]:
    """Give a folder to write in, which takes the name of ``directory`` once all is written."""
    beside = directory.parent / f".parsing-{secrets.token_hex(8)}"
    try:
        with refusals(directory.parent):
            beside.mkdir(parents=True)
            yield beside
            try:
                beside.rename(directory)
            except OSError:
                # Another process may have read the same file meanwhile, to the same result.
                if not (directory / SUMMARY).is_file():
                    raise
    finally:
        if beside.is_dir():
            remove_parsed(beside)


def _tolerated(records: Iterator[Record]) -> Iterator[Record]:
    """Yield records; what is wrong with the file as a whole is one of them."""
    last = 0
    try:
        for record in records:
            last = record.line
            yield record
    except UserError as error:
        place = "the file cannot be read" if last == 0 else "the rest of the file cannot be read"
        yield Record(last + 1, b"", None, f"{place}: {error.problem}")


def _parse(
    records: Iterator[Record],
    position: Position,
    beside: Path,
    columns: ColumnMap,
    advance: Callable[[int], None] | None,
) -> None:
    rows = rejected = 0
    met: set[str] = set()
    traits: Counter[str] = Counter()
    unused: Counter[str] = Counter()
    with (
        _Writer(beside / "rows.parquet", PARSED_SCHEMA) as good,
        _Writer(beside / "rejected.parquet", _REJECTED_SCHEMA) as bad,
    ):
        for batch in _batches(records, columns):
            good.write(batch.rows())
            bad.write(batch.rejected())
            rows += len(batch.recognised)
            rejected += len(batch.refused)
            met |= batch.met
            traits += batch.traits()
            unused += Counter(chain.from_iterable(row.unused for row in batch.recognised))
            if advance is not None:
                advance(position.done)
    summary = {"rows": rows, "rejected": rejected, "columns_met": sorted(met)}
    _write_summary(beside, summary | {"traits": dict(sorted(traits.items())), "unused": _most(unused)})


def _most(unused: Counter[str]) -> dict[str, int]:
    """Keep the most frequent fields: files may have as many names as rows."""
    return dict(sorted(unused.most_common(_UNUSED_NAMED)))


@dataclass(eq=False)
class _Batch:
    """Rows of a file on their way into the cache."""

    records: list[Record] = field(default_factory=list)
    recognised: list[Recognised] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    refused: list[Record] = field(default_factory=list)
    met: set[str] = field(default_factory=set)
    n_bytes: int = 0

    def add(self, record: Record, columns: ColumnMap) -> None:
        self.n_bytes += len(record.raw)
        if record.row is None:
            self.refused.append(record)
            return
        self.met.update(columns.columns.values() & record.row.keys())
        try:
            recognised = recognise(columns.renamed(record.row))
            self.given.append(columns.given(record.row))
        except RowError as error:
            self.refused.append(Record(record.line, record.raw, None, error.reason))
            return
        except RecursionError:
            self.refused.append(Record(record.line, record.raw, None, "the row is nested too deeply"))
            return
        self.recognised.append(recognised)
        # The parsed row is not needed any more, and holds as much as the text again.
        self.records.append(Record(record.line, record.raw, None))

    def is_full(self) -> bool:
        return len(self.records) + len(self.refused) >= _ROWS_A_BATCH or self.n_bytes >= _BYTES_A_BATCH

    def traits(self) -> Counter[str]:
        """Count what the batch's rows hold beyond a conversation of text."""
        found: Counter[str] = Counter(f"layout {row.format}" for row in self.recognised)
        for row in self.recognised:
            if row.label is not None:
                found["label"] += 1
            if row.is_repr:
                found["python_repr"] += 1
            if row.structure is not None:
                found.update(traits_of(row))
        return found

    def rejected(self) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "line": [record.line for record in self.refused],
                "reason": [record.reason for record in self.refused],
                "raw": [record.raw for record in self.refused],
            },
            schema=_REJECTED_SCHEMA,
        )

    def rows(self) -> pl.DataFrame:
        """Return the batch's good rows with all that is known of each by itself."""
        if not self.recognised:
            return pl.DataFrame(schema=PARSED_SCHEMA)
        conversations = [row.messages for row in self.recognised]
        asked = [_said(messages, "user") for messages in conversations]
        answered = [_said(messages, "assistant") for messages in conversations]
        around = [_said(messages, "system", "tool") for messages in conversations]
        counts = tokens.count([*asked, *around, *answered]).reshape(3, -1)
        identities = [row.identity for row in self.recognised]
        sketches = near_duplicates.sketch(conversations, identities)
        columns: dict[str, Any] = {
            "content_hash": list(map(content_hash, conversations, identities)),
            "id": [row.id for row in self.recognised],
            "source": [row.source for row in self.recognised],
            "line": [record.line for record in self.records],
            "format": [row.format for row in self.recognised],
            "language": language.detect(asked, answered),
            "prompt_tokens": counts[0] + counts[1],
            "response_tokens": counts[2],
            "turns": [sum(turn["role"] == "user" for turn in messages) for messages in conversations],
            "messages": _message_series(conversations),
            "raw": [record.raw.decode() for record in self.records],
            "given_tags": [given.tags for given in self.given],
            "given_score": [given.score for given in self.given],
            "given_embedding": [given.embedding for given in self.given],
            "structure": [row.structure for row in self.recognised],
            "attachments": [row.attachments for row in self.recognised],
            "label": [row.label for row in self.recognised],
            "pass_rate": [row.pass_rate for row in self.recognised],
            "difficulty": [row.difficulty for row in self.recognised],
            "wording": sketches.wording,
            "n_words": sketches.n_words,
            **{name: sketches.bands[:, number] for number, name in enumerate(BANDS)},
        }
        return pl.DataFrame(columns, schema_overrides=PARSED_SCHEMA).select(list(PARSED_SCHEMA))


def _batches(records: Iterator[Record], columns: ColumnMap) -> Iterator[_Batch]:
    batch = _Batch()
    for record in records:
        batch.add(record, columns)
        if batch.is_full():
            yield batch
            batch = _Batch()
    yield batch


def _said(messages: list[Message], *roles: str) -> str:
    return "\n\n".join([turn["content"] for turn in messages if turn["role"] in roles])


def _message_series(conversations: list[list[Message]]) -> pl.Series:
    """Lay messages out as lists of structs by whole columns, not object by object."""
    turns = list(chain.from_iterable(conversations))
    rows = np.repeat(np.arange(len(conversations)), np.fromiter(map(len, conversations), dtype=np.int64))
    flat = pl.DataFrame(
        {
            "row": rows,
            "role": pl.Series([turn["role"] for turn in turns], dtype=pl.String),
            "content": pl.Series([turn["content"] for turn in turns], dtype=pl.String),
        }
    )
    grouped = flat.group_by("row", maintain_order=True).agg(pl.struct("role", "content").alias("messages"))
    return grouped["messages"]


class _Writer:
    """Writes frames of one schema to a Parquet file, a row group each."""

    def __init__(self, path: Path, schema: dict[str, pl.DataType]) -> None:
        self._schema = pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd", compression_level=1)

    def __enter__(self) -> Self:
        return self

    def write(self, frame: pl.DataFrame) -> None:
        if frame.height:
            table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            self._writer.write_table(table.cast(self._schema))

    def __exit__(self, *_: object) -> None:
        self._writer.close()
