"""Every target that there is: files in ``targets/``, files named on the command line, and the pool itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tags_assets.errors import InvalidInputError, UserError
from tags_assets.formats.pool import expand_pool, fingerprint_files
from tags_assets.settings.budget_text import parse_budget
from tags_assets.settings.home import POOL_TARGET, TargetEntry
from tags_assets.settings.target_file import (
    NOT_ASKED,
    TargetSpec,
    find_targets,
    load_target,
    resolve_target,
    target_name,
)
from tags_assets.store.fingerprint import fingerprint

if TYPE_CHECKING:
    from tags_assets.settings.home import Home


@dataclass(frozen=True)
class NamedTarget:
    """A target that the command line names.

    Attributes
    ----------
    name
        Of the target.
    spec
        What it asks for, with the budget of the command line.
    entry
        What is to be remembered of it; None where its file in the folder says all.
    """

    name: str
    spec: TargetSpec
    entry: TargetEntry | None


@dataclass(frozen=True)
class TargetRegistry:
    """The targets of a home."""

    home: Home

    def entries(self) -> dict[str, TargetEntry]:
        """List every target by name; one named on the command line comes before a file of that name.

        A file that cannot be named is none of them: see `problems`.
        """
        files = find_targets(self.home.targets_folder).found
        entries = {name: TargetEntry(file=str(path)) for name, path in files.items()}
        named = self.home.named_targets().items()
        entries |= {name: entry for name, entry in named if entry.file is None or Path(entry.file).exists()}
        return dict(sorted(entries.items()))

    def problems(self) -> tuple[UserError, ...]:
        """Say which files in the folder are no targets, and why."""
        return find_targets(self.home.targets_folder).problems

    def name(self, target: str | None, budget: str | None) -> str:
        """Remember what the command line says of a target, and give its name: see `find`."""
        found = self.find(target, budget)
        self.remember(found)
        return found.name

    def remember(self, found: NamedTarget) -> None:
        """Remember a target that the command line names, so that the UI and the next command know it."""
        if found.entry is None:
            self.home.forget_target(found.name)
        else:
            self.home.name_target(found.name, found.entry)

    def find(self, target: str | None, budget: str | None) -> NamedTarget:
        """Find the target that the command line names; nothing is remembered.

        Parameters
        ----------
        target
            A file, the name of one in the folder, or None for the pool itself.
        budget
            Budget in place of the file's, as the user wrote it.

        Raises
        ------
        UserError
            For a file that is not there, or one of another folder whose name is taken.
        """
        chosen = None if budget is None else parse_budget(budget)
        if target is None or target == POOL_TARGET:
            pool = TargetSpec.of_pool()
            return NamedTarget(
                POOL_TARGET,
                pool if chosen is None else pool.with_budget(chosen),
                TargetEntry(budget=budget),
            )
        known = self.home.named_targets()
        if target in known and not Path(target).is_file():
            file = known[target].file
            is_there = file is not None and Path(file).exists()  # not where the project was moved
            path = Path(str(file)) if is_there else resolve_target(target, self.home.targets_folder)
        else:
            path = resolve_target(target, self.home.targets_folder).resolve()
        name = target_name(path)
        self._refuse_other(name, path)
        spec = load_target(path)
        if chosen is None and find_targets(self.home.targets_folder).found.get(name) == path:
            return NamedTarget(name, spec, None)
        entry = TargetEntry(file=str(path), budget=budget)
        return NamedTarget(name, spec if chosen is None else spec.with_budget(chosen), entry)

    def _refuse_other(self, name: str, path: Path) -> None:
        other = find_targets(self.home.targets_folder).found.get(name)
        if other is not None and other.resolve() != path:
            raise InvalidInputError(
                f"has the same name, {name!r}, as {other}",
                where=str(path),
                fix="Rename one of the two files.",
            )

    def load(self, name: str) -> TargetSpec:
        """Read a target by its name, with the budget that the command line gave it.

        Raises
        ------
        UserError
            Where there is no such target, or its file is not valid.
        """
        entries = self.entries()
        entry = entries.get(name)
        if entry is None and name != POOL_TARGET:
            raise UserError.unknown("target", name, [*entries, POOL_TARGET])
        spec = TargetSpec.of_pool() if entry is None or entry.file is None else load_target(entry.file)
        return spec if entry is None or entry.budget is None else spec.with_budget(parse_budget(entry.budget))

    def examples(self, spec: TargetSpec) -> list[str]:
        """Hash the content of a target's examples; empty where it has none."""
        if spec.examples_source is None:
            return []
        return sorted(fingerprint_files(expand_pool([spec.examples_source]), self.home.cache).values())

    def distribution_config(self, spec: TargetSpec) -> dict[str, Any]:
        """Return what a target's file says of its distribution; an edited budget changes nothing here."""
        wish = spec.target.model_dump(exclude={"examples"}, exclude_none=True)
        return {"wish": wish, "examples": self.examples(spec)}

    @staticmethod
    def selection_config(spec: TargetSpec) -> dict[str, Any]:
        """Return what a target's file says of how to select."""
        return spec.model_dump(mode="json", exclude=NOT_ASKED)

    def fingerprints(self) -> dict[str, str]:
        """Name the present content of each target: of its files, and its budget.

        A file that is not valid has a version too, of its bytes: the asset says what is wrong.
        """
        versions = {}
        for name, entry in self.entries().items():
            file = [Path(entry.file)] if entry.file else []
            content: list[str] = []
            with suppress(UserError):
                content += sorted(fingerprint_files(file, self.home.cache).values())
                content += self.examples(self.load(name))
            config = {"budget": entry.budget, "content": content}
            versions[name] = fingerprint("target", name, "1", config, {})
        return versions
