"""Prompts: versioned files under ``tags_assets/prompts``, never strings in code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import yaml

from tags_assets.errors import UserError

_PLACE = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class Example:
    """A question with the answer that it should get."""

    conversation: tuple[tuple[str, str], ...]
    answer: dict[str, Any]


@dataclass(frozen=True)
class Prompt:
    """What the model is told.

    Attributes
    ----------
    name, version
        What the file says it is.
    system
        Instructions, the same for every question (servers keep such a prefix in their cache).
    question
        Frame of one question; ``{{row}}`` and other places are filled in.
    examples
        Few-shot examples.
    reminder
        Said in the question where the server does not constrain answers to a schema.
    digest
        Hash of the file's content: a changed prompt is another prompt.
    """

    name: str
    version: int
    system: str
    question: str
    examples: tuple[Example, ...]
    reminder: str
    digest: str

    @property
    def label(self) -> str:
        """Name, version and digest, as ``tag-1-3f9ac2d1``."""
        return f"{self.name}-{self.version}-{self.digest[:8]}"

    @cached_property
    def _parts(self) -> list[str]:
        return _PLACE.split(self.question)

    def fill(self, **values: str) -> str:
        """Put the values into the places of the question; what looks like a place in a value stays text."""
        parts = list(self._parts)
        parts[1::2] = [values[name] for name in parts[1::2]]
        return "".join(parts)


def read_prompt(name: str, path: str | Path | None = None) -> Prompt:
    """Read a prompt of the package, or one of the user's own in the same form.

    Raises
    ------
    UserError
        Where the user's file is not a prompt.
    """
    if path is None:
        return _packaged(name)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the prompt can't be read ({error})", where=str(path)) from error
    return parse_prompt(text, name, str(path))


@cache
def _packaged(name: str) -> Prompt:
    resource = files("tags_assets") / "prompts" / f"{name}.yaml"
    return parse_prompt(resource.read_text(encoding="utf-8"), name, resource.name)


def parse_prompt(text: str, name: str, where: str) -> Prompt:
    """Build a prompt from the text of its file.

    Raises
    ------
    UserError
        Where a part is missing or has the wrong form.
    """
    try:
        raw = yaml.safe_load(text)
        examples = tuple(
            Example(tuple((turn["role"], turn["content"]) for turn in e["conversation"]), dict(e["answer"]))
            for e in raw.get("examples", ())
        )
        content = {key: raw[key] for key in ("version", "system", "question")}
        content["reminder"] = raw.get("reminder", "")
        content["examples"] = raw.get("examples", [])
        version, system, question = int(raw["version"]), str(raw["system"]), str(raw["question"])
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"not a prompt ({type(error).__name__}: {error})",
            where=where,
            fix="A prompt has version, system and question, and may have examples and reminder.",
        ) from error
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    digest = blake2b(canonical, digest_size=16).hexdigest()
    return Prompt(
        name, version, system.strip(), question.strip(), examples, content["reminder"].strip(), digest
    )
