"""One artifact version as a DuckDB file: how its tables are written and how they come back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from tags_assets.errors import InvalidInputError
from tags_assets.store.connections import interruptible
from tags_assets.store.layout import VERSION_TABLE, check_identifier, quote_name
from tags_assets.store.versions import StoredTable

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray
    from polars._typing import PolarsDataType

    from tags_assets.store.connections import Connections
    from tags_assets.store.versions import ArtifactVersion, Columns

Rows = pl.DataFrame | pl.LazyFrame | Iterable[pl.DataFrame]
"""A table to write: whole, lazy, or in pieces of one schema. The last two are never whole in memory."""

_BATCH_ROWS = 16_384
_SMALL_BYTES = 4 << 20
_SMALL_BLOCKS = "block_size 16384"  # 60 KB instead of 800 KB for an artifact of a few hundred rows
_LONG_TEXT = 200
"""Mean bytes per row from which zstd pays: 18 MB instead of 31 MB for 19,636 conversations, no slower."""
_PLAIN = (pl.String, pl.Binary, pl.Boolean, pl.Date, pl.Time, pl.Datetime, pl.Decimal)


class Vectors(NamedTuple):
    """Rows' ids, and a float32 matrix of shape (n_rows, n_dimensions) in the same order."""

    ids: pl.Series
    matrix: NDArray[np.float32]


class _Table(NamedTuple):
    schema: pl.Schema
    batches: Iterator[pl.DataFrame]
    first: pl.DataFrame
    whole: bool
    """Whether `first` is all there is."""


def write_artifact(
    connections: Connections,
    path: Path,
    tables: Mapping[str, Rows],
    describe: Callable[[Mapping[str, StoredTable]], Mapping[str, object]],
) -> Mapping[str, object]:
    """Write a new artifact to a new file, each table in the order of its rows.

    Columns of dtype Null, Categorical and Enum are stored as VARCHAR.

    Parameters
    ----------
    connections, path, tables
        Where and what.
    describe
        Makes the row of ``_version`` out of what was written; the row is returned.

    Raises
    ------
    ValueError, TypeError
        If names, types or pieces do not make a table.
    """
    opened = {check_identifier("table", name): _open(name, rows) for name, rows in tables.items()}
    small = all(table.whole and table.first.estimated_size() < _SMALL_BYTES for table in opened.values())
    options = _SMALL_BLOCKS if small else ""
    with connections.attached({"artifact": path}, read_only=False, options=options) as cursor:
        cursor.execute(f"set force_compression = '{'zstd' if _has_long_text(opened) else 'auto'}'")
        cursor.execute("begin")
        for name, table in opened.items():
            _insert(cursor, name, table)
        row = describe({name: _describe(cursor, name) for name in opened})
        cursor.register("incoming", pl.DataFrame([row], infer_schema_length=None))
        cursor.execute(f"create table artifact.{VERSION_TABLE} as from incoming")
        cursor.unregister("incoming")
        cursor.execute("commit")
        cursor.execute("checkpoint artifact")
        cursor.execute("set force_compression = 'auto'")
    return row


def read_version_row(connections: Connections, path: Path) -> dict[str, object]:
    """Read that row back from the artifact."""
    with connections.attached({"artifact": path}) as cursor:
        return fetch(cursor, f"from artifact.{VERSION_TABLE}").row(0, named=True)


def read_table(
    connections: Connections, path: Path, table: str, columns: Iterable[str] | None
) -> pl.DataFrame:
    """Read a table whole, in the order in which it was written."""
    with connections.attached({"artifact": path}) as cursor:
        return fetch(cursor, _select(table, columns))


def read_batches(
    connections: Connections, path: Path, table: str, columns: Iterable[str] | None, rows: int
) -> Iterator[pl.DataFrame]:
    """Read a table in pieces of about `rows` rows, in order and without having it whole in memory."""
    with connections.attached({"artifact": path}) as cursor:
        for batch in cursor.sql(_select(table, columns)).to_arrow_reader(rows):
            piece = pl.from_arrow(batch)
            if isinstance(piece, pl.DataFrame) and piece.height:
                yield piece


def read_vectors(
    connections: Connections, path: Path, table: str, *, rows: int, id_column: str, vector_column: str
) -> Vectors:
    """Read embeddings into one matrix, with no second copy of it in memory.

    Raises
    ------
    ValueError
        If a vector is missing or two differ in length.
    """
    ids: list[pl.Series] = []
    matrix: NDArray[np.float32] | None = None
    filled = 0
    for piece in read_batches(connections, path, table, (id_column, vector_column), _BATCH_ROWS):
        vectors = piece[vector_column].cast(pl.List(pl.Float32))
        width = (vectors.list.len()[0] or 0) if matrix is None else matrix.shape[1]
        flat = vectors.explode(empty_as_null=False)
        if not (vectors.list.len() == width).all(ignore_nulls=False) or flat.null_count():
            raise ValueError(
                f"{path.name}: the vectors of {table}.{vector_column} are not all of length {width}"
            )
        if matrix is None:
            matrix = np.empty((rows, width), dtype=np.float32)
        matrix[filled : filled + piece.height] = flat.to_numpy().reshape(piece.height, width)
        filled += piece.height
        ids.append(piece[id_column])
    if matrix is None:
        return Vectors(pl.Series(id_column, [], dtype=pl.String), np.empty((0, 0), dtype=np.float32))
    return Vectors(pl.concat(ids), matrix)


def fetch(
    cursor: duckdb.DuckDBPyConnection, sql: str, params: Mapping[str, object] | Sequence[object] | None = None
) -> pl.DataFrame:
    """Run a query and return its rows."""
    try:
        with interruptible(cursor):
            relation = cursor.sql(sql, params=params)
            if relation is None:  # an empty text, or a comment
                raise InvalidInputError("the query is empty", fix="Write one SELECT.")
            frame: pl.DataFrame = relation.pl()
    except RuntimeError as error:
        if str(error) == "Query interrupted":  # so DuckDB says what Python says otherwise
            raise KeyboardInterrupt from None
        raise
    return frame


def duckdb_columns(connections: Connections, schema: pl.Schema) -> Columns:
    """Return the DuckDB types in which a frame of this schema is stored."""
    with connections.cursor() as cursor:
        cursor.register("incoming", storable(pl.DataFrame(schema=schema), "the schema"))
        columns = _columns(cursor, "incoming")
        cursor.unregister("incoming")
    return columns


def digest_file(path: Path) -> str:
    """Return the BLAKE2b of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def storable(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the frame with columns that have no type of their own in DuckDB as text.

    Raises
    ------
    TypeError
        For a dtype that would not come back as it went in.
    ValueError
        For column names that DuckDB cannot tell apart (it ignores case), or that mean something else to it.
    """
    names = [column.lower() for column in frame.columns]
    if len(set(names)) < len(names) or "rowid" in names or not names:
        raise ValueError(
            f"{name}: columns must differ by more than case and not be named rowid: {frame.columns}"
        )
    for column, dtype in frame.schema.items():
        _check_type(dtype, f"{name}.{column}")
    as_text = [
        column
        for column, dtype in frame.schema.items()
        if dtype.base_type() in (pl.Null, pl.Categorical, pl.Enum)
    ]
    return frame.with_columns(pl.col(as_text).cast(pl.String)) if as_text else frame


def _check_type(dtype: pl.DataType, where: str) -> None:
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            _check_type(_instance(field.dtype), f"{where}.{field.name}")
    elif isinstance(dtype, (pl.List, pl.Array)):
        _check_type(_instance(dtype.inner), f"{where}[]")
    elif not (
        isinstance(dtype, (*_PLAIN, pl.Null, pl.Categorical, pl.Enum)) or dtype.is_numeric()
    ) or dtype in (
        pl.Int128,
        pl.UInt128,
        pl.Float16,
    ):
        raise TypeError(f"{where}: {dtype} cannot be stored and read back as it is")


def _instance(dtype: PolarsDataType) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype


def _open(name: str, rows: Rows) -> _Table:
    """Look at the first piece, which says what the columns are."""
    whole = isinstance(rows, pl.DataFrame)
    batches = (storable(piece, name) for piece in _pieces(rows))
    first = next(batches, None)
    if first is None:
        raise ValueError(
            f"{name}: no piece at all; give an empty frame with its schema where there are no rows"
        )
    if isinstance(rows, pl.DataFrame):
        whole = rows.height <= _BATCH_ROWS
    return _Table(first.schema, chain([first], batches), first, whole)


def _pieces(rows: Rows) -> Iterator[pl.DataFrame]:
    if isinstance(rows, pl.LazyFrame):
        empty = True
        for piece in rows.collect_batches(chunk_size=_BATCH_ROWS, maintain_order=True):
            empty = False
            yield piece
        if empty:
            yield pl.DataFrame(schema=rows.collect_schema())
        return
    for frame in (rows,) if isinstance(rows, pl.DataFrame) else rows:
        if frame.height <= _BATCH_ROWS:
            yield frame
        else:
            yield from frame.iter_slices(_BATCH_ROWS)


def _has_long_text(tables: Mapping[str, _Table]) -> bool:
    """Whether a table's text and bytes are long enough for zstd, by its first piece."""
    for table in tables.values():
        texts = [column for column in table.first if _holds_text(column.dtype)]
        if (
            table.first.height
            and sum(column.estimated_size() for column in texts) > _LONG_TEXT * table.first.height
        ):
            return True
    return False


def _holds_text(dtype: pl.DataType) -> bool:
    if isinstance(dtype, pl.Struct):
        return any(_holds_text(_instance(field.dtype)) for field in dtype.fields)
    if isinstance(dtype, (pl.List, pl.Array)):
        return _holds_text(_instance(dtype.inner))
    return isinstance(dtype, (pl.String, pl.Binary))


def _insert(cursor: duckdb.DuckDBPyConnection, name: str, table: _Table) -> None:
    target = f"artifact.{quote_name(name)}"
    for number, piece in enumerate(table.batches):
        if piece.schema != table.schema:
            difference = _difference(piece.schema, table.schema)
            raise ValueError(f"{name}: piece {number} has other columns than the first: {difference}")
        cursor.register("incoming", piece)
        verb = f"create table {target} as" if number == 0 else f"insert into {target}"
        cursor.execute(f"{verb} from incoming")
        cursor.unregister("incoming")


def _difference(found: pl.Schema, expected: pl.Schema) -> str:
    names = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    if not names:
        return f"order {list(found)} instead of {list(expected)}"
    return ", ".join(
        f"{name} is {found.get(name, 'missing')}, not {expected.get(name, 'there')}" for name in names
    )


def _describe(cursor: duckdb.DuckDBPyConnection, name: str) -> StoredTable:
    table = f"artifact.{quote_name(name)}"
    columns = _columns(cursor, table)
    values = ", ".join(quote_name(column) for column, _ in columns)
    ((rows, checksum),) = cursor.execute(
        f"select count(*), coalesce(bit_xor(hash(rowid, {values})), 0) from {table}"
    ).fetchall()
    return StoredTable(rows=rows, columns=columns, checksum=f"{checksum:016x}")


def _columns(cursor: duckdb.DuckDBPyConnection, relation: str) -> Columns:
    return tuple((str(row[0]), str(row[1])) for row in cursor.execute(f"describe {relation}").fetchall())


def _select(table: str, columns: Iterable[str] | None) -> str:
    names = "*" if columns is None else ", ".join(quote_name(column) for column in columns)
    return f"select {names} from artifact.{quote_name(table)}"


def database_name(version: ArtifactVersion) -> str:
    """Return the name under which a version is attached for a query."""
    return f"{version.asset} {version.partition} {version.data_version}"


def define_views(cursor: duckdb.DuckDBPyConnection, alias: str, versions: Sequence[ArtifactVersion]) -> None:
    """Create the temporary views of one alias over versions that are attached under their `database_name`."""
    names = {table: None for version in versions for table in version.tables}
    for table in names:
        view = quote_name(alias if table == "data" else f"{alias}_{table}")
        holders = [version for version in versions if table in version.tables]
        parts = (f"from {quote_name(database_name(version))}.{quote_name(table)}" for version in holders)
        cursor.execute(f"create temp view {view} as {' union all by name '.join(parts)}")
