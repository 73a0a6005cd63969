"""A table, a view or a query's answer in a DuckDB file, opened for reading only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from tags_assets.errors import UserError
from tags_assets.formats.readers.table_row import records_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tags_assets.formats.readers.record import Position, Record

SEPARATOR = "::"
"""Stands between a DuckDB file and what is read from it, as in ``my.duckdb::rows``."""

_QUERY = re.compile(r"\s*(select|from|with|values|\()\b|\s*\(", re.IGNORECASE)
_PLAIN = re.compile(r"\w+\.\w+", re.ASCII)
_ROWS_A_BATCH = 1024


def is_relation(path: str | Path) -> bool:
    """Say whether a path is a relation's; a file whose name holds the separator is a file."""
    return SEPARATOR in str(path) and not Path(path).exists()


def relation_path(database: Path, relation: str) -> Path:
    """Name a relation as a path, the slashes of a query escaped so that they part no folders."""
    return database.with_name(f"{database.name}{SEPARATOR}{relation.replace('%', '%25').replace('/', '%2F')}")


def split_relation(path: Path) -> tuple[Path, str]:
    """Return the DuckDB file and the table or query of a path that `relation_path` made."""
    database, _, relation = path.name.partition(SEPARATOR)
    return path.with_name(database), relation.replace("%2F", "/").replace("%25", "%")


def is_query(relation: str) -> bool:
    return _QUERY.match(relation) is not None


def read_relation(path: Path, position: Position) -> Iterator[Record]:
    """Yield the rows of a relation, numbered from 1 in the order in which DuckDB gives them.

    Raises
    ------
    UserError
        If the file cannot be opened, or the relation cannot be read from it.
    """
    database, relation = split_relation(path)
    with _connect(database) as connection:
        try:
            query = relation if is_query(relation) else f"from {_known_table(connection, database, relation)}"
            number = 1
            for batch in connection.sql(query).to_arrow_reader(_ROWS_A_BATCH) or ():
                yield from records_of(batch, number)
                number += batch.num_rows
        except duckdb.Error as error:
            problem = f"DuckDB says: {str(error).splitlines()[0]}"
            raise UserError(problem, where=f"{database}{SEPARATOR}{relation}") from error
    position.done = database.stat().st_size


def tables_of(database: Path) -> list[str]:
    """List the tables and views of a DuckDB file, those outside of the main schema with their schema."""
    with _connect(database) as connection:
        return _tables(connection)


def _connect(database: Path) -> duckdb.DuckDBPyConnection:
    if not database.is_file():
        raise UserError("there is no such DuckDB file", where=str(database))
    try:
        return duckdb.connect(str(database), read_only=True)
    except duckdb.Error as error:
        locked = "lock" in str(error).lower()
        raise UserError(
            "another process has the DuckDB file open for writing"
            if locked
            else f"cannot be opened as a DuckDB file: {str(error).splitlines()[0]}",
            where=str(database),
            mend="Close it there, or read a copy." if locked else None,
        ) from error


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    found = connection.execute(
        "select table_schema, table_name from information_schema.tables "
        "where table_catalog = current_database() order by all"
    ).fetchall()
    return [name if schema == "main" else f"{schema}.{name}" for schema, name in found]


def _known_table(connection: duckdb.DuckDBPyConnection, database: Path, relation: str) -> str:
    known = _tables(connection)
    if relation not in known:
        raise UserError.unknown("table", relation, known, where=str(database))
    return relation if _PLAIN.fullmatch(relation) else '"' + relation.replace('"', '""') + '"'
