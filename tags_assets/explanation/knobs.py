"""The settings that `tags-assets what-if` and the Python API can change, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from tags_assets.errors import InvalidInputError, UserError
from tags_assets.method.selection.request import EVERY
from tags_assets.settings.target_file import TargetSpec, Wish, spec_from
from tags_assets.store.upstream import GROWN_FROM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KNOBS: dict[str, str] = {
    "budget": "`5%`, `5000` rows or `2Mtok`",
    "alignment": "0 = information gain alone, 1 = the target alone",
    "max_kl": "maximum KL to the target, instead of an alignment",
    "breadth": "within alignment: higher values give more variety, lower values more precision",
    "text_share": "weight of the whole text in closeness, 0 to 1; the rest is the weight of the concepts",
    "min_quality": "minimum quality of a row, 0 to 1",
    "max_share": "`max_share.source.alpaca=0.3`: maximum share of one value; `max_share=` removes all caps",
    "min_share": "`min_share.language.de=0.05`: minimum share of one value; `min_share=` removes all floors",
    "include": "`include=id-1,id-2`: rows to select in any case",
    "exclude": "`exclude='response_tokens > 4096'`: rows to leave out",
    "seed": "decides the order of rows with equal gain",
    "stability": "bonus for rows of the previous selection, as a fraction of an average pick's gain, 0 to 1",
    "certificate": "`0.999`: exchange rows and tighten the bound until this share of the optimum is proved",
}
"""Name -> what it takes. An empty value takes a knob back to its default."""


class Knobs(TypedDict, total=False):
    """The knobs as Python's keywords; those that are not given stay as they are."""

    budget: str | int
    alignment: float
    max_kl: float
    breadth: float
    text_share: float
    min_quality: float
    max_share: Mapping[str, Mapping[str, float]]
    min_share: Mapping[str, Mapping[str, float]]
    include: Sequence[str]
    exclude: str
    seed: int
    stability: float
    certificate: float


_CONSTRAINTS = ("max_share", "min_share", "include", "exclude")


def parse_changes(texts: Sequence[str]) -> dict[str, object]:
    """Read ``alignment=0.8``, ``max_share.source.alpaca=0.3``, ``exclude=response_tokens > 4096``.

    Raises
    ------
    UserError
        For what is not ``name=value``, and for a name given twice.
    """
    changes: dict[str, object] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        name, value = name.strip(), value.strip()
        if not separator or not name:
            raise InvalidInputError(
                f"{text!r} is not name=value", where="what-if", fix="Write it as 'alignment=0.8'."
            )
        if name in changes:
            raise InvalidInputError(f"{name} is given twice", where="what-if")
        changes[name] = value
    return changes


def turned(config: Mapping[str, Any], changes: Mapping[str, object], *, target: str) -> TargetSpec:
    """Change the configuration that a selection was made with.

    Parameters
    ----------
    config
        Of a version of ``selected_subset``: a target's file without what it asks for.
    changes
        Knob to value; names may go on after a dot (``max_share.source.alpaca``), texts are read as numbers
        where numbers are meant. None and ``""`` take a knob back to its default.
    target
        The target's name.

    Raises
    ------
    UserError
        One line: the knob, what is wrong, the fix.
    """
    document: dict[str, Any] = {
        key: value for key, value in config.items() if value is not None and key != GROWN_FROM
    }
    constraints: dict[str, Any] = {
        key: value for key, value in dict(document.get("constraints") or {}).items() if value is not None
    }
    document |= {"constraints": constraints, "target": Wish(pool=True)}
    for name, value in changes.items():
        knob, *steps = name.removeprefix("constraints.").split(".", 2)
        if knob == "target":
            raise InvalidInputError(
                "the target itself cannot be changed here",
                where="what-if target",
                fix="Edit the target's file and select again: it takes seconds.",
            )
        if knob not in KNOBS:
            raise UserError.unknown("knob", knob, KNOBS, where="what-if")
        if knob in _CONSTRAINTS:
            _turn_constraint(constraints, knob, steps, value)
            continue
        field = "alignment" if knob == "max_kl" else knob
        ceiling = knob == "max_kl" or steps == ["max_kl"]
        if steps and not (field == "alignment" and ceiling):
            raise InvalidInputError(f"{knob} has nothing below it", where=f"what-if {name}")
        if _is_empty(value):
            document.pop(field, None)
        else:
            given = value if field == "budget" else _number(value)
            document[field] = {"max_kl": given} if ceiling else given
    return spec_from(document, _Knobs(), name=target)


class _Knobs:
    """Places of knobs: they have names and no lines."""

    def line(self, field: Sequence[int | str]) -> int:
        return len(field)

    def place(self, field: Sequence[int | str]) -> str:
        return "what-if " + ".".join(str(step) for step in field if step != "constraints")


def _turn_constraint(constraints: dict[str, Any], knob: str, steps: list[str], value: object) -> None:
    if knob == "max_share" and len(steps) == 1:
        steps = [*steps, EVERY]
    if knob in {"max_share", "min_share"} and len(steps) == 2:
        attribute, kind = steps
        shares = {name: dict(of) for name, of in dict(constraints.get(knob) or {}).items()}
        of = shares.setdefault(attribute, {})
        of.pop(kind, None)
        if not _is_empty(value):
            of[kind] = _number(value)
        constraints[knob] = {name: of for name, of in shares.items() if of}
    elif steps and steps != ["where"]:
        raise InvalidInputError(
            f"{'.'.join([knob, *steps])} is no knob", where="what-if", fix=f"Write {_example(knob)}."
        )
    elif _is_empty(value):
        constraints.pop(knob, None)
    elif knob == "include":
        names = value.split(",") if isinstance(value, str) else value
        constraints[knob] = [str(name).strip() for name in names]  # type: ignore[attr-defined]
    elif knob == "exclude":
        constraints[knob] = {"where": value} if isinstance(value, str) else value
    elif isinstance(value, str):
        raise InvalidInputError(
            f"{value!r} is a share of what?", where=f"what-if {knob}", fix=f"Write {_example(knob)}."
        )
    else:
        constraints[knob] = value


def _example(knob: str) -> str:
    return KNOBS[knob].split(":")[0].strip("`")


def _is_empty(value: object) -> bool:
    return value is None or value == ""


def _number(value: object) -> object:
    """Read a text as a number where it is one; what it is instead, the check says."""
    if not isinstance(value, str):
        return value
    for read in (int, float):
        try:
            return read(value)
        except ValueError:
            continue
    return value
