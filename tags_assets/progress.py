"""Progress of long work, from the method to whoever watches: the terminal or the Dagster UI."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, ParamSpec, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

P = ParamSpec("P")


class Watcher(Protocol):
    """Who watches progress."""

    def step(self, task: str, done: int, total: int, note: str = "") -> None:
        """Take note that `done` of `total` units of `task` are done; `note` says how it goes."""


class Standing(Protocol):
    """How work stands that costs money or depends on a server: more than two numbers."""

    @property
    def done(self) -> int:
        """Units done."""

    @property
    def total(self) -> int:
        """Units in all."""

    @property
    def note(self) -> str:
        """The rest in one line."""

    def facts(self) -> Mapping[str, float | str]:
        """All of it by name."""


_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Send the progress of everything inside to the watcher."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


@dataclass
class Throttled(Generic[P]):
    """Calls a function at most once per `seconds`; an event log is no place for a thousand lines."""

    call: Callable[P, None]
    seconds: float = 10.0
    _last: float = field(default_factory=time.monotonic)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        now = time.monotonic()
        if now - self._last >= self.seconds:
            self._last = now
            self.call(*args, **kwargs)


def reporter(task: str, *also: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Build the callable that the method takes as `progress`.

    Parameters
    ----------
    task
        What is being done, as a person would say it.
    also
        Further receivers of (done, total).
    """
    watcher = _watcher.get()

    def report(done: int, total: int) -> None:
        if watcher is not None:
            watcher.step(task, done, total)
        for receiver in also:
            receiver(done, total)

    return report


def narrator(task: str, *also: Callable[[Standing], None]) -> Callable[[Standing], None]:
    """Build the callable that takes how a run stands, for work that says more than `progress` can.

    Parameters
    ----------
    task
        What is being done, as a person would say it.
    also
        Further receivers.
    """
    watcher = _watcher.get()

    def narrate(standing: Standing) -> None:
        if watcher is not None:
            watcher.step(task, standing.done, standing.total, standing.note)
        for receiver in also:
            receiver(standing)

    return narrate
