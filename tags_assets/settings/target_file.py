"""Target files: what a user wants, as YAML that is read strictly.

Every mistake is one line with the file, the line in it, the field and the fix. Nothing that is written there
is ignored: an unknown key, a key given twice and an empty field are errors.
"""

from __future__ import annotations

import os
import re
import unicodedata
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from tags_assets.errors import InvalidInputError, NotFoundError, UserError, printable
from tags_assets.method.selection.request import (
    DEFAULT_ALIGNMENT,
    DEFAULT_BREADTH,
    DEFAULT_TEXT_SHARE,
    EVERY,
    Budget,
    MaxKL,
)
from tags_assets.paths import expanded
from tags_assets.settings.budget_text import MOST, parse_budget, shown
from tags_assets.settings.limits import TargetLimits
from tags_assets.settings.strict_yaml import read_yaml
from tags_assets.text import clipped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic_core import ErrorDetails

POOL = "pool"
"""The name of the target that is the pool itself; no file may take it."""

DEFAULT_BUDGET = Budget(fraction=0.05)

YAML_SUFFIXES = (".yaml", ".yml")


def _no_flags(value: object) -> object:
    """Refuse flags in place of numbers: pydantic would read ``true`` as 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 (pydantic wants a ValueError)
    return value


def _as_text(value: object) -> object:
    """Take numbers and flags as text: attributes and ids are compared as text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Share = Annotated[float, BeforeValidator(_no_flags), Field(ge=0, le=1, allow_inf_nan=False)]
Number = Annotated[float, BeforeValidator(_no_flags), Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Part = Annotated[float, BeforeValidator(_no_flags), Field(gt=0, le=1, allow_inf_nan=False)]
Text = Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]
Whole = Annotated[int, BeforeValidator(_no_flags)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BudgetField(_Strict):
    """``budget:``, one of the three."""

    fraction: Annotated[float, BeforeValidator(_no_flags), Field(gt=0, le=1, allow_inf_nan=False)] | None = (
        None
    )
    rows: Annotated[Whole, Field(ge=1, le=MOST)] | None = None
    tokens: Annotated[Whole, Field(ge=1, le=MOST)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if isinstance(value, bool) or value is None:
            raise ValueError("write {fraction: 0.05}, {rows: 5000} or {tokens: 2_000_000}")
        if isinstance(value, str | int | float):
            try:
                read = parse_budget(str(value))
            except UserError as error:
                raise ValueError(f"{error.problem}. {error.fix or ''}".strip()) from None
            return {"fraction": read.fraction, "rows": read.rows, "tokens": read.tokens}
        return value

    @model_validator(mode="after")
    def _one(self) -> BudgetField:
        given = [name for name in ("fraction", "rows", "tokens") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"one of fraction, rows and tokens, not {' and '.join(given) or 'none of them'}")
        return self

    def to_budget(self) -> Budget:
        """Give the budget as the method takes it."""
        return Budget(self.fraction, self.rows, self.tokens)


class Ceiling(_Strict):
    """``alignment: {max_kl: 0.1}``."""

    max_kl: Annotated[float, BeforeValidator(_no_flags), Field(gt=0, le=1_000_000, allow_inf_nan=False)]


class Wish(_Strict):
    """``target:``, one of the four ways to say what is wanted."""

    examples: Annotated[str, Field(min_length=1)] | None = None
    weights: Annotated[dict[Text, Number], Field(min_length=1)] | None = None
    description: Annotated[str, Field(min_length=1)] | None = None
    pool: Literal[True] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        if value == POOL:
            return {POOL: True}
        if isinstance(value, str):
            raise ValueError(  # noqa: TRY004
                f"say which kind: {{examples: {printable(clipped(value, 80))}}}, {{description: ...}}, "
                "{weights: ...} or pool"
            )
        return value

    @model_validator(mode="after")
    def _one(self) -> Wish:
        given = [
            name for name in ("examples", "weights", "description", "pool") if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError(
                f"one of examples, weights, description and pool, not {' and '.join(given) or 'none of them'}"
            )
        if self.weights is not None and not any(self.weights.values()):
            raise ValueError("every weight is 0: give at least one concept a weight above 0")
        return self

    @property
    def kind(self) -> str:
        """``examples``, ``weights``, ``description`` or ``pool``."""
        return next(
            name for name in ("examples", "weights", "description", "pool") if getattr(self, name) is not None
        )


class Exclude(_Strict):
    """``exclude: {where: SQL condition}`` over the columns of the rows."""

    where: Annotated[str, Field(min_length=1)]


class ConstraintsField(_Strict):
    """``constraints:``."""

    max_share: dict[Text, dict[Text, Share]] = Field(default_factory=dict)
    min_share: dict[Text, dict[Text, Share]] = Field(default_factory=dict)
    include: tuple[Text, ...] = ()
    exclude: Exclude | None = None

    @field_validator("max_share", mode="before")
    @classmethod
    def _of_each(cls, value: object) -> object:
        """Read ``{template: 0.2}`` as a cap on each template."""
        if not isinstance(value, dict):
            return value
        return {name: of if isinstance(of, dict) else {EVERY: of} for name, of in value.items()}

    @model_validator(mode="after")
    def _agree(self) -> ConstraintsField:
        for attribute, floors in self.min_share.items():
            if sum(floors.values()) > 1 + 1e-9:
                raise ValueError(f"min_share of {attribute} adds up to {sum(floors.values()):g}, more than 1")
            for value, floor in floors.items():
                cap = self.max_share.get(attribute, {}).get(value, 1.0)
                if floor > cap:
                    raise ValueError(
                        f"{attribute}={value} has min_share {floor:g} above its max_share {cap:g}"
                    )
        return self


NOT_ASKED = {"name", "path", "target", "limits"}
"""Fields of a target that do not say how to select: what it wants is an input of its own, limits judge."""


class TargetSpec(_Strict):
    """A target as its file says it, with the defaults filled in.

    Attributes
    ----------
    name
        The file's stem as a slug; ``pool`` where there is no file.
    path
        The file, None for the pool.
    budget
        None where the file leaves it open.
    """

    name: str
    path: Path | None = None
    budget: BudgetField | None = None
    breadth: Number = DEFAULT_BREADTH
    text_share: Share = DEFAULT_TEXT_SHARE
    alignment: Share | Ceiling = DEFAULT_ALIGNMENT
    target: Wish
    constraints: ConstraintsField = Field(default_factory=ConstraintsField)
    min_quality: Share = 0.0
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = 0
    stability: Share = 0.0
    certificate: Part | None = None
    limits: TargetLimits = Field(default_factory=TargetLimits)

    @classmethod
    def of_pool(cls) -> TargetSpec:
        """Build the target that is the pool itself: global sampling."""
        return cls(name=POOL, target=Wish(pool=True))

    @property
    def examples_source(self) -> str | None:
        """Where the examples are, from the folder of the target's file: a path, or ``file.duckdb::table``."""
        if self.target.examples is None:
            return None
        named = expanded(self.target.examples)
        return str(named if named.is_absolute() or self.path is None else self.path.parent / named)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the target is made of: its own, and its examples."""
        examples = self.examples_source
        named = (self.path, None if examples is None else Path(examples.split("::", 1)[0]))
        return tuple(dict.fromkeys(file for file in named if file is not None))

    @property
    def method_budget(self) -> Budget:
        """The budget as the method takes it, `DEFAULT_BUDGET` where the file leaves it open."""
        return DEFAULT_BUDGET if self.budget is None else self.budget.to_budget()

    @property
    def method_alignment(self) -> float | MaxKL:
        """The alignment as the method takes it."""
        return MaxKL(self.alignment.max_kl) if isinstance(self.alignment, Ceiling) else self.alignment

    def with_budget(self, budget: Budget) -> TargetSpec:
        """Take another budget than the file's (``--budget``)."""
        field = BudgetField(fraction=budget.fraction, rows=budget.rows, tokens=budget.tokens)
        return self.model_copy(update={"budget": field})

    def at(self, field: str) -> str:
        """Name the file and a field of it, for the ``where`` of an error."""
        return f"{self.path}: {field}" if self.path is not None else field


class Places(Protocol):
    """Where the fields of a target were written, for errors."""

    def line(self, field: Sequence[int | str], /) -> int:
        """Number the line that a field stands in; what comes first is named first."""

    def place(self, field: Sequence[int | str], /) -> str:
        """Name a field's place, as a person finds it."""


def spec_from(
    document: Mapping[str, object], places: Places, *, name: str, path: Path | None = None
) -> TargetSpec:
    """Check what was written, as `load_target` does for a file.

    Raises
    ------
    UserError
        One line: the place, what is wrong, the fix.
    """
    for field in ("name", "path"):  # these come from the file's name
        if field in document:
            raise _unknown_field((field,), places)
    try:
        return TargetSpec.model_validate({**document, "name": name, "path": path})
    except ValidationError as error:
        raise _one_line(error, places) from None


def slug(name: str) -> str:
    """Make a name that is safe in paths, SQL and URLs: ``Maths (v2)`` -> ``maths_v2``."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")


def target_name(path: Path) -> str:
    """Name a target by its file.

    Raises
    ------
    UserError
        Where nothing is left of the stem, or it is ``pool``.
    """
    stem = path.name.split(".")[0] if path.suffix.lower() not in YAML_SUFFIXES else path.stem
    name = slug(stem)
    if not name:
        raise InvalidInputError(
            f"the name {stem!r} has no letter or digit of ASCII", where=str(path), fix="Rename it."
        )
    if name == POOL:
        raise InvalidInputError(
            "the name 'pool' is taken by the pool itself", where=str(path), fix="Rename the file."
        )
    return name


class TargetFiles(NamedTuple):
    """The target files of a folder by name, in the order of their names, and those that have no name."""

    found: dict[str, Path]
    problems: tuple[UserError, ...]
    """One for each file that cannot be named, or whose name an earlier file has."""


def find_targets(folder: Path) -> TargetFiles:
    """List the target files of a folder; one that has no name of its own keeps no other from being found.

    Raises
    ------
    UserError
        Where the folder cannot be read.
    """
    found: dict[str, Path] = {}
    problems: list[UserError] = []
    try:
        files = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(folder)) from None
    for path in (path for path in files if path.suffix.lower() in YAML_SUFFIXES):
        try:
            name = target_name(path)
        except UserError as error:
            problems.append(error)
            continue
        if name in found:
            problem = f"has the same name, {name!r}, as {found[name].name}"
            problems.append(InvalidInputError(problem, where=str(path), fix="Rename one of them."))
        else:
            found[name] = path
    return TargetFiles(dict(sorted(found.items())), tuple(problems))


def resolve_target(text: str, folder: Path) -> Path:
    """Find the file that ``--target`` means: a path, or the name of a target in the folder.

    Raises
    ------
    UserError
        Where there is none, with the nearest names.
    """
    path = expanded(text)
    if os.path.isfile(path):  # noqa: PTH113 - False for a name that no file may have
        return path
    known = find_targets(folder).found
    name = slug(path.stem if path.suffix.lower() in YAML_SUFFIXES else text)
    if path.parent == Path() and name in known:
        return known[name]
    if path.suffix or path.parent != Path():
        raise NotFoundError(
            "there is no such file", where=text, fix="Name a target's YAML file or a file of examples."
        )
    raise UserError.unknown("target", text, known, where=f"--target, {folder}")


def load_target(path: str | Path) -> TargetSpec:
    """Read a target's YAML file; any other file is a file of examples, with everything else by default.

    Raises
    ------
    UserError
        One line: the file, the line in it, the field, what is wrong, the fix.
    """
    path = Path(path)
    name = target_name(path)
    if not path.is_file():
        raise NotFoundError(
            "there is no such file", where=str(path), fix="Name a target's YAML file or a file of examples."
        )
    if path.suffix.lower() not in YAML_SUFFIXES:
        return TargetSpec(name=name, path=path, target=Wish(examples=path.name))
    file = read_yaml(path)
    spec = spec_from(file.document, file, name=name, path=path)
    for needed in spec.files:
        if not os.path.exists(needed):  # noqa: PTH110 - False for a name that no file may have
            raise NotFoundError(
                f"there is no file {needed}",
                where=file.place(("target", "examples")),
                fix="A relative path is taken from the folder of the target's file.",
            )
    return spec


_FIELDS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): TargetSpec,
    ("budget",): BudgetField,
    ("alignment",): Ceiling,
    ("target",): Wish,
    ("constraints",): ConstraintsField,
    ("constraints", "exclude"): Exclude,
    ("limits",): TargetLimits,
}


def _unknown_field(field: Sequence[int | str], file: Places) -> UserError:
    around = tuple(str(step) for step in field[:-1])
    model = _FIELDS.get(around)
    if model is None:
        return NotFoundError("there is no such field", where=file.place(field))
    known = [name for name in model.model_fields if around or name not in {"name", "path"}]
    near = get_close_matches(str(field[-1]), known, n=1)
    return NotFoundError(
        "there is no such field",
        where=file.place(field),
        fix=f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}.",
    )


def _one_line(error: ValidationError, file: Places) -> UserError:
    """Say the first thing that is wrong, by its place in the file."""
    # A misspelt field explains one that is missing. Of a union's errors the one of the member that was meant
    # lies deepest.
    first = min(
        error.errors(),
        key=lambda e: (e["type"] != "extra_forbidden", file.line(_field(e)), -len(e["loc"])),
    )
    field = _field(first)
    if first["type"] == "extra_forbidden":
        return _unknown_field(field, file)
    kind, given = first["type"], shown(first["input"])
    if isinstance(first["input"], float) and not isfinite(first["input"]):
        kind = "finite_number"
    limit = next(iter(first.get("ctx", {}).values()), "")
    words = {
        "missing": "is missing",
        "greater_than": f"{given} is too low: it must be above {limit}",
        "greater_than_equal": f"{given} is too low: it must be at least {limit}",
        "less_than": f"{given} is too high: it must be below {limit}",
        "less_than_equal": f"{given} is too high: it must be at most {limit}",
        "too_short": "is empty",
        "string_too_short": "is empty",
        "int_from_float": f"{given} is not a whole number",
        "int_parsing_size": f"{given} is too large",
        "finite_number": f"{given} is not a finite number",
        "value_error": first["msg"].removeprefix("Value error, "),
    }
    kinds = {
        "float": "a number",
        "int": "a whole number",
        "string": "text",
        "tuple": "a list",
        "literal": "true",
    }
    message = (
        words.get(kind) or f"must be {kinds.get(kind.split('_', maxsplit=1)[0], 'a mapping')}, not {given}"
    )
    fixes: dict[tuple[str, ...], str] = {
        (
            "target",
        ): "Say what is wanted: target: {examples: FILE}, {weights: ...}, {description: ...} or pool.",
        ("alignment",): "Write a number from 0 (information gain) to 1 (the target), or {max_kl: 0.1}.",
    }
    return InvalidInputError(message, where=file.place(field), fix=fixes.get(tuple(map(str, field))))


def _field(error: ErrorDetails) -> tuple[int | str, ...]:
    """Field as it is written: without the names that pydantic gives to the members of a union and to keys."""
    return tuple(
        step
        for step in error["loc"]
        if step not in {"Ceiling", "[key]", "float"}
        and not str(step).startswith(("function-", "constrained-"))
    )
