"""Reproduce a selection from its manifest: the same versions and request must give the same rows."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from tags_assets import __version__
from tags_assets.errors import InvalidInputError, NotFoundError, UserError
from tags_assets.formats.export.raw import write_raw
from tags_assets.selection.selected_rows import selected_rows
from tags_assets.store.artifacts import ArtifactStore
from tags_assets.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

    from tags_assets.store.versions import ArtifactVersion

SELECTION = "selected_subset"


@dataclass(frozen=True)
class Manifest:
    """The record in a manifest of how its selection was made.

    Attributes
    ----------
    path
        The file.
    target, data_version
        Which selection.
    code_version, tags_assets
        Of the asset, and of the package that made it.
    checksum
        Of the table's values in their order.
    subset_sha256
        Of ``subset.jsonl``.
    request
        The target's file as it was resolved: budget, alignment, constraints, seed.
    made_from
        Asset to data version, code version and configuration, all the way up.
    """

    path: Path
    target: str
    data_version: str
    code_version: str
    tags_assets: str
    checksum: str
    subset_sha256: str
    request: Mapping[str, Any]
    made_from: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest.

        Raises
        ------
        UserError
            If the file is not a manifest, or an older version wrote it with too few details.
        """
        path = path / "manifest.json" if path.is_dir() else path
        try:
            found = orjson.loads(path.read_bytes())
            selection = found["selection"]
            return cls(
                path=path,
                target=found["target"],
                data_version=selection["data_version"],
                code_version=selection["code_version"],
                tags_assets=found["tags_assets"],
                checksum=selection["checksum"],
                subset_sha256=selection["subset_sha256"],
                request=found["request"],
                made_from=found["made_from"],
            )
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise InvalidInputError(
                f"is not a manifest of a selection ({error!r} is missing or wrong)",
                where=str(path),
                fix="Name the manifest.json that `tags-assets select` wrote.",
            ) from None


@dataclass(frozen=True)
class Reproduction:
    """The result of reproducing a selection.

    Attributes
    ----------
    manifest
        What was asked for.
    rows
        Rows of the selection made now.
    checksum, subset_sha256
        Of the selection made now.
    stored
        Whether the selection itself is still in the store, and equal; None where retention has freed it.
    file
        Whether ``subset.jsonl`` beside the manifest is the same; None where it is not there.
    """

    manifest: Manifest
    rows: int
    checksum: str
    subset_sha256: str
    stored: bool | None
    file: bool | None

    @property
    def is_exact(self) -> bool:
        """Whether values, order and bytes are those of the manifest."""
        same = self.checksum == self.manifest.checksum and self.subset_sha256 == self.manifest.subset_sha256
        return same and self.stored is not False


def facts_for_manifest(
    store: ArtifactStore, made: ArtifactVersion, raw: ArtifactVersion, subset: Path
) -> dict[str, Any]:
    """Return what `reproduce` needs: the selection's checksums and the versions it was made from."""
    versions: dict[str, ArtifactVersion] = {}
    _follow(store, made, versions)
    return {
        "selection": {
            "data_version": made.data_version,
            "code_version": made.code_version,
            "checksum": made.tables["data"].checksum,
            "subset_sha256": sha256(subset),
            "raw_instances": raw.data_version,
        },
        "made_from": {
            asset: {
                "data_version": version.data_version,
                "code_version": version.code_version,
                "config": version.config,
            }
            for asset, version in sorted(versions.items())
            if asset != SELECTION
        },
    }


def reproduce(
    store: ArtifactStore,
    manifest: Manifest,
    select: Callable[[Mapping[str, ArtifactVersion], str, Mapping[str, Any]], Mapping[str, pl.DataFrame]],
    *,
    code_version: str,
    needed: Sequence[str],
) -> Reproduction:
    """Reproduce a selection from the versions in its manifest, and compare the two.

    Parameters
    ----------
    store
        The home's store; nothing is written to it.
    manifest
        Of the selection.
    select
        Makes the tables of `selected_subset` from the versions upstream, the target's name and the request.
    code_version
        Of the asset as it is installed.
    needed
        The assets that the selection is made from.

    Raises
    ------
    UserError
        If versions are missing (each is named), or the installed code version differs from the manifest's.
    """
    where = str(manifest.path)
    if code_version != manifest.code_version:
        raise UserError(
            f"was made by code version {manifest.code_version} of {SELECTION} (tags-assets "
            f"{manifest.tags_assets}); the installed code version is {code_version} ({__version__})",
            where=where,
            fix=f"Install tags-assets {manifest.tags_assets} and run again.",
        )
    inputs = _inputs(store, manifest, needed)
    with store.using(inputs.values()), tempfile.TemporaryDirectory(prefix="tags-assets-") as folder:
        tables = select(inputs, manifest.target, manifest.request)
        aside = ArtifactStore(folder, connect=store.connections.connect)
        made = aside.write(SELECTION, manifest.data_version, tables, partition=manifest.target)
        subset = Path(folder) / "subset.jsonl"
        write_raw(selected_rows(store, made, inputs["raw_instances"]), subset)
        digest = sha256(subset)
        aside.close()
    before = store.find(SELECTION, manifest.data_version, manifest.target)
    beside = manifest.path.with_name("subset.jsonl")
    return Reproduction(
        manifest=manifest,
        rows=made.rows,
        checksum=made.tables["data"].checksum,
        subset_sha256=digest,
        stored=None if before is None else before.tables["data"].checksum == made.tables["data"].checksum,
        file=sha256(beside) == digest if beside.is_file() else None,
    )


def sha256(path: Path) -> str:
    """Hash a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _inputs(store: ArtifactStore, manifest: Manifest, needed: Sequence[str]) -> dict[str, ArtifactVersion]:
    found: dict[str, ArtifactVersion] = {}
    missing = []
    for asset in needed:
        data_version = str(manifest.made_from.get(asset, {}).get("data_version", ""))
        version = store.locate(asset, data_version) if data_version else None
        if version is None:
            missing.append(f"{asset} {data_version[:12] or '(not in the manifest)'}")
        else:
            found[asset] = version
    if missing:
        files = manifest.made_from.get("raw_instances", {}).get("config", {}).get("files", [])
        names = listed([str(name) for name, _ in files], 3)
        raise NotFoundError(
            f"cannot be reproduced: {len(missing)} of the {len(needed)} versions that it was made from are "
            f"not in this home (removed by retention, or made in another home): {', '.join(missing)}",
            where=str(manifest.path),
            fix=f"Select again from the same files ({names}): equal inputs give equal versions.",
        )
    return found


def _follow(store: ArtifactStore, version: ArtifactVersion, into: dict[str, ArtifactVersion]) -> None:
    into[version.asset] = version
    for name, data_version in version.upstream.items():
        asset = name.split("/", 1)[0]
        found = None if asset in into else store.locate(asset, data_version)
        if found is not None:
            _follow(store, found, into)
