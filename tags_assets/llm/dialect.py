"""What a server understands: found out once for each server, model and task, and remembered in the cache."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from tags_assets.llm.faults import FaultKind

if TYPE_CHECKING:
    from tags_assets.llm.faults import Fault
    from tags_assets.llm.task import Task

MODES = ("json_schema", "bare_json_schema", "json_object", "text")
"""Ways to constrain an answer, the best first: the schema, the schema without limits of length and number,
any JSON object, and nothing but the prompt's words."""

_RENAMED = {"max_tokens": "max_completion_tokens"}


_LEAST_RATIO, _MOST_RATIO = 0.4, 3.0


@dataclass(frozen=True, slots=True)
class Remedy:
    """How to put a request again: in which mode, and whether with less of the row."""

    mode: str
    cut: bool


def _known(mode: str | None) -> str | None:
    if mode not in (None, *MODES):
        raise ValueError("no such mode")
    return mode


@dataclass
class Dialect:
    """How to speak to one server.

    Attributes
    ----------
    mode
        One of `MODES`; None while it is not known.
    dropped
        Parameters that the model refuses, as ``temperature`` by some reasoning models.
    renamed
        Whether the longest answer is called ``max_completion_tokens``.
    context_tokens
        Size of the context, where it is known.
    tokens_per_estimate
        Prompt tokens that the server counted for each that `count_tokens` estimated.
    completion_tokens
        Mean length of an answer.
    n_observed
        Answers that the two means rest on (at most 1,000, so that they follow a change).
    """

    mode: Annotated[str | None, AfterValidator(_known)] = None
    dropped: list[str] = field(default_factory=list)
    renamed: bool = False
    context_tokens: Annotated[int | None, Field(gt=0, lt=2**40)] = None
    tokens_per_estimate: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    completion_tokens: Annotated[float | None, Field(ge=0, lt=2**40)] = None
    n_observed: Annotated[int, Field(ge=0, le=1000)] = 0

    def observe(self, estimated: float, prompt_tokens: int, completion_tokens: int) -> None:
        """Learn from what an answer took."""
        if prompt_tokens <= 0 or estimated <= 0:
            return
        self.n_observed = min(self.n_observed + 1, 1000)
        step = 1 / self.n_observed
        # Some servers count only what was not in their cache: that says nothing of the tokenizer.
        ratio = min(max(prompt_tokens / estimated, _LEAST_RATIO), _MOST_RATIO)
        self.tokens_per_estimate += step * (ratio - self.tokens_per_estimate)
        before = completion_tokens if self.completion_tokens is None else self.completion_tokens
        self.completion_tokens = before + step * (completion_tokens - before)

    def fix(self, fault: Fault, mode: str) -> Remedy | None:
        """Find another way to put a request that the server did not take as it was put.

        Parameters
        ----------
        fault
            What it said.
        mode
            What the request spoke.

        Returns
        -------
        What to change, or None where nothing is left to try.
        """
        if fault.kind is FaultKind.TOO_LONG:
            if fault.context_tokens and fault.context_tokens != self.context_tokens:
                self.context_tokens = fault.context_tokens
                return Remedy(mode, cut=False)
            return Remedy(mode, cut=True)
        if fault.kind is FaultKind.PARAMETER and fault.parameter and self.drop(fault.parameter):
            return Remedy(mode, cut=False)
        # Where a mode has worked before, a bad request is the row's own fault.
        if fault.kind is FaultKind.SCHEMA or self.mode is None:
            later = MODES[MODES.index(mode) + 1 :]
            return Remedy(later[0], cut=False) if later else None
        return None

    def drop(self, parameter: str) -> bool:
        """Do without a parameter, or under its other name; False where nothing is left to change."""
        if parameter in _RENAMED and not self.renamed:
            self.renamed = True
            return True
        if parameter in self.dropped:
            return False
        self.dropped.append(parameter)
        return True

    def body(
        self, task: Task, question: str, mode: str, *, max_tokens: int, temperature: float, seed: int
    ) -> dict[str, Any]:
        """Write a request's body, without model and the user's own parameters."""
        if mode in {"json_object", "text"} and task.prompt.reminder:
            question = f"{question}\n\n{task.prompt.reminder}"
        body: dict[str, Any] = {
            "messages": [*task.opening, {"role": "user", "content": question}],
            "max_completion_tokens" if self.renamed else "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }
        for name in ("frequency_penalty", "presence_penalty"):
            if getattr(task, name):
                body[name] = getattr(task, name)
        if mode in {"json_schema", "bare_json_schema"}:
            schema = task.schema if mode == "json_schema" else task.bare_schema
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": task.name, "strict": True, "schema": schema},
            }
        elif mode == "json_object":
            body["response_format"] = {"type": "json_object"}
        for name in self.dropped:
            body.pop(name, None)
        return body

    def dump(self) -> str:
        """Write what was found out."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def load(cls, text: str | None) -> Dialect:
        """Read what was found out before."""
        if text is None:
            return cls()
        try:
            return _READER.validate_json(text, strict=True)
        except ValidationError:  # a damaged cache: it is found out anew
            return cls()


_READER = TypeAdapter(Dialect)


def dialect_name(task: Task) -> str:
    """Name under which a task's dialect is remembered."""
    return f"dialect {task.name} {task.fingerprint()['schema']}"
