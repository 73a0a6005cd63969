"""What is known of an artifact version without opening it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Columns = tuple[tuple[str, str], ...]
"""Names and DuckDB types, in order."""


@dataclass(frozen=True)
class VersionRecord:
    """What an asset says about a version that it writes.

    Parameters
    ----------
    code_version
        Of the code that made it.
    config
        The resolved configuration that went into its fingerprint: JSON values.
    upstream
        Asset (or ``asset/partition``) to the data version that was read.
    metadata
        Anything else worth keeping: figures, the tree that node ids were carried over from, seconds. JSON
        values and numpy scalars; not part of the fingerprint.
    """

    code_version: str = ""
    config: Mapping[str, object] = field(default_factory=dict)
    upstream: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredTable:
    """One table of an artifact.

    `checksum` covers values and their order (not the file's bytes, in which DuckDB leaves stamps of its own):
    two artifacts with equal checksums hold the same rows in the same order.
    """

    rows: int
    columns: Columns
    checksum: str


@dataclass(frozen=True)
class ArtifactVersion:
    """One immutable version of an asset (of one partition of it), as it lies on disk."""

    asset: str
    partition: str | None
    data_version: str
    created_at: datetime
    """When it was written, UTC; always later than the version written before it, whatever the clock did."""
    record: VersionRecord
    tables: Mapping[str, StoredTable]
    path: Path
    file_bytes: int
    file_digest: str
    """BLAKE2b of the file, to tell a damaged file from a reader's own trouble."""

    @property
    def rows(self) -> int:
        """Rows of the ``data`` table."""
        return self.tables["data"].rows

    @property
    def code_version(self) -> str:
        return self.record.code_version

    @property
    def config(self) -> Mapping[str, object]:
        return self.record.config

    @property
    def upstream(self) -> Mapping[str, str]:
        return self.record.upstream

    @property
    def metadata(self) -> Mapping[str, object]:
        return self.record.metadata

    @property
    def key(self) -> tuple[str, str | None]:
        """Asset and partition."""
        return self.asset, self.partition

    def __str__(self) -> str:
        partition = f"[{self.partition}]" if self.partition is not None else ""
        return f"{self.asset}{partition} {self.data_version}"


def version_row(
    key: tuple[str, str | None],
    data_version: str,
    created_at: datetime,
    record: VersionRecord,
    tables: Mapping[str, StoredTable],
) -> dict[str, object]:
    """Return the row of ``_version``: plain columns, with JSON text where values nest."""
    return {
        "asset": key[0],
        "partition": key[1],
        "data_version": data_version,
        "created_at": created_at,
        "code_version": record.code_version,
        "config": _json(record.config, "config"),
        "upstream": _json(record.upstream, "upstream"),
        "metadata": _json(record.metadata, "metadata"),
        "rows": tables["data"].rows,
        "tables": _json(
            {
                name: {"rows": table.rows, "columns": table.columns, "checksum": table.checksum}
                for name, table in tables.items()
            },
            "tables",
        ),
    }


def header_bytes(row: Mapping[str, object], *, file_bytes: int, file_digest: str) -> bytes:
    """Return the content of the file beside the artifact."""
    return orjson.dumps(
        {**row, "file_bytes": file_bytes, "file_digest": file_digest}, option=orjson.OPT_INDENT_2
    )


def version_from_row(
    row: Mapping[str, object], path: Path, *, file_bytes: int, file_digest: str
) -> ArtifactVersion:
    """Read a ``_version`` row back.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the row is not one that `version_row` made.
    """
    created_at = row["created_at"]
    tables = _mapping(row["tables"])
    partition = row["partition"]
    return ArtifactVersion(
        asset=str(row["asset"]),
        partition=None if partition is None else str(partition),
        data_version=str(row["data_version"]),
        created_at=created_at
        if isinstance(created_at, datetime)
        else datetime.fromisoformat(str(created_at)),
        record=VersionRecord(
            code_version=str(row["code_version"]),
            config=_mapping(row["config"]),
            upstream={key: str(value) for key, value in _mapping(row["upstream"]).items()},
            metadata=_mapping(row["metadata"]),
        ),
        tables={
            name: StoredTable(
                rows=table["rows"],
                columns=tuple((column, kind) for column, kind in table["columns"]),
                checksum=table["checksum"],
            )
            for name, table in tables.items()
        },
        path=path,
        file_bytes=file_bytes,
        file_digest=file_digest,
    )


def version_from_header(content: bytes, path: Path) -> ArtifactVersion:
    """Read the file beside the artifact; raises as `version_from_row`."""
    row = orjson.loads(content)
    return version_from_row(row, path, file_bytes=row["file_bytes"], file_digest=row["file_digest"])


def _json(value: object, what: str) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_SORT_KEYS).decode()
    except TypeError as error:
        raise TypeError(f"{what} cannot be kept as JSON: {error}") from error


def _mapping(text: object) -> dict[str, Any]:
    value = orjson.loads(str(text))
    if not isinstance(value, dict):
        raise TypeError(f"expected a JSON object, not {type(value).__name__}")
    return value
