"""Values that a person wrote, checked against a model: what is wrong becomes one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from tags_assets.errors import InvalidInputError, UserError
from tags_assets.settings.strict_yaml import read_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], values: object, *, kind: str, where: Callable[[str], str]) -> M:
    """Check values against a model.

    Parameters
    ----------
    model
        What the values must fit.
    values
        As they were written.
    kind
        What a field is called, for a name that does not exist.
    where
        Gives the place of a field, from its dotted name.

    Raises
    ------
    UserError
        For the first field that does not fit; it never repeats the value, which may be secret.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        first = min(found, key=lambda one: one["type"] != "extra_forbidden")
        place = where(".".join(str(step) for step in first["loc"]))
        if first["type"] == "extra_forbidden":
            known = _fields(model, [str(step) for step in first["loc"][:-1]])
            raise UserError.unknown(kind, str(first["loc"][-1]), known, where=place) from None
        raise InvalidInputError(first["msg"], where=place) from None


def _fields(model: type[BaseModel], path: Iterable[str]) -> list[str]:
    """Name the fields of a model, or of a model inside it."""
    for name in path:
        field = model.model_fields.get(name)
        kinds = () if field is None else (field.annotation, *get_args(field.annotation))
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        model = inner[0] if inner else model
    return list(model.model_fields)


def pairs(texts: Iterable[str], option: str, example: str) -> dict[str, str]:
    """Split options of the form ``name=value``.

    Raises
    ------
    UserError
        For one that is not, and for a name given twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = (part.strip() for part in text.partition("="))
        if not separator or not name or not value:
            raise InvalidInputError(
                f"{text!r} is not name=value" if "://" not in text else "this is not name=value",
                where=option,
                fix=f"Write it as {example!r}.",
            )
        if name in found:
            raise InvalidInputError(f"{name} is given twice", where=option)
        found[name] = value
    return found


def value_of(text: str, where: str) -> Any:  # noqa: ANN401 - whatever YAML can say
    """Read one value as YAML.

    Raises
    ------
    UserError
        If it is not YAML, or uses aliases.
    """
    return read_value(text, where)


def dumped(values: Mapping[str, Any]) -> str:
    """Write settings as YAML, in their order."""
    return str(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True))
