"""Commands whose options are the fields of a model, and options that are settings of a pool."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import typer
from pydantic import BaseModel

from tags_assets.settings.home import PoolSettings

if TYPE_CHECKING:
    from collections.abc import Callable

M = TypeVar("M", bound=BaseModel)


def pool_option(setting: str, *names: str, example: str | None = None) -> Any:  # noqa: ANN401 - as typer.Option
    """Make the option that sets a setting of the pool; its help is what the setting's field says."""
    field = PoolSettings.model_fields[setting]
    text = (field.description or "").replace("``", "`").replace("\n", " ")
    if example:
        text += f" Example: `{example}`."
    if isinstance(field.default, str):
        text += f" [default: {field.default}]"
    return typer.Option(*names, help=text)


def command_of(options: type[M], run: Callable[[M], None]) -> Callable[..., None]:
    """Make a command that takes the fields of a model as its options, and runs with the model."""
    hints = get_type_hints(options, include_extras=True)

    def command(**given: object) -> None:
        run(options.model_validate(given))

    parameters = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[name])
        for name, field in options.model_fields.items()
    ]
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {name: hints[name] for name in options.model_fields}
    command.__doc__, command.__name__ = run.__doc__, run.__name__
    return command
