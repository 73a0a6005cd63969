"""How a run stands: what the terminal and the UI show while it goes on, and what is left in the metadata."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Status:
    """A moment of a run.

    Attributes
    ----------
    done, total
        Questions settled (answered, or failed for good), and asked in all.
    cached, failed
        Of those done: answered by the cache, failed for good.
    per_s
        Questions settled by the server per second, over the last half minute.
    spent
        Paid in this run; None where no price is known.
    currency
        Of ``spent``.
    left_s
        Seconds left at this speed; None before the first answer.
    trouble
        What holds the run up, as ``"server down"``; else empty.
    estimated
        Whether part of ``spent`` is an estimate, because the server does not count tokens as it should.
    """

    done: int
    total: int
    cached: int
    failed: int
    per_s: float
    spent: float | None
    currency: str
    left_s: float | None
    trouble: str = ""
    estimated: bool = False

    def __str__(self) -> str:
        return f"{self.done:,}/{self.total:,} rows · {self.note}"

    @property
    def note(self) -> str:
        """All but how many are done, in one line."""
        parts = [f"{self.per_s:.1f} rows/s"]
        if self.cached:
            parts.append(f"{self.cached:,} from the cache")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.spent is not None:
            parts.append(f"{self.spent:.2f} {self.currency}{' (partly estimated)' if self.estimated else ''}")
        if self.left_s is not None:
            parts.append(f"{_duration(self.left_s)} left")
        if self.trouble:
            parts.append(self.trouble)
        return " · ".join(parts)

    def facts(self) -> dict[str, float | str]:
        """All of it by name, for a page that shows figures; what is not known is left out."""
        facts: dict[str, float | str | None] = {
            "done": self.done,
            "total": self.total,
            "rows_per_second": round(self.per_s, 2),
            "from_cache": self.cached,
            "failed": self.failed,
            "spent": None if self.spent is None else round(self.spent, 4),
            "currency": self.currency or None,
            "seconds_left": None if self.left_s is None else round(self.left_s),
            "trouble": self.trouble or None,
        }
        return {name: fact for name, fact in facts.items() if fact is not None}


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass
class Tally:
    """Counts of a run as it goes on."""

    total: int
    currency: str | None
    done: int = 0
    cached: int = 0
    failed: int = 0
    failed_before: int = 0
    calls: int = 0
    unusable: int = 0
    cut: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    estimated: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)
    _marks: list[tuple[float, int]] = field(default_factory=list)

    _WINDOW_S = 30.0

    def enter(self, prompt_tokens: int, completion_tokens: int, cost: float, *, estimated: bool) -> None:
        """Enter what a call came to; ``estimated`` where the server's own count could not be used."""
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.cost += cost
        self.estimated += estimated

    def status(self, trouble: str = "") -> Status:
        """Describe this moment."""
        now = time.monotonic()
        served = self.done - self.cached - self.failed_before
        self._marks.append((now, served))
        while len(self._marks) > 2 and now - self._marks[0][0] > self._WINDOW_S:
            self._marks.pop(0)
        then, before = self._marks[0] if len(self._marks) > 1 else (self.started, 0)
        per_s = (served - before) / max(now - then, 1e-3)
        left = (self.total - self.done) / per_s if per_s > 0 else None
        spent = None if self.currency is None else self.cost
        return Status(
            self.done, self.total, self.cached, self.failed, per_s, spent, self.currency or "", left, trouble,
            estimated=self.estimated > 0,
        )  # fmt: skip

    def figures(self) -> dict[str, object]:
        """Figures for the metadata: plain numbers, texts and small dictionaries."""
        seconds = time.monotonic() - self.started
        served = self.done - self.cached - self.failed_before
        return {
            "questions": self.total,
            "from_cache": self.cached,
            "failed": self.failed,
            "failed_before": self.failed_before,
            "calls": self.calls,
            "unusable_answers": self.unusable,
            "cut_rows": self.cut,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "calls_with_estimated_cost": self.estimated,
            "cost": None if self.currency is None else round(self.cost, 6),
            "currency": self.currency,
            "asking_seconds": round(seconds, 3),
            "rows_per_second": round(served / seconds, 3) if served and seconds > 0 else 0.0,
            "faults": dict(sorted(self.faults.items())),
            "failures": dict(self.reasons.most_common(10)),
        }


_ADDED = (
    "questions",
    "from_cache",
    "failed",
    "failed_before",
    "calls",
    "unusable_answers",
    "cut_rows",
    "prompt_tokens",
    "completion_tokens",
    "calls_with_estimated_cost",
    "asking_seconds",
)


def add_figures(first: dict[str, object], *others: dict[str, object]) -> dict[str, object]:
    """Add up the figures of several runs of one job; what can't be added is the first's."""
    total = dict(first)
    for figures in others:
        for name in (*_ADDED, "cost"):
            a, b = total.get(name), figures.get(name)
            if isinstance(a, int | float) and isinstance(b, int | float):
                total[name] = round(a + b, 6)
        for name in ("faults", "failures"):
            merged = Counter(total.get(name) or {})  # type: ignore[call-overload]
            merged.update(figures.get(name) or {})
            total[name] = dict(sorted(merged.items()))
        for name in ("prompts", "modes"):
            a, b = total.get(name), figures.get(name)
            if isinstance(a, list) and isinstance(b, list):
                total[name] = list(dict.fromkeys(a + b))
            elif isinstance(a, dict) and isinstance(b, dict):
                total[name] = {**b, **a}
    return total
