"""A table, a view or a query's answer in a DuckDB file, opened for reading only.

Both may come from somebody else: the file with its views and macros, and the query out of a target's file. So
they are read in a confined process (`tags_assets.confined`), which also survives a damaged file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tags_assets.confined.process import NO_MEMORY, TOO_SLOW, ConfinedError, run
from tags_assets.errors import UserError
from tags_assets.formats.readers.table_row import records_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from tags_assets.formats.readers.record import Position, Record

SEPARATOR = "::"
"""Stands between a DuckDB file and what is read from it, as in ``my.duckdb::rows``."""

_QUERY = re.compile(r"\s*(select|from|with|values|\()\b|\s*\(", re.IGNORECASE)

SECONDS = 120.0
"""Most time that a table, a view or a query may take for its first rows, or for the next ones."""


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
    number = 1
    try:
        for batch in _run(database, {"relation": relation, "query": is_query(relation)}):
            yield from records_of(batch, number)
            number += batch.num_rows
    except ConfinedError as error:
        if error.kind == "NoTable":
            raise UserError.unknown("table", relation, tables_of(database), where=str(database)) from None
        raise _explained(error, f"{database}{SEPARATOR}{relation}") from error
    position.done = database.stat().st_size


def tables_of(database: Path) -> list[str]:
    """List the tables and views of a DuckDB file, those outside of the main schema with their schema."""
    try:
        return [str(name) for batch in _run(database, {}) for name in batch.column(0).to_pylist()]
    except ConfinedError as error:
        raise _explained(error, str(database)) from error


def _run(database: Path, request: dict[str, object]) -> Iterator[pa.RecordBatch]:
    if not database.is_file():
        raise UserError("there is no such DuckDB file", where=str(database))
    return run({"database": str(database), **request}, seconds=SECONDS)


def _explained(error: ConfinedError, where: str) -> UserError:
    if error.kind == "CannotOpen" and "lock" in error.message.lower():
        return UserError(
            "another process has the DuckDB file open for writing",
            where=where.partition(SEPARATOR)[0],
            fix="Close it there, or read a copy.",
        )
    if error.kind == "CannotOpen":
        return UserError(
            f"cannot be opened as a DuckDB file: {error.line}", where=where.partition(SEPARATOR)[0]
        )
    if error.kind in ("Refused", "PermissionException"):
        return UserError(
            f"may not be read: it {error.line}"
            if error.kind == "Refused"
            else f"may not be read: {error.line}",
            where=where,
            fix="A pool can read the tables of its own DuckDB file and nothing else.",
        )
    if error.kind in (TOO_SLOW, NO_MEMORY, "OutOfMemoryException"):
        return UserError(
            f"DuckDB cannot answer: {error.line}",
            where=where,
            fix="Write the rows to a table of the file, and read that table.",
        )
    return UserError(f"DuckDB says: {error.line}", where=where)
