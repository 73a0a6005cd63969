"""The settings of a pool that the options of `tags-assets select` ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tags_assets.errors import InvalidInputError
from tags_assets.llm.settings import ModelSettings
from tags_assets.paths import expanded
from tags_assets.settings.home import PoolSettings
from tags_assets.settings.limits import Limits
from tags_assets.settings.validation import pairs, validated, value_of

if TYPE_CHECKING:
    from pathlib import Path

    from tags_assets.commands.select_options import SelectOptions

AS_GIVEN = ("tagger", "judge", "namer", "embedder", "allow_unreadable_files", "attachments", "pii")
"""Options whose value is the value of the pool's setting of the same name."""


def changed_pool(before: PoolSettings, options: SelectOptions) -> PoolSettings:
    """Lay the options over the settings of a pool; options that are not given change nothing."""
    chosen: dict[str, Any] = {name: getattr(options, name) for name in AS_GIVEN}
    chosen |= {
        "paths": [_absolute(path) for path in options.pool],
        "columns": pairs(options.columns, "--column", "tags=my_tags"),
        "filters": pairs(options.filters, "--filter", "long=response_tokens > 4096"),
        "decontaminate": [_absolute(path) for path in options.decontaminate],
        "lexicon": options.lexicon and _lexicon(options.lexicon),
        "limits": _limits(before, options),
        "tag_share": options.tag_share and _share(options.tag_share),
        "llm": _language_model(before, options),
    }
    if options.retry_failed:
        chosen["retries"] = before.retries + 1
    settings = before.model_copy(update={name: value for name, value in chosen.items() if value})
    needs = [what for what in ("tagger", "judge", "namer") if getattr(settings, what) == "llm"]
    if needs and not settings.llm.model:
        raise InvalidInputError(
            f"--{needs[0]} llm needs a model", fix="Name one with --model, as its server calls it."
        )
    if settings.embedder == "api" and not settings.llm.embedding_model:
        raise InvalidInputError(
            "--embedder api needs a model for embeddings", fix="Name one: --llm embedding_model=NAME."
        )
    if settings.tag_share < 1 and settings.tagger != "llm":
        raise InvalidInputError(
            "a share applies to tagging by a language model only",
            where="--tag-share",
            fix="Add --tagger llm.",
        )
    return settings


def _share(text: str) -> float:
    """Read ``10%`` or ``0.1``."""
    digits, percent, rest = text.strip().partition("%")
    try:
        share = float(digits) / (100 if percent else 1)
    except ValueError:
        share = 0.0
    if rest or not 0 < share <= 1:
        raise InvalidInputError(
            f"{text!r} is not a share of the rows", where="--tag-share", fix="Write 10% or 0.1."
        )
    return share


def _limits(before: PoolSettings, options: SelectOptions) -> Limits:
    values: dict[str, Any] = {}
    for name, text in pairs(options.limits, "--limit", "rejected=5%").items():
        if name == "blocking":
            values[name] = [part.strip() for part in text.split(",")]
        else:
            values[name] = _percent(text) if text.endswith("%") else text
    from tags_assets.assets.registry import check_limits

    limits = validated(
        Limits,
        before.limits.model_dump(exclude_unset=True) | values,
        kind="limit",
        where=lambda field: f"--limit {field}",
    )
    return check_limits(limits)


def _lexicon(path: Path) -> str:
    """Read the lexicon now, so that a mistake in it shows before the pool is read."""
    from tags_assets.method.concepts.lexicon import read_lexicon

    file = expanded(path).absolute()
    read_lexicon(file)
    return str(file)


def _percent(text: str) -> float | str:
    try:
        return float(text.removesuffix("%")) / 100
    except ValueError:
        return text


def _language_model(before: PoolSettings, options: SelectOptions) -> ModelSettings:
    said = pairs(options.llm, "--llm", "concurrency=32")
    values = {name: value_of(value, f"--llm {name}") for name, value in said.items()}
    named = {"model": options.model, "base_url": options.base_url}
    values |= {name: value for name, value in named.items() if value}
    return validated(
        ModelSettings,
        before.llm.model_dump(exclude_unset=True) | values,
        kind="setting of the language model",
        where=lambda field: f"--llm {field}",
    )


def _absolute(path: str) -> str:
    file, separator, query = path.partition("::")
    return str(expanded(file).absolute()) + separator + query
