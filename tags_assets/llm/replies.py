"""Everything that a model server says, read and checked in one place.

A server is not trusted: each reply is validated by a model here. What a reply must have and lacks makes it an
`UnreadableReplyError`, which costs that call; what it may have and has wrongly counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
import orjson
from pydantic import (
    AfterValidator,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WrapValidator,
)

from tags_assets.errors import printable

if TYPE_CHECKING:
    from pydantic import ValidatorFunctionWrapHandler

MAX_TOKENS = 10_000_000
"""More tokens than any model reads or writes in one call; a server that counts more is not believed."""

MAX_WAIT_S = 30 * 86_400.0
"""Longest wait that a server can ask for; a longer one is read as this."""

MAX_ANSWER_CHARS = 2**18
"""Characters of an answer that are read and kept."""

_MAX_DIMENSIONS = 65_536
_MAX_MODELS = 10_000
_MAX_LABEL = 40
_MAX_NAME = 200
_CONTEXT = range(256, 100_000_001)
"""Sizes of a context that are believed."""


class UnreadableReplyError(Exception):
    """A reply without what it must have. ``maybe_paid``: the server may charge for it all the same."""

    def __init__(self, reason: str, *, maybe_paid: bool = True) -> None:
        super().__init__(reason)
        self.maybe_paid = maybe_paid


def _or_none(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValidationError:
        return None


def _sane_count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_TOKENS:
        return None
    return int(value)


def _sane_context(value: object) -> int | None:
    return value if isinstance(value, int) and value in _CONTEXT else None


_Lenient = WrapValidator(_or_none)
_Count = Annotated[int | None, BeforeValidator(_sane_count)]
_Context = Annotated[int | None, BeforeValidator(_sane_context)]
_Text = Annotated[str | None, _Lenient]
_Label = Annotated[str, AfterValidator(lambda text: printable(" ".join(text[:_MAX_LABEL].split())))]
_Name = Annotated[str, AfterValidator(lambda text: printable(" ".join(text[:_MAX_NAME].split())))]
_Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$", strict=True)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Usage(_Said):
    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    cached_tokens: _Count = Field(
        default=None, validation_alias=AliasPath("prompt_tokens_details", "cached_tokens")
    )


class _Message(_Said):
    content: _Text = None
    refusal: _Text = None


class _Choice(_Said):
    message: Annotated[_Message | None, _Lenient] = None
    finish_reason: Annotated[_Label | None, _Lenient] = None


class _Completion(_Said):
    error: Any = None
    choices: Annotated[list[Any] | None, _Lenient] = None
    usage: Annotated[_Usage | None, _Lenient] = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A completion.

    Attributes
    ----------
    content, finish
        The answer, and why it ends.
    prompt_tokens, completion_tokens
        As the server counts them; None where it does not say or can't be believed.
    cached_tokens
        Prompt tokens that the provider had in its own cache.
    """

    content: str
    finish: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int


def read_completion(content: bytes | object) -> Reply:
    """Read a chat completion, from JSON or from an object that was JSON.

    Raises
    ------
    UnreadableReplyError
        If it is an error in disguise, or no completion.
    """
    body = _read(_Completion, content)
    if body.error:
        reason = f"an error inside a reply: {read_error(body.error).message}"
        raise UnreadableReplyError(reason, maybe_paid=False)
    try:
        choice = _Choice.model_validate((body.choices or [])[0])
    except (IndexError, ValidationError):
        raise UnreadableReplyError("the reply holds no choice") from None
    message, usage = choice.message or _Message(), body.usage or _Usage()
    answer, finish = message.content or "", choice.finish_reason or "stop"
    if message.refusal:
        answer, finish = message.refusal, "refusal"
    if len(answer) > MAX_ANSWER_CHARS:
        answer, finish = answer[:MAX_ANSWER_CHARS], "length"
    prompt_tokens = usage.prompt_tokens or None
    # An answer of no tokens is not believed; an empty one may have none.
    completion_tokens = usage.completion_tokens or (None if answer else usage.completion_tokens)
    return Reply(
        answer, finish, prompt_tokens, completion_tokens, min(usage.cached_tokens or 0, prompt_tokens or 0)
    )


class _Vector(_Said):
    index: Annotated[int, Field(strict=True, ge=0)]
    embedding: Annotated[
        list[Annotated[float, Field(strict=True, allow_inf_nan=False)]],
        Field(min_length=1, max_length=_MAX_DIMENSIONS),
    ]


class _Embeddings(_Said):
    data: list[_Vector]
    usage: Annotated[_Usage | None, _Lenient] = None


def read_vectors(content: bytes, n: int, length: int | None) -> tuple[list[bytes], int | None]:
    """Read the vectors of ``n`` texts.

    Parameters
    ----------
    content
        The reply.
    n
        How many texts were sent.
    length
        Length that the vectors must have; None where any will do.

    Returns
    -------
    The vectors in the order of the texts, float32 little-endian, and the tokens that the server counted.

    Raises
    ------
    UnreadableReplyError
        If there is not exactly one finite vector of that length, other than zero, for each text.
    """
    body = _read(_Embeddings, content)
    if sorted(vector.index for vector in body.data) != list(range(n)):
        raise UnreadableReplyError(f"the reply does not hold one vector for each of {n} texts")
    lengths = {len(vector.embedding) for vector in body.data}
    if len(lengths) > 1 or (length and lengths != {length}):
        wanted = f"{length} numbers" if length else "one length"
        raise UnreadableReplyError(
            f"vectors of {', '.join(map(str, sorted(lengths)[:3]))} numbers, not {wanted}"
        )
    rows = [vector.embedding for vector in sorted(body.data, key=lambda vector: vector.index)]
    with np.errstate(over="ignore"):
        vectors = np.asarray(rows, dtype=np.float64).astype("<f4")
        norms = np.linalg.norm(vectors, axis=1)
    if not np.isfinite(norms).all() or not (norms > 0).all():
        raise UnreadableReplyError("a vector is zero or too large")
    return [vector.tobytes() for vector in vectors], (body.usage or _Usage()).prompt_tokens or None


class _Meta(_Said):
    n_ctx: _Context = None


class _Model(_Said):
    id: _Name
    max_model_len: _Context = None
    context_length: _Context = None
    meta: Annotated[_Meta | None, _Lenient] = None


class _Models(_Said):
    data: list[Annotated[_Model | None, _Lenient]]


def read_models(content: bytes) -> dict[str, int | None]:
    """Read which models a server has, with their contexts, which each kind of server names differently.

    Raises
    ------
    UnreadableReplyError
        If it is no list of models.
    """
    models = [model for model in _read(_Models, content).data[:_MAX_MODELS] if model is not None]
    return {m.id: m.max_model_len or (m.meta or _Meta()).n_ctx or m.context_length for m in models}


# Batches


class _File(_Said):
    id: _Id


class _Counts(_Said):
    completed: _Count = None
    failed: _Count = None


class _BatchError(_Said):
    code: Annotated[_Label | None, _Lenient] = None
    message: _Text = None


class _BatchErrors(_Said):
    data: list[Annotated[_BatchError | None, _Lenient]]


class Batch(_Said):
    """A batch as the server describes it."""

    id: _Id
    status: _Label
    output_file_id: Annotated[_Id | None, _Lenient] = None
    error_file_id: Annotated[_Id | None, _Lenient] = None
    metadata: Annotated[dict[str, Any] | None, _Lenient] = None
    request_counts: Annotated[_Counts | None, _Lenient] = None
    errors: Annotated[_BatchErrors | None, _Lenient] = None

    @property
    def done(self) -> int:
        """Requests that are done, as the server counts them."""
        counts = self.request_counts or _Counts()
        return (counts.completed or 0) + (counts.failed or 0)

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Why it failed: codes and sentences."""
        errors = self.errors.data if self.errors else []
        return [(error.code or "", error.message or "no reason given") for error in errors if error]


class _Page(_Said):
    data: list[Annotated[Batch | None, _Lenient]]
    has_more: Annotated[bool | None, _Lenient] = None


def read_file_id(content: bytes) -> str:
    """Read under which id the server has a file that was sent.

    Raises
    ------
    UnreadableReplyError
        If it gives none.
    """
    return _read(_File, content).id


def read_batch(content: bytes, batch_id: str | None = None) -> Batch:
    """Read the description of a batch.

    Raises
    ------
    UnreadableReplyError
        If it is none, or that of another batch than was asked for.
    """
    batch = _read(Batch, content)
    if batch_id is not None and batch.id != batch_id:
        raise UnreadableReplyError("the reply describes another batch")
    return batch


def read_batches(content: bytes) -> tuple[list[Batch], bool]:
    """Read a page of a list of batches, and whether there are more; what is no batch is left out.

    Raises
    ------
    UnreadableReplyError
        If it is no list.
    """
    page = _read(_Page, content)
    return [batch for batch in page.data if batch is not None], bool(page.has_more)


class _Response(_Said):
    status_code: _Count = None
    body: Any = None


class Line(_Said):
    """One line of a batch's file of answers."""

    custom_id: str
    response: Annotated[_Response | None, _Lenient] = None
    error: Any = None

    @property
    def status(self) -> int:
        """HTTP status of the answer; 500 where there is none."""
        return (self.response.status_code if self.response else None) or 500

    @property
    def body(self) -> object:
        """The answer."""
        return self.response.body if self.response else None


def read_line(content: bytes) -> Line | None:
    """Read a line of a batch's file; None where it can't be read."""
    try:
        return _read(Line, content)
    except UnreadableReplyError:
        return None


# Errors and headers


class ErrorReport(_Said):
    """An error as a server words it, whatever its form."""

    message: str = ""
    code: str = ""
    parameter: str | None = None
    context_tokens: int | None = None


class _ErrorBody(_Said):
    message: Any = None
    detail: Any = None
    error: Any = None
    code: Annotated[str | int | None, _Lenient] = None
    type: _Text = None
    param: _Text = None
    n_ctx: _Context = None


_MAX_MESSAGE = 4096


def read_error(body: object) -> ErrorReport:
    """Read an error: an object, a text, or whatever else came."""
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping):
        body = body["error"]
    if not isinstance(body, Mapping):
        return ErrorReport(message=_sentence(body))
    fields = _ErrorBody.model_validate(dict(body))
    # FastAPI and vLLM say "detail" or put the sentence straight into "error".
    message = _sentence(fields.message or fields.detail or fields.error)
    code = f"{fields.code or ''} {fields.type or ''}".strip().lower()[:_MAX_LABEL]
    return ErrorReport(
        message=message,
        code=code,
        parameter=fields.param,
        context_tokens=fields.n_ctx or _context_in(message),
    )


def _sentence(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value[:_MAX_MESSAGE]
    try:
        return orjson.dumps(value, default=str).decode()[:_MAX_MESSAGE]
    except (TypeError, ValueError, RecursionError):
        return type(value).__name__


def _context_in(message: str) -> int | None:
    found = re.search(
        r"(?:context (?:length|size|window)(?: is| of)?|maximum of|context size \()[^0-9]{0,12}([0-9]{3,8})",
        message,
    )
    return _sane_context(int(found.group(1))) if found else None


_SECONDS = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]*)?(e[+-]?[0-9]{1,3})?|inf(inity)?)", re.IGNORECASE)


def wait_asked_s(headers: Mapping[str, str]) -> float | None:
    """Read how long the server asks to wait: ``retry-after-ms``, else ``Retry-After``, seconds or a date.

    Returns
    -------
    Seconds from 0 to `MAX_WAIT_S`; None where the server asks for nothing that can be understood.
    """
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        value = headers.get(name, "").strip()
        if _SECONDS.fullmatch(value):
            return _bounded_wait(float(value) / unit)
    try:
        date = parsedate_to_datetime(headers["retry-after"])
        return _bounded_wait((date - datetime.now(UTC)).total_seconds())
    except (KeyError, ValueError, TypeError, OverflowError, IndexError):
        return None


def _bounded_wait(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_WAIT_S)


M = TypeVar("M", bound=BaseModel)


def _read(model: type[M], content: bytes | object) -> M:
    try:
        if isinstance(content, bytes):
            return model.model_validate_json(content)
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise UnreadableReplyError("the reply is not JSON") from None
        place = ".".join(str(part)[:_MAX_LABEL] for part in first["loc"][:4])
        reason = f"{place}: {first['msg']}" if place else str(first["msg"])
        raise UnreadableReplyError(f"the reply has the wrong form ({reason})") from None
