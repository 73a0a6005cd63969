"""What can go wrong with a call, and whether trying again can help."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from tags_assets.llm.replies import read_error, wait_asked_s
from tags_assets.llm.scrub import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tags_assets.llm.replies import ErrorReport


class FaultKind(Enum):
    """Who is at fault decides what is done.

    Terminal for the run: `REFUSED` (key, address, model, quota). Terminal for the row: `BAD_REQUEST`,
    `DECLINED`. Mended and asked again: `TOO_LONG` (cut more), `SCHEMA` and `PARAMETER` (speak another
    dialect). Transient: `BUSY` (429), `DOWN` (nobody answers), `BROKEN` (500, reset, garbage), `SLOW`.
    """

    REFUSED = "refused"
    BAD_REQUEST = "bad request"
    DECLINED = "declined"
    TOO_LONG = "too long"
    SCHEMA = "schema not supported"
    PARAMETER = "parameter not supported"
    BUSY = "rate limited"
    DOWN = "server down"
    BROKEN = "server error"
    SLOW = "timeout"


TRANSIENT = frozenset({FaultKind.BUSY, FaultKind.DOWN, FaultKind.BROKEN, FaultKind.SLOW})


@dataclass
class Fault(Exception):  # noqa: N818  # "fault" is what the field calls it
    """A call that brought no answer.

    Attributes
    ----------
    kind
        What follows from it.
    reason
        One line without secrets.
    retry_after_s
        How long the server asked to wait.
    parameter
        Name of the field that the server did not understand.
    context_tokens
        The context's size, where the server said it.
    maybe_paid
        Whether the server may have worked, and charged, for it.
    """

    kind: FaultKind
    reason: str
    retry_after_s: float | None = None
    parameter: str | None = None
    context_tokens: int | None = None
    maybe_paid: bool = False

    def __str__(self) -> str:
        return self.reason

    @property
    def is_transient(self) -> bool:
        """Whether trying again, the same way, may help."""
        return self.kind in TRANSIENT


class InvalidAnswerError(Exception):
    """An answer that came whole and does not say what was asked for."""


def fault_of(error: Exception, secret: str | None) -> Fault:
    """Sort an exception of the client library into a `Fault`."""
    import httpx2  # noqa: PLC0415  # takes a second, and most commands call no model
    import openai  # noqa: PLC0415

    if isinstance(error, openai.APIStatusError):
        body = error.body if error.body is not None else error.response.reason_phrase
        return fault_of_status(error.status_code, body, error.response.headers, secret)
    if isinstance(error, TimeoutError | openai.APITimeoutError):
        if isinstance(error.__cause__, httpx2.ConnectTimeout):
            return Fault(FaultKind.DOWN, "the server can't be reached (connect timeout)")
        return Fault(FaultKind.SLOW, "no whole reply within the timeout", maybe_paid=True)
    return _fault_of_connection(error, secret)


def _fault_of_connection(error: Exception, secret: str | None) -> Fault:
    import httpx2  # noqa: PLC0415  # as above
    import openai  # noqa: PLC0415

    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
    if isinstance(cause, httpx2.ConnectError | ConnectionRefusedError):
        if "certificate" in str(cause).lower():
            reason = f"the server's certificate is not trusted: {cause}"
            return Fault(FaultKind.REFUSED, scrub(reason, secret))
        return Fault(FaultKind.DOWN, scrub(f"the server can't be reached ({cause})", secret))
    name = type(cause or error).__name__
    if isinstance(cause, httpx2.HTTPError | OSError):
        return Fault(FaultKind.BROKEN, f"connection lost in mid-reply ({name})", maybe_paid=True)
    return Fault(FaultKind.BROKEN, scrub(f"{name}: {error}", secret), maybe_paid=True)


def fault_of_status(status: int, reply: object, headers: Mapping[str, str], secret: str | None) -> Fault:
    """Sort an HTTP error into a `Fault`."""
    report = read_error(reply)
    line = scrub(f"{status} {report.message}".strip(), secret)
    if status == 413 or _says_too_long(report):
        return Fault(FaultKind.TOO_LONG, line, context_tokens=report.context_tokens)
    if status == 429 and ("insufficient_quota" in report.code or "billing" in report.code):
        return Fault(FaultKind.REFUSED, f"the account's quota is used up: {line}")
    if status in {400, 422, 501}:
        return _fault_of_words(report, line)
    kind = _KIND_OF_STATUS.get(status, _kind_of(status))
    return Fault(kind, line, retry_after_s=wait_asked_s(headers))


_KIND_OF_STATUS = {
    **dict.fromkeys((401, 402, 403, 404, 405, 410), FaultKind.REFUSED),
    **dict.fromkeys((408, 409, 425), FaultKind.BROKEN),
    429: FaultKind.BUSY,
    # Behind a proxy these mean that nobody stands there at the moment.
    **dict.fromkeys((502, 503, 504, 529), FaultKind.DOWN),
}


def _kind_of(status: int) -> FaultKind:
    return FaultKind.BAD_REQUEST if 400 <= status < 500 else FaultKind.BROKEN


def _fault_of_words(report: ErrorReport, line: str) -> Fault:
    lowered, parameter = report.message.lower(), report.parameter or ""
    if any(word in lowered for word in ("response_format", "schema", "grammar", "json mode")):
        return Fault(FaultKind.SCHEMA, line)
    if parameter.startswith("response_format"):
        return Fault(FaultKind.SCHEMA, line)
    unsupported = ("unsupported", "not supported", "unrecognized", "unknown", "not permitted", "extra")
    if any(word in lowered for word in unsupported) or "unsupported" in report.code:
        # Only what can be done without: a server must not talk us into leaving the messages out.
        named = next((name for name in _PARAMETERS if name in (parameter or lowered)), None)
        if named:
            return Fault(FaultKind.PARAMETER, line, parameter=named)
    return Fault(FaultKind.BAD_REQUEST, line)


_PARAMETERS = (
    "max_completion_tokens",
    "max_tokens",
    "temperature",
    "seed",
    "frequency_penalty",
    "presence_penalty",
)


def _says_too_long(report: ErrorReport) -> bool:
    lowered = report.message.lower()
    return (
        "context_length" in report.code
        or "exceed_context" in report.code
        or "context length" in lowered
        or "context window" in lowered
        or "context size" in lowered
        or "maximum context" in lowered
        or "prompt is too long" in lowered
        or "request too large" in lowered
        or ("too many" in lowered and "token" in lowered and "minute" not in lowered)
    )
