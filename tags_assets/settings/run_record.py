"""What a run was asked for and which versions it works on: fixed when it starts, recorded in HOME/runs."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from tags_assets.errors import InvalidInputError
from tags_assets.settings.home import DEFAULT_POOL, PoolSettings
from tags_assets.settings.target_file import TargetSpec
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets.settings.validation import validated
from tags_assets.store.durable import disk_errors, random_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tags_assets.settings.home import Home
    from tags_assets.store.versions import ArtifactVersion

_RUN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class RunSettings(BaseModel):
    """The settings of one run. They hold no secret: keys stay in the environment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pool_name: str = DEFAULT_POOL
    pool: PoolSettings = Field(default_factory=PoolSettings)
    targets: dict[str, TargetSpec] = Field(default_factory=dict)
    """Targets whose settings were resolved with the run; others are read when a step needs them first."""
    retry_failed: bool = False
    """Whether the model is asked again for rows that failed permanently."""
    dry_run: bool = False
    """Whether the run leaves what is current as it is."""

    @classmethod
    def of_pool(cls, home: Home, name: str | None = None, *, retry_failed: bool = False) -> RunSettings:
        """Take the settings of a pool as they are now; the active pool where none is named.

        Raises
        ------
        UserError
            Where the pool's file is not valid.
        """
        name = name or home.active_pool
        return cls(pool_name=name, pool=home.pool(name), retry_failed=retry_failed)


@dataclass
class RunRecord:
    """The record of one run: JSON lines in ``HOME/runs/<run id>.jsonl``.

    The first line holds the settings. Each further line names a target as the run read it first, or a version
    that the run made or read. Every step of the run reads the record, so that nothing that another process
    changes meanwhile (a pool's file, a target's file, what is current) reaches a run that is under way.
    """

    path: Path
    home: Home
    settings: RunSettings
    _targets: dict[str, TargetSpec] = field(default_factory=dict)
    _versions: dict[tuple[str, str | None], str] = field(default_factory=dict)

    @classmethod
    def open(
        cls,
        home: Home,
        run_id: str,
        resolve: Callable[[], RunSettings],
        *,
        parent: str | None = None,
    ) -> RunRecord:
        """Read the record of a run; the first to open it makes it.

        Parameters
        ----------
        home
            Where.
        run_id
            Of the run.
        resolve
            Gives the settings of a run that has no record.
        parent
            The run that this one repeats: its settings, targets and versions are taken over.

        Raises
        ------
        UserError
            Where the settings are not valid, or the record cannot be written or read.
        """
        path = _path(home, run_id)
        if not path.exists():
            before = None if parent is None else _path(home, parent)
            if before is not None and before.exists():
                text = before.read_text(encoding="utf-8")
            else:
                text = _line({"settings": _plain(resolve())})
            _put_if_absent(path, text)
        record = cls(path, home, RunSettings())
        for entry in _entries(path):
            record._take(entry)
        return record

    def target(self, name: str) -> TargetSpec:
        """Give a target as it was when this run read it first.

        Raises
        ------
        UserError
            Where there is no such target, or its file is not valid.
        """
        if name not in self._targets:
            spec = TargetRegistry(self.home).load(name)
            self._append({"target": name, "spec": _plain(spec)})
            self._targets[name] = spec
        return self._targets[name]

    @property
    def has_versions(self) -> bool:
        """Whether this run has made or read anything yet."""
        return bool(self._versions)

    def version(self, asset: str, partition: str | None) -> str | None:
        """Data version that this run made or read of an asset; None where it has done neither."""
        return self._versions.get((asset, partition))

    def pin(self, version: ArtifactVersion) -> None:
        """Fix a version for the rest of the run."""
        if self._versions.get(version.key) != version.data_version:
            self._append({"version": [version.asset, version.partition, version.data_version]})
            self._versions[version.key] = version.data_version

    def claim_rows(self, rows: ArtifactVersion) -> None:
        """Note that these rows belong to this run's pool."""
        folder = self.path.parent / "rows"
        with disk_errors(self.home.path):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{rows.data_version}.{self.settings.pool_name}").touch()

    def may_read_rows(self, data_version: str) -> bool:
        """Whether rows belong to this run's pool; rows that no pool has claimed belong to all."""
        folder = self.path.parent / "rows"
        claimed = {path.suffix[1:] for path in folder.glob(f"{data_version}.*")}
        return not claimed or self.settings.pool_name in claimed

    def _append(self, entry: Mapping[str, Any]) -> None:
        with disk_errors(self.home.path), self.path.open("a", encoding="utf-8") as file:
            file.write(_line(entry))

    def _take(self, entry: Mapping[str, Any]) -> None:
        def where(name: str) -> str:
            return f"{self.path}: {name}"

        if "settings" in entry:
            self.settings = validated(RunSettings, entry["settings"], kind="setting of a run", where=where)
            self._targets |= self.settings.targets
        elif "target" in entry:
            spec = validated(TargetSpec, entry["spec"], kind="field of a target", where=where)
            self._targets[str(entry["target"])] = spec
        elif "version" in entry:
            asset, partition, data_version = entry["version"]
            self._versions[asset, partition] = data_version


def records(home: Home) -> Iterator[Path]:
    """List the records of runs, for those who remove old ones."""
    yield from sorted(path for path in (home.path / "runs").glob("*.jsonl") if _RUN_ID.fullmatch(path.stem))


def _path(home: Home, run_id: str) -> Path:
    # Whoever launches a run over the network may choose its id.
    if not _RUN_ID.fullmatch(run_id):
        raise InvalidInputError(f"{run_id[:60]!r} is not the id of a run", fix="Leave the id to Dagster.")
    return home.path / "runs" / f"{run_id}.jsonl"


def _put_if_absent(path: Path, text: str) -> None:
    """Write a file that a reader sees whole; one that is there already stays."""
    with disk_errors(path.parent.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(random_name())
        try:
            with beside.open("x", encoding="utf-8") as file:
                file.write(text)
            os.link(beside, path)
        except FileExistsError:
            pass
        finally:
            beside.unlink(missing_ok=True)


def _plain(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(exclude_none=True)


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, default=str) + "\n"


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the last line of a process that was killed
        if isinstance(entry, dict):
            yield entry
