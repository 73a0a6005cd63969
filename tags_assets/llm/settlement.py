"""Outcomes counted and handed on, and the run stopped where too many of them are failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tags_assets.errors import UserError
from tags_assets.llm.resolver import Answer, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from tags_assets.llm.resolver import Item, Outcome, Resolver
    from tags_assets.llm.task import Question

    Receive = Callable[[int, Question, Outcome], None]

_ALL_FAILED = 25
"""Questions that fail at the start of a run, with none answered, before it stops."""

_FEW = 2
"""Failures that never stop a run, unless they are all there is."""


class Settlement:
    """Receives outcomes.

    Parameters
    ----------
    resolver
        Its tally is kept.
    receive
        Called with (index, question, outcome).
    failure_limit
        Share of the questions that may fail; 1 for no limit.
    """

    def __init__(self, resolver: Resolver, receive: Receive, failure_limit: float) -> None:
        self._tally, self._receive, self._limit = resolver.tally, receive, failure_limit
        self._where = f"{resolver.settings.model} at {resolver.settings.endpoint}"

    def settle(self, item: Item, outcome: Outcome, *, before: bool = False) -> None:
        """Hand an outcome on; ``before`` where it was known before any call."""
        tally = self._tally
        tally.done += 1
        if isinstance(outcome, Failure):
            tally.failed += 1
            tally.failed_before += before
            tally.reasons[outcome.reason] += 1
        elif isinstance(outcome, Answer):
            tally.cached += outcome.cached
            tally.cut += outcome.cut
        self._receive(item.index, item.question, outcome)

    def check(self) -> None:
        """Stop the run where too many questions have failed.

        Raises
        ------
        UserError
            With the most frequent reason.
        """
        tally = self._tally
        if self._limit >= 1 or not tally.failed:
            return
        none_answered = tally.failed == tally.done
        hopeless = none_answered and (tally.done >= _ALL_FAILED or tally.done == tally.total)
        too_many = tally.failed > max(self._limit * tally.total, _FEW)
        if not hopeless and not too_many:
            return
        reason, n = tally.reasons.most_common(1)[0]
        before = f" ({tally.failed_before:,} of them before)" if tally.failed_before else ""
        raise UserError(
            f"{tally.failed:,} of {tally.done:,} rows failed{before}, more than the limit of "
            f"{self._limit:.0%} of {tally.total:,}; most often ({n:,}): {reason}",
            where=self._where,
            fix="Fix it and run again with --retry-failed, or raise failure_limit; answers are kept.",
        )
