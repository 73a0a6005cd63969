"""What format a file has: by what is in it, and by its name only where that leaves it open."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import orjson

from tags_assets.errors import UserError
from tags_assets.formats.readers.csv_table import columns_of, delimiter_line, known_fields
from tags_assets.formats.readers.json_row import clean
from tags_assets.formats.readers.record import MAX_ROW_BYTES
from tags_assets.formats.readers.streams import compression_of, head

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["json_lines", "json_document", "csv", "parquet", "arrow_stream", "arrow_file", "duckdb"]

SUFFIXES: dict[str, Kind] = {
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".jsonlines": "json_lines",
    ".jl": "json_lines",
    ".json": "json_document",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow_stream",
    ".feather": "arrow_file",
}
"""Names under which data is looked for in folders, alone or with one of `COMPRESSED_SUFFIXES` behind."""

COMPRESSED_SUFFIXES = (".gz", ".zst", ".zstd", ".bz2", ".xz", ".lz4", ".zip")

_MAGIC: dict[bytes, Kind] = {b"PAR1": "parquet", b"ARROW1": "arrow_file", b"\xff\xff\xff\xff": "arrow_stream"}
_FOREIGN = {
    b"%PDF": ("a PDF", None),
    b"SQLite format 3\x00": ("a SQLite database", "Export the table as CSV or Parquet."),
    b"\x89HDF": ("an HDF5 file", "Export it as Parquet."),
    b"\x93NUMPY": ("a NumPy array", None),
    b"\xff\xfe": ("UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8."),
    b"\xfe\xff": ("UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8."),
    b"version https://git-lfs": ("a Git LFS pointer, not the data", "Run `git lfs pull`."),
}


@dataclass(frozen=True, slots=True)
class Sniffed:
    """A file's format and its compression, None where it has none."""

    kind: Kind
    compression: str | None


def suffix_of(path: Path) -> str:
    """Return a file's suffix in lower case, that of a compression left out."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    while suffixes and suffixes[-1] in COMPRESSED_SUFFIXES:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def sniff(path: Path) -> Sniffed:
    """Tell a file's format.

    Raises
    ------
    UserError
        If the file cannot be opened or is of no format that is read.
    """
    compression = compression_of(path)
    start = head(path, compression)
    if start.lstrip()[:1] == b"{" and b"\n" not in start:
        start = head(path, compression, MAX_ROW_BYTES)  # a long first row: is it all of its line?
    kind = _by_magic(path, start)
    if kind is None:
        kind = _by_text(start, SUFFIXES.get(suffix_of(path)))
        if kind is None:
            raise UserError(
                "holds none of the formats that are read",
                where=str(path),
                fix="They are JSON Lines, JSON, CSV, Parquet, Arrow and DuckDB.",
            )
    elif compression:
        raise UserError(f"is a {kind} file inside of {compression}", where=str(path), fix="Unpack it.")
    return Sniffed(kind, compression)


def _by_magic(path: Path, start: bytes) -> Kind | None:
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind
    if start[8:12] == b"DUCK":
        return "duckdb"
    for magic, (what, fix) in _FOREIGN.items():
        # A pointer to data is one line among others in a broken dump, and a file of three lines by itself.
        if start.startswith(magic) and not (magic.startswith(b"version") and len(start) > 1024):
            raise UserError(f"is {what}", where=str(path), fix=fix)
    return None


def _by_text(start: bytes, named: Kind | None) -> Kind | None:
    text = clean(start)
    if b"\n" not in text:
        text = text.replace(b"\r", b"\n")  # lines of old Macs
    first, _, rest = text.partition(b"\n")
    if not text:
        return named or "json_lines"
    if text[:1] in (b"{", b"["):
        return _json_kind(text, first, rest, named)
    if _is_header(first, named):
        return "csv"
    if named in ("json_lines", "json_document") or re.search(rb"(?:^|\n)[ \t\r]*\{", text):
        # Broken lines at the top of a dump; a document that begins with anything but a bracket is none.
        return "json_lines"
    return None


def _json_kind(text: bytes, first: bytes, rest: bytes, named: Kind | None) -> Kind:
    if _is_json(first):
        alone = not rest.strip()
        if alone and (first.startswith(b"[") or named == "json_document"):
            return "json_document"
        return "json_lines"
    rows = [line for line in text.split(b"\n")[:50] if _is_json(line) and line.strip().startswith(b"{")]
    # An array with a row a line has commas at the ends of its lines, but for the last; an object that is
    # printed over several lines begins with its bracket alone.
    if named == "json_lines":
        in_lines = len(rows) > 1 or (first.startswith(b"{") and first.strip() != b"{")
    else:
        in_lines = len(rows) > 1 and first.startswith(b"{")
    return "json_lines" if in_lines else "json_document"


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _is_header(line: bytes, named: Kind | None) -> bool:
    try:
        text = line.decode().strip()
        _, columns = columns_of(text)
    except (UnicodeDecodeError, csv.Error):
        return False
    return known_fields(columns) >= 2 or (named == "csv" and len(columns) > 0) or bool(delimiter_line(text))
