"""Whether a model server answers, what it offers, and what is wrong if it does not."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from tags_assets.errors import UserError
from tags_assets.llm.blocking import run_blocking
from tags_assets.llm.faults import Fault, FaultKind
from tags_assets.llm.replies import read_models
from tags_assets.llm.scrub import scrub
from tags_assets.llm.settings import ClientSettings, ModelSettings

_WAIT_S = 15.0


@dataclass(frozen=True)
class ServerReport:
    """What a look at a server found.

    Attributes
    ----------
    endpoint, model
        What was looked at.
    reachable
        Whether it answered one short question.
    seconds
        How long that took.
    models
        Models that it says it has.
    context_tokens
        Context of the model, where the server says it.
    problem, fix
        What is wrong and what to do about it; empty where nothing is.
    """

    endpoint: str
    model: str
    reachable: bool
    seconds: float
    models: tuple[str, ...]
    context_tokens: int | None
    problem: str = ""
    fix: str = ""

    def __str__(self) -> str:
        if self.problem:
            place = f"{self.endpoint}: " if self.endpoint else ""
            return f"{place}{self.problem}. {self.fix}".rstrip()
        context = f", context of {self.context_tokens:,} tokens" if self.context_tokens else ""
        return f"{self.endpoint}: {self.model} answers in {self.seconds:.1f} s{context}"


def check_server(base_url: str | None, model: str | None, *, timeout_s: float = _WAIT_S) -> ServerReport:
    """Ask a server for its models and one short answer; never raises for what a user can fix.

    Address and key come from the environment where they are not given.
    """
    try:
        settings = ModelSettings(
            model=model, base_url=base_url, timeout_s=timeout_s, connect_timeout_s=min(timeout_s, 5.0)
        ).client()
        return run_blocking(lambda: _look(settings))
    except UserError as error:
        # The address itself is not repeated: it may be wrong for the password that it contains.
        where = error.where or ""
        return ServerReport(where, model or "", False, 0.0, (), None, error.problem, error.fix or "")


async def _look(settings: ClientSettings) -> ServerReport:
    from tags_assets.llm.online import Server  # noqa: PLC0415  # takes a second, and most commands call no model

    async with Server(settings) as server:
        try:
            offered = await server.get("/models", read_models)
        except Fault:
            offered = {}  # many servers do not list their models; the question tells whether it works
        names = tuple(sorted(scrub(name, server.key) for name in offered))
        context = offered.get(settings.model) or (next(iter(offered.values())) if len(offered) == 1 else None)
        started = perf_counter()
        body = {
            "model": settings.model,
            "messages": [{"role": "user", "content": "Say yes."}],
            "max_tokens": 16,
            **settings.parameters,
        }
        problem = fix = ""
        try:
            await server.chat(body)
        except Fault as fault:
            # A model that knows the limit under another name is there all the same.
            if fault.kind is not FaultKind.PARAMETER:
                problem, fix = fault.reason, _fix(fault, settings, names)
    seconds = perf_counter() - started
    return ServerReport(settings.endpoint, settings.model, not problem, seconds, names, context, problem, fix)


def _fix(fault: Fault, settings: ClientSettings, names: tuple[str, ...]) -> str:
    if fault.kind is FaultKind.DOWN:
        return "Start the server, or set OPENAI_BASE_URL to its address."
    if fault.reason.startswith("3"):
        return "If you trust the address that it redirects to, give that one."
    if fault.kind is FaultKind.REFUSED and names and settings.model not in names:
        return f"It has these models: {', '.join(names[:8])}."
    if fault.kind is FaultKind.REFUSED:
        return "Check OPENAI_API_KEY, and that the address ends as the server expects (often /v1)."
    return "Check the server's log."
