"""HOME: the folder of artifacts, caches, Dagster state, and what the user named as pools and targets."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tags_assets.errors import UserError
from tags_assets.limits import Limits
from tags_assets.store.durable import open_to_group, write_whole
from tags_assets.store.mark import mark_home

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_HOME = ".tags"
DEFAULT_POOL = "default"
TRIAL_POOL = "dry-run"
"""Name of the pool whose settings a dry run tries out."""
POOL_TARGET = "pool"
"""Name of the target that is the pool itself; no target file may take it."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The settings of a pool are read some fifty times a run; with libyaml that takes no tenth of the time."""


class PoolSettings(BaseModel):
    """A named pool: which files it reads and how its rows are tagged and judged.

    The file ``HOME/pools/<name>.yaml`` holds it, so that the UI, the schedules and the command line agree.
    """

    model_config = ConfigDict(extra="forbid")

    paths: list[str] = Field(default_factory=list)
    """Files, folders, globs, or ``db.duckdb::table``; empty: the landing folder ``HOME/landing``."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Columns of the user's own, as ``{"tags": "my_tags", "score": "reward"}``."""
    filters: dict[str, str] = Field(default_factory=dict)
    """Rules that take rows out: name -> SQL condition on the normal form."""
    tagger: Literal["keyphrase", "llm"] = "keyphrase"
    """Who extracts the concepts of a row."""
    judge: Literal["none", "llm"] = "none"
    """Who rates the answers."""
    namer: Literal["own-tags", "llm"] = "own-tags"
    """Who names and refines the tree's nodes."""
    embedder: Literal["minilm", "api"] = "minilm"
    """Who embeds rows and tags."""
    tag_share: float = Field(default=1.0, gt=0, le=1)
    """Share of the rows that the LLM tagger is asked for; their tags are carried over to the others."""
    llm: dict[str, Any] = Field(default_factory=dict)
    """Settings of the language model, as the resource ``llm`` has them: model, base_url, concurrency..."""
    retries: int = 0
    """How often failed rows were asked for again: part of versions, as each time may bring other tags."""
    max_drift: float = Field(default=0.15, ge=0)
    """Drift of the tags (figure ``drift`` of `knowledge_tree`) above which the tree is built anew instead of
    grown; 0 builds it anew whenever a tag is new."""
    limits: Limits = Field(default_factory=Limits)
    """Where the checks draw the line; no part of versions."""
    freshness_hours: float | None = Field(default=None, gt=0)
    """Age of data and of selections from which the UI shows them as stale; never, unless set."""
    decontaminate: list[str] = Field(default_factory=list)
    """Files of benchmarks: rows that repeat one of theirs are taken out."""
    contamination_words: int = Field(default=13, ge=4)
    """Words in a row that a row and a benchmark must share to count as the same text."""
    pii: Literal["off", "mark", "filter"] = "off"
    """Whether personal data is looked for, and whether rows that hold some are taken out."""
    pii_kinds: list[str] = Field(default_factory=list)
    """Kinds of personal data to look for; empty: all that `tags_assets.formats.pii` knows."""
    pii_region: str = "US"
    """Country, as in ISO 3166, in whose form a telephone number without a + is read."""
    seed: int = 0
    """Of whatever is drawn at random on the way to tags."""


class TargetEntry(BaseModel):
    """A target named on the command line: its file, and the budget in place of the file's."""

    model_config = ConfigDict(extra="forbid")

    file: str | None = None
    """The target's file; none for the pool itself."""
    budget: str | None = None
    """As `--budget` had it."""


@dataclass(frozen=True)
class Home:
    """The folders and small files below HOME."""

    path: Path

    @classmethod
    def resolve(cls, home: str | Path | None = None) -> Home:
        """Take the folder given, else ``TAGS_HOME``, else ``.tags`` here."""
        return cls(Path(home or os.environ.get("TAGS_HOME") or DEFAULT_HOME).expanduser().resolve())

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def landing(self) -> Path:
        return self.path / "landing"

    def report(self, target: str) -> Path:
        """Where a browser finds the current report of a target."""
        return self.path / "reports" / f"{target}.html"

    @property
    def dagster(self) -> Path:
        return self.path / "dagster"

    @property
    def warehouse(self) -> Path:
        return self.path / "warehouse.duckdb"

    @property
    def exports(self) -> Path:
        return self.path / "exports"

    def prepare(self) -> Home:
        """Make the folders; a home that cannot be written is one clear line.

        Raises
        ------
        UserError
            Where the folder cannot be made or written.
        """
        try:
            for folder in (self.path, self.cache, self.landing, self.dagster, self._pools):
                folder.mkdir(parents=True, exist_ok=True)
                open_to_group(self.path)
            mark_home(self.path)
        except OSError as error:
            raise UserError(
                f"HOME cannot be made: {error.strerror}",
                where=str(self.path),
                mend="Name another with --home.",
            ) from None
        if not os.access(self.path, os.W_OK):
            raise UserError("HOME cannot be written", where=str(self.path), mend="Name another with --home.")
        return self

    # Pools ------------------------------------------------------------------------------------------------

    @property
    def _pools(self) -> Path:
        return self.path / "pools"

    @property
    def active_pool(self) -> str:
        """The pool that the assets read: ``TAGS_POOL``, else the one named last, else ``default``."""
        named = self._pools / "active"
        return os.environ.get("TAGS_POOL") or (named.read_text().strip() if named.exists() else DEFAULT_POOL)

    def pool(self, name: str | None = None) -> PoolSettings:
        """Read the settings of a pool; a pool never named has the defaults."""
        file = self._pools / f"{checked_slug(name or self.active_pool, 'pool')}.yaml"
        return _read_model(PoolSettings, file) if file.exists() else PoolSettings()

    def save_pool(self, name: str, settings: PoolSettings) -> None:
        """Write the settings of a pool and make it the active one."""
        checked_slug(name, "pool")
        _write_model(settings, self._pools / f"{name}.yaml")
        write_whole(self._pools / "active", name + "\n")

    @contextmanager
    def trial_pool(self, settings: PoolSettings) -> Iterator[None]:
        """Read the pool by other settings for as long as the block lasts, in this process alone."""
        file = self._pools / f"{TRIAL_POOL}.yaml"
        _write_model(settings, file)
        before = os.environ.get("TAGS_POOL")
        os.environ["TAGS_POOL"] = TRIAL_POOL
        try:
            yield
        finally:
            if before is None:
                del os.environ["TAGS_POOL"]
            else:
                os.environ["TAGS_POOL"] = before
            file.unlink(missing_ok=True)

    # Targets ----------------------------------------------------------------------------------------------

    @property
    def targets_folder(self) -> Path:
        """Folder of the user's target files: ``TAGS_TARGETS``, else ``targets/`` here."""
        return Path(os.environ.get("TAGS_TARGETS") or "targets").expanduser().resolve()

    @property
    def _registry(self) -> Path:
        return self.path / "targets.yaml"

    def named_targets(self) -> dict[str, TargetEntry]:
        """Targets named on the command line, by name."""
        if not self._registry.exists():
            return {}
        entries = _load_yaml(self._registry)
        return {name: TargetEntry.model_validate(entry or {}) for name, entry in entries.items()}

    def name_target(self, name: str, entry: TargetEntry) -> None:
        """Remember a target that was named on the command line."""
        entries = self.named_targets() | {checked_slug(name, "target"): entry}
        text = yaml.safe_dump({n: e.model_dump(exclude_none=True) for n, e in sorted(entries.items())})
        write_whole(self._registry, text)

    def forget_target(self, name: str) -> None:
        """Forget a target that was named on the command line."""
        entries = self.named_targets()
        if entries.pop(name, None) is not None:
            text = yaml.safe_dump({n: e.model_dump(exclude_none=True) for n, e in sorted(entries.items())})
            write_whole(self._registry, text)


def checked_slug(name: str, kind: str) -> str:
    """Return the name where it can safely be part of a path; it is an error otherwise."""
    if not _SLUG.fullmatch(name):
        raise UserError(
            f"{name!r} cannot be the name of a {kind}",
            mend="Use lower-case letters, digits, '-' and '_', 64 at most, beginning with a letter or digit.",
        )
    return name


def _load_yaml(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), _Loader) or {}  # noqa: S506 - a safe one
    except yaml.YAMLError as error:
        raise UserError(f"not YAML: {error}", where=str(path), mend="Mend or remove the file.") from None
    if not isinstance(loaded, dict):
        raise UserError("not a mapping of names to values", where=str(path), mend="Mend or remove the file.")
    return loaded


def _read_model(model: type[PoolSettings], path: Path) -> PoolSettings:
    try:
        return model.model_validate(_load_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(first["msg"], where=f"{path}: {field}", mend="Mend or remove the line.") from None


def _write_model(settings: PoolSettings, path: Path) -> None:
    write_whole(path, yaml.safe_dump(settings.model_dump(), sort_keys=False, allow_unicode=True))
