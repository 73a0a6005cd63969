"""Where everything of a home lies, and which names may become paths or SQL."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tags_assets.errors import UserError
from tags_assets.paths import expanded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNPARTITIONED = "-"  # the folder of an asset's versions where the asset has no partitions
VERSION_TABLE = "_version"  # one row inside each artifact: what it is and what it was made from

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DATA_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
_PARTITION = re.compile(r"\w[\w.-]*")


def check_identifier(kind: str, name: str) -> str:
    """Return an asset's or a table's name if it is a plain lower-case identifier; ValueError otherwise."""
    if not _IDENTIFIER.fullmatch(name):
        raise ValueError(f"{kind} must be lower-case letters, digits and underscores, not {name!r}")
    return name


def check_data_version(data_version: str) -> str:
    """Return a data version if it can name a file; ValueError otherwise."""
    if not _DATA_VERSION.fullmatch(data_version):
        raise ValueError(f"data version must be letters, digits, '_' and '-', not {data_version!r}")
    return data_version


def check_partition(partition: str) -> str:
    """Return a partition's name if it is a slug; ValueError otherwise.

    A slug is made of letters and digits of any script, ``_``, ``-`` and ``.``; it starts with a letter, a
    digit or ``_``, is in lower case and in Unicode's composed form (file systems disagree about both), and is
    at most 200 bytes long.
    """
    plain = unicodedata.normalize("NFC", partition).casefold() == partition
    if not (plain and _PARTITION.fullmatch(partition) and len(partition.encode()) <= 200):
        raise ValueError(f"partition must be a lower-case slug of at most 200 bytes, not {partition!r}")
    return partition


def quote_name(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return `text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def quote_file(path: Path) -> str:
    """Return `path` as an SQL string in which DuckDB's readers find no wildcard."""
    return quote_text(re.sub(r"[*?\[]", lambda wildcard: f"[{wildcard[0]}]", str(path)))


@dataclass(frozen=True)
class Layout:
    """The paths below one home.

    ``artifacts/<asset>/<partition or ->/<data_version>.duckdb`` is an artifact version, and
    ``<data_version>.json`` beside it repeats its ``_version`` row for those who only want to know what there
    is; it can be rebuilt from the artifact. ``current.pointer`` in the same folder says which version is
    current.
    """

    home: Path

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def scratch(self) -> Path:
        """Files being written; on the artifacts' own file system, so that a rename is enough to show them."""
        return self.artifacts / ".tmp"

    @property
    def home_scratch(self) -> Path:
        """The same for the warehouse; `artifacts` may be a link to another disk."""
        return self.home / ".tmp"

    @property
    def spill(self) -> Path:
        """What DuckDB moves out of memory: the part of the name that all instances share."""
        return self.artifacts / ".spill-"

    @property
    def commit_lock(self) -> Path:
        return self.artifacts / ".commit.lock"

    @property
    def publish_lock(self) -> Path:
        return self.artifacts / ".publish.lock"

    @property
    def leases(self) -> Path:
        """What living processes read: see `leases`."""
        return self.artifacts / ".leases"

    @property
    def quarantine(self) -> Path:
        return self.home / "quarantine"

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse.duckdb"

    @property
    def warehouse_state(self) -> Path:
        """What the published warehouse was made from."""
        return self.home / "warehouse.json"

    def folder(self, asset: str, partition: str | None) -> Path:
        check_identifier("asset", asset)
        return self.artifacts / asset / (UNPARTITIONED if partition is None else check_partition(partition))

    def file(self, asset: str, partition: str | None, data_version: str) -> Path:
        return self.folder(asset, partition) / f"{check_data_version(data_version)}.duckdb"

    def header(self, asset: str, partition: str | None, data_version: str) -> Path:
        return self.folder(asset, partition) / f"{check_data_version(data_version)}.json"

    def pointer(self, asset: str, partition: str | None) -> Path:
        return self.folder(asset, partition) / "current.pointer"

    def assets(self) -> list[str]:
        """Names of the assets that have a folder, sorted."""
        return sorted(name for name in _folders(self.artifacts) if _IDENTIFIER.fullmatch(name))

    def partitions(self, asset: str) -> list[str | None]:
        """Partitions of an asset that have a folder, sorted; None stands for an unpartitioned asset."""
        check_identifier("asset", asset)
        names = sorted(_folders(self.artifacts / asset))
        return [None if name == UNPARTITIONED else name for name in names if _is_partition_folder(name)]

    def data_versions(self, asset: str, partition: str | None) -> list[str]:
        """Data versions of which a whole file lies on disk, sorted by name."""
        try:
            names = os.listdir(self.folder(asset, partition))  # noqa: PTH208 - a path object each is what costs
        except (FileNotFoundError, NotADirectoryError):
            return []
        stems = (name.removesuffix(".duckdb") for name in names if name.endswith(".duckdb"))
        return sorted(stem for stem in stems if _DATA_VERSION.fullmatch(stem))


def _folders(parent: Path) -> Iterator[str]:
    try:
        with os.scandir(parent) as entries:
            yield from [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return


def _is_partition_folder(name: str) -> bool:
    if name == UNPARTITIONED:
        return True
    try:
        check_partition(name)
    except ValueError:
        return False
    return True


def resolve_home(home: Path | str) -> Path:
    """Return the home as an absolute path without links, so that one folder has one name.

    Raises
    ------
    UserError
        If DuckDB could not write there: it takes what follows a question mark for a URL's parameters.
    """
    path = expanded(home).resolve()
    if "?" in str(path):
        raise UserError(
            "a home's path must not have a question mark in it", where=str(path), fix="Name another."
        )
    return path
