"""HOME: the folder of artifacts, caches, Dagster state, and what the user named as pools and targets."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from tags_assets.errors import InvalidInputError, UserError
from tags_assets.llm.settings import ModelSettings
from tags_assets.paths import expanded
from tags_assets.settings.limits import Limits
from tags_assets.settings.strict_yaml import read_yaml
from tags_assets.settings.validation import dumped, validated
from tags_assets.store.durable import open_to_group, write_whole
from tags_assets.store.lock import locked
from tags_assets.store.mark import mark_home
from tags_assets.store.trust import require_trust, trust_new

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULT_HOME = ".tags"
DEFAULT_POOL = "default"
POOL_TARGET = "pool"
"""Name of the target that is the pool itself; no target file may take it."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


Tagger = Literal["keyphrase", "llm"]
Judge = Literal["none", "llm"]
Namer = Literal["own-tags", "llm"]
Embedder = Literal["minilm", "api"]
PersonalData = Literal["off", "mark", "filter"]
Attachments = Literal["filter", "keep"]


class PoolSettings(BaseModel):
    """A named pool: which files it reads and how its rows are tagged and judged.

    The file ``HOME/pools/<name>.yaml`` holds it, so that the UI, the schedules and the command line agree.
    What stands below a field is also the help of its option and its line in the reference.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    paths: list[str] = Field(default_factory=list)
    """Files, folders, globs or ``db.duckdb::table``. Without any, the folder ``HOME/landing`` is read."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Your own columns, by what they hold: ``tags``, ``score``, ``id``, ``source``."""
    filters: dict[str, str] = Field(default_factory=dict)
    """Rules that remove rows: a name, and an SQL condition on the columns of ``raw_instances``."""
    tagger: Tagger = "keyphrase"
    """What extracts the concepts of a row: ``keyphrase`` needs no server, ``llm`` is a language model."""
    judge: Judge = "none"
    """What rates the responses: ``none`` or a language model."""
    namer: Namer = "own-tags"
    """What names and refines the nodes of the tree: the tags themselves or a language model."""
    embedder: Embedder = "minilm"
    """What embeds rows and tags: ``minilm`` runs here, ``api`` is the server's ``embedding_model``."""
    lexicon: str | None = None
    """File of concepts that takes the place of the built-in lexicon: it names the upper nodes of the tree and
    says what belongs together. TSV with the columns ``domain, field, concept, aliases``."""
    tag_share: float = Field(default=1.0, gt=0, le=1)
    """Share of the rows that the LLM tags; the other rows get their tags from similar rows."""
    llm: ModelSettings = Field(default_factory=ModelSettings)
    """Settings of the language model, listed below."""
    retries: int = 0
    """How often failed rows were retried; part of versions, since each retry may bring other tags."""
    max_drift: float = Field(default=0.15, ge=0)
    """Drift of the tags (figure ``drift`` of `knowledge_tree`) above which the tree is built anew instead of
    grown; 0 builds it anew whenever a tag is new."""
    limits: Limits = Field(default_factory=Limits)
    """Thresholds of the checks; not part of versions."""
    freshness_hours: float | None = Field(default=None, gt=0)
    """Age at which the UI shows data and selections as stale. Without it, never."""
    allow_unreadable_files: bool = False
    """Go on without files that cannot be read or hold no usable row; they are listed in `rejected_rows`."""
    attachments: Attachments = "filter"
    """Rows with pictures, films, sound or files: ``filter`` removes them, ``keep`` keeps them for trainers of
    multimodal models."""
    decontaminate: list[str] = Field(default_factory=list)
    """Benchmark files: rows that overlap with a benchmark are removed."""
    contamination_words: int = Field(default=13, ge=4)
    """Length, in words, of the shared passage that counts as an overlap with a benchmark."""
    pii: PersonalData = "off"
    """Personal data: ``mark`` marks rows that contain some, ``filter`` removes them."""
    pii_kinds: list[str] = Field(default_factory=list)
    """Kinds of personal data to look for. Without any, all that `tags_assets.formats.pii` knows."""
    pii_region: str = "US"
    """Country (ISO 3166) whose format is assumed for telephone numbers without a +."""
    seed: int = 0
    """Seed of everything random up to the tags."""

    @property
    def asks_a_server(self) -> bool:
        """Whether rows or tags are sent to a language model or an embedder behind an API."""
        return "llm" in {self.tagger, self.judge, self.namer} or self.embedder == "api"

    @field_serializer("llm")
    def _said(self, llm: ModelSettings) -> dict[str, object]:
        """Keep what was said of the model, not its many defaults."""
        return llm.model_dump(exclude_unset=True)


class TargetEntry(BaseModel):
    """A target named on the command line: its file, and the budget in place of the file's."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    file: str | None = None
    """The target's file; the pool itself has none."""
    budget: str | None = None
    """The budget as given with `--budget`."""


@dataclass(frozen=True)
class Home:
    """The folders and small files below HOME."""

    path: Path

    @classmethod
    def resolve(cls, home: str | Path | None = None) -> Home:
        """Take the folder given, else ``TAGS_HOME``, else ``.tags`` here.

        Raises
        ------
        UserError
            If ``.tags`` is taken and the user neither made nor trusts it.
        """
        named = home or os.environ.get("TAGS_HOME")
        path = expanded(named or DEFAULT_HOME).resolve()
        if not named:
            require_trust(path)
        return cls(path)

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
        trust_new(self.path)
        try:
            for folder in (self.path, self.cache, self.landing, self.dagster, self._pools):
                folder.mkdir(parents=True, exist_ok=True)
                open_to_group(self.path)
            mark_home(self.path)
        except OSError as error:
            raise UserError(
                f"HOME cannot be made: {error.strerror}",
                where=str(self.path),
                fix="Name another with --home.",
            ) from None
        if not os.access(self.path, os.W_OK):
            raise UserError("HOME cannot be written", where=str(self.path), fix="Name another with --home.")
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
        if not file.exists():
            return PoolSettings()
        return validated(
            PoolSettings,
            read_yaml(file, is_ours=True).document,
            kind="setting of a pool",
            where=lambda field: f"{file}: {field}",
        )

    def save_pool(self, name: str, settings: PoolSettings) -> None:
        """Write the settings of a pool and make it the active one."""
        checked_slug(name, "pool")
        write_whole(self._pools / f"{name}.yaml", dumped(settings.model_dump(exclude_none=True)))
        write_whole(self._pools / "active", name + "\n")

    # Targets ----------------------------------------------------------------------------------------------

    @property
    def targets_folder(self) -> Path:
        """Folder of the user's target files: ``TAGS_TARGETS``, else ``targets/`` here."""
        return expanded(os.environ.get("TAGS_TARGETS") or "targets").resolve()

    @property
    def _registry(self) -> Path:
        return self.path / "targets.yaml"

    def named_targets(self) -> dict[str, TargetEntry]:
        """Targets named on the command line, by name."""
        if not self._registry.exists():
            return {}
        entries = read_yaml(self._registry, is_ours=True).document
        return {
            name: validated(
                TargetEntry,
                entry or {},
                kind="field of a target",
                where=lambda field, name=name: f"{self._registry}: {name}.{field}",  # type: ignore[misc]
            )
            for name, entry in entries.items()
        }

    def name_target(self, name: str, entry: TargetEntry) -> None:
        """Remember a target that was named on the command line."""
        with locked(self._pools / ".targets.lock"):
            self._write_targets(self.named_targets() | {checked_slug(name, "target"): entry})

    def forget_target(self, name: str) -> None:
        """Forget a target that was named on the command line."""
        with locked(self._pools / ".targets.lock"):
            entries = self.named_targets()
            if entries.pop(name, None) is not None:
                self._write_targets(entries)

    def _write_targets(self, entries: Mapping[str, TargetEntry]) -> None:
        write_whole(
            self._registry, dumped({n: e.model_dump(exclude_none=True) for n, e in sorted(entries.items())})
        )


def checked_slug(name: str, kind: str) -> str:
    """Return the name where it can safely be part of a path; it is an error otherwise."""
    if not _SLUG.fullmatch(name):
        raise InvalidInputError(
            f"{name!r} cannot be the name of a {kind}",
            fix="Use lower-case letters, digits, '-' and '_', 64 at most, beginning with a letter or digit.",
        )
    return name
