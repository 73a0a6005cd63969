"""Readers: the rows of a file, whatever its format, one record each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.errors import UserError
from tags_assets.formats.readers.csv_table import read_csv
from tags_assets.formats.readers.duckdb_relation import SEPARATOR, is_relation, read_relation, tables_of
from tags_assets.formats.readers.isolated import read_isolated, release
from tags_assets.formats.readers.json_document import read_json_document
from tags_assets.formats.readers.json_lines import read_json_lines
from tags_assets.formats.readers.record import Position, Record, bounded
from tags_assets.formats.readers.sniff import sniff

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Position", "Record", "read_records", "release"]


def read_records(path: Path, position: Position | None = None) -> Iterator[Record]:
    """Yield the rows of a file or of a DuckDB relation, in bounded memory.

    A row that cannot be read is a record with a reason. Blank lines are no rows.

    Parameters
    ----------
    position
        Kept up to date with the bytes that were read, for a progress bar.

    Raises
    ------
    UserError
        If the file as a whole cannot be read: it is missing, of a foreign format, damaged or cut short.
    """
    position = position or Position()
    if is_relation(path):
        yield from read_relation(path, position)
        return
    yield from bounded(_records(path, position), path)


def _records(path: Path, position: Position) -> Iterator[Record]:
    sniffed = sniff(path)
    match sniffed.kind:
        case "json_lines":
            return read_json_lines(path, sniffed.compression, position)
        case "json_document":
            return read_json_document(path, sniffed.compression, position)
        case "csv":
            return read_csv(path, sniffed.compression, position)
        case "parquet" | "arrow_stream" | "arrow_file":
            return read_isolated(path, sniffed.kind, position)
        case "duckdb":
            tables = ", ".join(tables_of(path)[:8])
            raise UserError(
                "is a DuckDB file, and none of its tables is named",
                where=str(path),
                fix=f"Write {path.name}{SEPARATOR}TABLE or a query for TABLE; it holds {tables or 'none'}.",
            )
