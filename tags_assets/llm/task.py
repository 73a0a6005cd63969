"""What is asked: a task (prompt, form of the answer, sampling) and its questions."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, ValidationError

from tags_assets.llm.conversation import Conversation, Rendered
from tags_assets.llm.faults import InvalidAnswerError
from tags_assets.llm.token_estimate import count_tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tags_assets.llm.prompt import Prompt

KEY_BYTES = 20


@dataclass(frozen=True)
class Task:
    """One kind of question.

    Attributes
    ----------
    prompt
        What the model is told.
    answer
        Form of the answer.
    max_tokens
        Longest answer; doubled where an answer was cut off.
    expected_tokens
        Usual length of an answer, for estimates before the server has answered.
    temperature, seed, frequency_penalty, presence_penalty
        Sampling.
    """

    prompt: Prompt
    answer: type[BaseModel]
    max_tokens: int
    expected_tokens: int
    temperature: float = 0.0
    seed: int = 0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0

    @property
    def name(self) -> str:
        return self.prompt.name

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the answer as servers share it: no references, no titles, all required."""
        return _plain_schema(self.answer.model_json_schema())

    @cached_property
    def bare_schema(self) -> dict[str, Any]:
        """The same without limits of length, number and pattern, for servers that refuse those."""
        return dict(_without_limits(self.schema))

    @cached_property
    def opening(self) -> tuple[dict[str, str], ...]:
        """The messages before the question: system prompt and examples."""
        messages = [{"role": "system", "content": self.prompt.system}]
        for example in self.prompt.examples:
            conversation = Conversation(example.conversation)
            row = conversation.render(float("inf")).text
            messages.append({"role": "user", "content": self.prompt.fill(row=row)})
            messages.append({"role": "assistant", "content": orjson.dumps(example.answer).decode()})
        return tuple(messages)

    @cached_property
    def opening_tokens(self) -> float:
        """About how many tokens the opening and the frame of a question take."""
        texts = [m["content"] for m in self.opening] + [self.prompt.question, self.prompt.reminder]
        return sum(count_tokens_of(t) + 6 for t in texts)

    def fingerprint(self) -> dict[str, object]:
        """What of the task changes its answers."""
        return {
            "prompt": self.prompt.label,
            "prompt_digest": self.prompt.digest,
            "schema": blake2b(orjson.dumps(self.schema), digest_size=8).hexdigest(),
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
            "frequency_penalty": self.frequency_penalty,
            "presence_penalty": self.presence_penalty,
        }

    def parse(self, content: str) -> BaseModel:
        """Read an answer.

        Raises
        ------
        InvalidAnswerError
            Where there is no answer of the right form in it.
        """
        value = find_json(content)
        try:
            return self.answer.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(p) for p in first["loc"])
            problem = f"{place}: {first['msg']}" if place else str(first["msg"])
            raise InvalidAnswerError(f"wrong form of answer ({problem})") from None


@dataclass(frozen=True)
class Question:
    """One question of a task.

    Attributes
    ----------
    task
        The task.
    subject
        The row that it is about, or a plain text for tasks that are not about a row.
    places
        More values for the prompt's places.
    sample
        Which of several answers to the same question.
    check
        A further test of the answer; gives a reason where it fails.
    about
        Whatever the asker wants to have at hand when the answer comes.
    """

    task: Task
    subject: Conversation | str
    places: Mapping[str, str] = field(default_factory=dict)
    sample: int = 0
    check: Callable[[BaseModel], str | None] | None = None
    about: object = None

    @property
    def text(self) -> str:
        """The row's text as it is asked about."""
        return self.subject if isinstance(self.subject, str) else self.subject.text

    def key(self, scope: bytes, attempt: int = 0) -> bytes:
        """Hash of all that the answer hangs on; ``scope`` stands for endpoint, model, task and parameters."""
        subject = self.subject
        digest = blake2b(scope, digest_size=KEY_BYTES)
        digest.update(subject.identity if isinstance(subject, Conversation) else clean_utf8(subject))
        if self.places:
            digest.update(orjson.dumps(self.places, option=orjson.OPT_SORT_KEYS))
        digest.update(b"|%d|%d" % (self.sample, attempt))
        return digest.digest()

    def render(self, limit: float) -> Rendered:
        """Write the question, with the row cut to about ``limit`` tokens."""
        if isinstance(self.subject, str):
            return Rendered(self.task.prompt.fill(row=self.subject, **self.places), cut=False)
        row = self.subject.render(limit)
        return Rendered(self.task.prompt.fill(row=row.text, **self.places), row.cut)

    def parse(self, content: str) -> BaseModel:
        """Read the answer and test it.

        Raises
        ------
        InvalidAnswerError
            Where it can't be used.
        """
        value = self.task.parse(content)
        reason = self.check(value) if self.check else None
        if reason:
            raise InvalidAnswerError(reason)
        return value


def clean_utf8(text: str) -> bytes:
    """Encode a text whatever is in it."""
    return text.encode("utf-8", "replace")


_MAX_STARTS = 20
"""Brackets in an answer at which JSON is looked for."""

_THOUGHT = re.compile(r"\A\s*<think>.*?(?:</think>|\Z)", re.DOTALL)


def find_json(content: str) -> object:
    """Find the JSON in an answer: bare, in a code fence, or amid other words.

    Raises
    ------
    InvalidAnswerError
        Where there is none.
    """
    text = _THOUGHT.sub("", content).strip()
    if not text:
        raise InvalidAnswerError("empty answer")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    for start in (m.start() for m in islice(re.finditer(r"[\[{]", text), _MAX_STARTS)):
        end = _closing(text, start)
        if end is not None:
            try:
                return orjson.loads(text[start:end])
            except orjson.JSONDecodeError:
                continue
    if "{" in text or "[" in text:
        raise InvalidAnswerError("broken JSON in the answer")
    raise InvalidAnswerError("no JSON in the answer")


def _closing(text: str, start: int) -> int | None:
    """Find where the bracket at ``start`` is closed; strings are stepped over."""
    depth, in_string, escaped = 0, False, False
    for i in range(start, len(text)):
        c = text[i]
        if escaped:
            escaped = False
        elif c == "\\":
            escaped = in_string
        elif c == '"':
            in_string = not in_string
        elif in_string:
            continue
        elif c in "[{":
            depth += 1
        elif c in "]}":
            depth -= 1
            if depth == 0:
                return i + 1
    return None


def _plain_schema(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema.pop("$defs", {})

    def plain(node: Any) -> Any:  # noqa: ANN401  # JSON
        if isinstance(node, list):
            return [plain(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return plain(definitions[node["$ref"].rsplit("/", 1)[1]])
        out = {
            key: plain(value) for key, value in node.items() if key not in {"title", "default", "description"}
        }
        if isinstance(node.get("properties"), dict):
            # A property may bear the name of a keyword.
            out["properties"] = {name: plain(value) for name, value in node["properties"].items()}
            out["required"] = list(node["properties"])
            out["additionalProperties"] = False
        return out

    return dict(plain(schema))


_LIMITS = {"pattern", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "format"}


def _without_limits(node: Any) -> Any:  # noqa: ANN401  # JSON
    if isinstance(node, list):
        return [_without_limits(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: (
            {name: _without_limits(value) for name, value in value.items()}
            if key == "properties"
            else _without_limits(value)
        )
        for key, value in node.items()
        if key not in _LIMITS
    }
