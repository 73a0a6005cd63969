"""A pool of files as instances: every row read, duplicates marked, none lost from the count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from tags_assets.errors import UserError, printable
from tags_assets.formats import near_duplicates
from tags_assets.formats.column_map import ColumnMap
from tags_assets.formats.content_hash import identity
from tags_assets.formats.instance import COUNTS_SCHEMA, INSTANCE_SCHEMA, REJECTED_SCHEMA
from tags_assets.formats.parsed_file import BANDS, ParsedFile, clear_left_behind, parse_file
from tags_assets.formats.pool_files import expand_pool, fingerprint_files, names_of, source_of, status_of
from tags_assets.formats.readers import release
from tags_assets.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from tags_assets.formats.instance import Message

__all__ = ["PoolRead", "expand_pool", "fingerprint_files", "read_pool"]

_ROWS_COMPARED = 50_000
"""Rows whose texts are held at once while near-duplicates are confirmed."""


@dataclass(frozen=True, eq=False)
class PoolRead:
    """What was read of a pool; duplicates are looked for when they are first asked for."""

    _files: tuple[_PoolFile, ...]

    @cached_property
    def marks(self) -> pl.DataFrame:
        """``instance_id``, ``source``, ``duplicate_of`` and ``near_duplicate`` of every row, in order."""
        return _marks(self._files)

    @cached_property
    def counts(self) -> pl.DataFrame:
        """What became of each file's rows, ``COUNTS_SCHEMA``, one row per file."""
        return _counts(self._files, self.marks)

    @property
    def n_files(self) -> int:
        return len(self._files)

    @property
    def rows_in(self) -> int:
        return sum(file.parsed.n_rows + file.parsed.n_rejected for file in self._files)

    @property
    def rows_kept(self) -> int:
        return int(self.counts["rows_kept"].sum())

    @property
    def rows_rejected(self) -> int:
        return sum(file.parsed.n_rejected for file in self._files)

    @cached_property
    def traits(self) -> dict[str, int]:
        """How many rows have what, as `tags_assets.formats.traits` names it, and how many each layout."""
        return dict(sum((Counter(file.parsed.traits) for file in self._files), Counter[str]()))

    @cached_property
    def unused(self) -> dict[str, int]:
        """How many rows have a field that looks like content and is not used, the most frequent first."""
        return dict(sum((Counter(file.parsed.unused) for file in self._files), Counter[str]()).most_common())

    @property
    def rows_duplicate(self) -> int:
        """Exact and near-duplicates."""
        return int(self.counts["rows_duplicate"].sum())

    @property
    def instances(self) -> pl.LazyFrame:
        """All rows that could be read, ``INSTANCE_SCHEMA``, in order; read batch by batch."""

        def source(
            with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            left = self.marks.height if n_rows is None else n_rows
            for batch in self.batches(with_columns):
                if left <= 0:
                    return
                head = batch.head(left)
                left -= head.height
                yield head if predicate is None else head.filter(predicate)

        return register_io_source(source, schema=pl.Schema(INSTANCE_SCHEMA), is_pure=True)

    @cached_property
    def rejected(self) -> pl.DataFrame:
        """The rows that could not be read, ``REJECTED_SCHEMA``."""
        frames = [
            file.parsed.rejected().select(pl.lit(file.name).alias("file"), "line", "reason", "raw")
            for file in self._files
        ]
        return pl.concat([pl.DataFrame(schema=REJECTED_SCHEMA), *frames])

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """Yield the instances, at most 4,096 rows at a time, with all columns or those named."""
        wanted = [name for name in INSTANCE_SCHEMA if columns is None or name in columns]
        ours = {"file", *self.marks.columns}
        parsed = [name for name in wanted if name not in ours] or ["line"]
        start = 0
        for file in self._files:
            for batch in file.parsed.batches(parsed):
                marks = self.marks.slice(start, batch.height)
                start += batch.height
                whole = pl.concat([batch, marks], how="horizontal")
                yield whole.with_columns(pl.lit(file.name).alias("file")).select(wanted)


@dataclass(frozen=True)
class _PoolFile:
    path: Path
    name: str
    source: str
    parsed: ParsedFile


def read_pool(
    files: Sequence[Path],
    *,
    cache: Path,
    columns: Mapping[str, str] | None = None,
    allow_unreadable: bool = False,
    need_columns: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> PoolRead:
    """Read a pool.

    Rows are numbered in the order of the files and, within a file, of its lines. A row's text is held only
    while its batch is read, so memory grows with the number of rows and not with their length.

    Parameters
    ----------
    files
        As `expand_pool` gives them.
    cache
        A folder that holds each file's parsed rows by content: a file that was read before is not read again.
    columns
        Columns of the user's own, see `ColumnMap`.
    allow_unreadable
        Whether the run goes on without files that cannot be read or hold no usable row; they are rejected
        rows.
    need_columns
        Whether each mapped column has to be in some row.
    progress
        Called with the bytes read and the bytes in all.

    Raises
    ------
    UserError
        If a file as a whole cannot be read or has rows and none of them can be read, if there is no row, or
        if a mapped column is in no row.
    """
    clear_left_behind(cache)
    mapping = ColumnMap(columns)
    statuses = [status_of(file) for file in files]
    fingerprints = fingerprint_files(files, cache)
    total = sum(status.size for status in statuses)
    before = 0
    pool: list[_PoolFile] = []
    try:
        for path, name, status in zip(files, names_of(files), statuses, strict=True):

            def advance(done: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + done, total)

            fingerprint = fingerprints[str(path)]
            parsed = parse_file(
                path,
                fingerprint,
                cache,
                mapping,
                status=status,
                advance=advance,
                allow_unreadable=allow_unreadable,
            )
            advance(status.size)
            before += status.size
            pool.append(_PoolFile(path, name, source_of(path), parsed))
    finally:
        release()
    _complain(pool, mapping if need_columns else ColumnMap(), allow_unreadable=allow_unreadable)
    return PoolRead(tuple(pool))


def _complain(pool: Sequence[_PoolFile], columns: ColumnMap, *, allow_unreadable: bool) -> None:
    """Raise the one error of a pool, or of a file in it, that nothing can be made of."""
    n_rows = sum(file.parsed.n_rows for file in pool)
    n_rejected = sum(file.parsed.n_rejected for file in pool)
    names = listed([file.name for file in pool], 3)
    if n_rows + n_rejected == 0:
        fix = "Its files are empty: name some that hold rows."
        raise UserError("the pool has no row", where=names or None, fix=fix)
    useless = [file for file in pool if file.parsed.n_rejected and not file.parsed.n_rows]
    if useless and (n_rows == 0 or not allow_unreadable):
        bad = useless[0]
        rejected = bad.parsed.rejected()
        reasons = Counter(rejected["reason"].to_list()).most_common(2)
        of_files = f" (and none in {len(useless) - 1:,} other files)" if len(useless) > 1 else ""
        raise UserError(
            f"not one of the {bad.parsed.n_rejected:,} rows can be read{of_files}: "
            + "; ".join(f"{n:,} x {why}" for why, n in reasons),
            where=f"{bad.name}:{rejected['line'][0]}",
            fix="Rows are Alpaca, ShareGPT, messages, prompt and completion, or chosen and rejected."
            + (" Leave the file out, or go on without it: --allow-unreadable-files." if n_rows else ""),
        )
    met = {column for file in pool for column in file.parsed.columns_met}
    for ours, theirs in columns.columns.items():
        if theirs not in met:
            raise UserError(f"no row has a column named {theirs!r}", where=f"columns.{ours}")


def _marks(pool: Sequence[_PoolFile]) -> pl.DataFrame:
    """Give every row its identity, and every duplicate the row that is kept in its place."""
    content = pl.concat([file.parsed.column("content_hash") for file in pool])
    n_rows = len(content)
    frame = pl.DataFrame({"content": content, "row": np.arange(n_rows)})
    first = frame.select(pl.col("row").first().over("content")).to_series().to_numpy()
    kept = _kept_of(pool, np.flatnonzero(first == np.arange(n_rows)), n_rows)[first]
    ids, sources = _identities(pool, content)
    duplicate = kept != np.arange(n_rows)
    return pl.DataFrame(
        {
            "instance_id": ids,
            "source": sources,
            "duplicate_of": ids.gather(kept).zip_with(
                pl.Series(duplicate), pl.Series([None], dtype=pl.String)
            ),
            # The kept row is the first with its text, so it is another text if it is not the first with this
            # one.
            "near_duplicate": duplicate & (kept != first),
        }
    )


def _kept_of(pool: Sequence[_PoolFile], distinct: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    """Map rows to the row that is kept in their place, themselves where they are kept, int64 (n_rows,).

    Only ``distinct`` rows, those with a text that no earlier row has, are looked at.
    """
    kept = np.arange(n_rows)
    wording = _column(pool, "wording")[distinct]
    # Rows with the same words: the first of them stands for all.
    _, firsts, which = np.unique(wording, return_index=True, return_inverse=True)
    kept[distinct] = distinct[firsts[which]]
    standing = distinct[np.sort(firsts)]
    n_words = _column(pool, "n_words").astype(np.int32)[standing]
    pairs = near_duplicates.proposed((_column(pool, band)[standing] for band in BANDS), n_words)
    near, places = _confirm(pool, standing[pairs])
    pairs, places = pairs[near], places[near]
    replaced = near_duplicates.representatives(pairs[near_duplicates.outside_slots(pairs, places)])
    if replaced:
        later, earlier = np.array(list(replaced.items()), dtype=np.int64).T
        kept[standing[later]] = standing[earlier]
    return kept[kept]


def _column(pool: Sequence[_PoolFile], name: str) -> NDArray[np.uint64]:
    return np.concatenate([file.parsed.column(name).to_numpy() for file in pool])


def _confirm(
    pool: Sequence[_PoolFile], pairs: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Decide pairs of rows, as many at once as their texts may be held."""
    near = np.zeros(len(pairs), dtype=np.bool_)
    places = np.full(len(pairs), -1, dtype=np.int64)
    for start in range(0, len(pairs), _ROWS_COMPARED // 2):
        chunk = slice(start, start + _ROWS_COMPARED // 2)
        rows, numbers = np.unique(pairs[chunk], return_inverse=True)
        near[chunk], places[chunk] = near_duplicates.confirmed(
            _messages_of(pool, rows), numbers.reshape(-1, 2)
        )
    return near, places


def _messages_of(pool: Sequence[_PoolFile], rows: NDArray[np.int64]) -> list[list[Message]]:
    """Fetch the messages of some rows, given in ascending order."""
    found: list[list[Message]] = []
    start = 0
    for file in pool:
        stop = start + file.parsed.n_rows
        first, last = np.searchsorted(rows, [start, stop])
        found += file.parsed.messages(rows[first:last] - start)
        start = stop
    return found


def _identities(pool: Sequence[_PoolFile], content: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Name every row: by source, file, line and content.

    The file's part is its name without folders, so that a pool that moves keeps its rows' names. Two rows
    that agree in all four, from files of one name in two folders, are told apart by counting.
    """
    ids: list[str] = []
    sources: list[pl.Series] = []
    start = 0
    for file in pool:
        own = file.parsed.column("source").fill_null(file.source)
        lines = file.parsed.column("line")
        hashes = content[start : start + len(own)]
        name = file.path.name
        # The source is free text, so it stands last.
        ids += [identity(name, str(n), h, s) for s, n, h in zip(own, lines, hashes, strict=True)]
        sources.append(own)
        start += len(own)
    seen: Counter[str] = Counter()
    if len(set(ids)) < len(ids):
        for place, name in enumerate(ids):
            seen[name] += 1
            if seen[name] > 1:
                ids[place] = identity(name, str(seen[name]))
    return pl.Series("instance_id", ids, dtype=pl.String), pl.concat(sources)


def _counts(pool: Sequence[_PoolFile], marks: pl.DataFrame) -> pl.DataFrame:
    rows = []
    start = 0
    for file in pool:
        of_file = marks.slice(start, file.parsed.n_rows)
        start += file.parsed.n_rows
        duplicate = of_file.height - of_file["duplicate_of"].null_count()
        rows.append(
            {
                "file": file.name,
                "path": printable(str(file.path)),
                "rows_in": file.parsed.n_rows + file.parsed.n_rejected,
                "rows_kept": file.parsed.n_rows - duplicate,
                "rows_rejected": file.parsed.n_rejected,
                "rows_duplicate": duplicate,
                "rows_near_duplicate": int(of_file["near_duplicate"].sum()),
            }
        )
    return pl.DataFrame(rows, schema=COUNTS_SCHEMA)
