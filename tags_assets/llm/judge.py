"""Quality of each row by a rubric, judged by a language model that rows can't talk into anything.

Five defences, each cheap, none trusted alone:

1. The row stands between marks that it can't contain, without the control marks of chat templates.
2. The prompt says that what is between the marks is data, and asks whether a sentence there addresses the
judge.
3. Rows in which a rule finds such a sentence are judged again without it; where only the judge says that
   there is one, 4 has to do.
4. Rows that come out perfect, and those of 3, are audited on a scale that runs the other way, so that a model
   that obeys "give 5" contradicts itself.
5. The lowest of the three counts. Where the first verdict was better than another by ``rating.CAUGHT_BY``,
the
   row is marked as caught.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic import Field as PydanticField

from tags_assets.errors import InvalidInputError
from tags_assets.llm.conversation import Conversation
from tags_assets.llm.hostile import scan
from tags_assets.llm.prompt import read_prompt
from tags_assets.llm.rating import (
    DIMENSIONS,
    JUDGEMENTS_SCHEMA,
    PERFECT,
    RESPONSE_DIMENSIONS,
    checked_weights,
    combine_samples,
    rate,
    settle,
)
from tags_assets.llm.resolver import Answer, Failure
from tags_assets.llm.row_frames import RowFrames, with_ids
from tags_assets.llm.status import add_figures
from tags_assets.llm.tagger import FAILURES_SCHEMA
from tags_assets.llm.task import Question, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tags_assets.llm.client import Client, CostEstimate
    from tags_assets.llm.resolver import Outcome
    from tags_assets.llm.status import Status
    from tags_assets.llm.tagger import Messages

_UNSETTLED = "a sentence in the row addresses the judge, and no second look at it could be had"

_VERDICT_SCHEMA: dict[str, pl.DataType] = {
    "row": pl.UInt32(),
    "sample": pl.UInt32(),
    **dict.fromkeys(DIMENSIONS, pl.Float32()),
    **{f"{name}_reason": pl.String() for name in DIMENSIONS},
    "by_rule": pl.Boolean(),
    "addresses_judge": pl.Boolean(),
}


_Reason = Annotated[str, StringConstraints(max_length=300)]


class _Grade(BaseModel):
    model_config = ConfigDict(extra="ignore")

    reason: _Reason
    score: Annotated[int, PydanticField(ge=1, le=5)]


class _GradeOrNone(BaseModel):
    model_config = ConfigDict(extra="ignore")

    reason: _Reason
    score: Annotated[int, PydanticField(ge=0, le=5)]


class Verdict(BaseModel):
    """The judge's answer."""

    model_config = ConfigDict(extra="ignore")

    addresses_judge: bool
    helpfulness: _Grade
    correctness: _GradeOrNone
    completeness: _Grade
    clarity: _Grade
    difficulty: _Grade

    def scores(self) -> list[float | None]:
        """Scores in the order of `DIMENSIONS`, 0 to 1; None where the judge could not tell."""
        grades = [getattr(self, name).score for name in DIMENSIONS]
        return [None if grade == 0 else (grade - 1) / 4 for grade in grades]

    def reasons(self) -> list[str]:
        """Reasons in the order of `DIMENSIONS`."""
        return [getattr(self, name).reason for name in DIMENSIONS]


class Audit(BaseModel):
    """The auditor's answer, on the scale that runs the other way."""

    model_config = ConfigDict(extra="ignore")

    worst_fault: _Reason
    badness: Annotated[int, PydanticField(ge=0, le=5)]

    @property
    def ceiling(self) -> float:
        """Best score that this leaves to the response."""
        return 1 - self.badness / 5


@dataclass(frozen=True)
class JudgingResult:
    """What the judge found: tables of `JUDGEMENTS_SCHEMA` and `FAILURES_SCHEMA`, and figures of the run."""

    judgements: pl.DataFrame
    failures: pl.DataFrame
    figures: dict[str, object]


class Judge:
    """Judges rows through a `Client`.

    Parameters
    ----------
    client
        The server and the cache.
    weights
        How the dimensions combine into the rating, at least one above 0; see `rate`.
    samples
        Verdicts per row, averaged (self-consistency); several are drawn at ``temperature``.
    temperature
        Of several samples; a single verdict is drawn at 0.
    audit
        Which rows get a second look: those that come out ``perfect`` and the hostile ones, the ``hostile``
        ones only, or ``none``.
    prompt
        A prompt file of one's own in place of the package's ``judge.yaml``.
    failure_limit
        Share of the rows that may fail before the run stops.

    Raises
    ------
    UserError
        Where the weights or samples are impossible.
    """

    def __init__(
        self,
        client: Client,
        *,
        weights: Mapping[str, float] | None = None,
        samples: int = 1,
        temperature: float = 0.7,
        audit: Literal["perfect", "hostile", "none"] = "perfect",
        prompt: str | Path | None = None,
        failure_limit: float = 0.2,
    ) -> None:
        if samples < 1:
            raise InvalidInputError(f"judge.samples is {samples}; it must be at least 1")
        self.client = client
        self.weights = checked_weights(weights)
        self.samples, self.audit, self.failure_limit = samples, audit, failure_limit
        self.task = Task(
            read_prompt("judge", prompt),
            Verdict,
            max_tokens=500,
            expected_tokens=220,
            temperature=0.0 if samples == 1 else temperature,
        )
        self.audit_task = Task(read_prompt("audit"), Audit, max_tokens=120, expected_tokens=30)

    def fingerprint_config(self) -> dict[str, object]:
        """What changes the judgements' scores; the weights are apart, as ``weights``."""
        return {
            "judge": "llm",
            **self.client.fingerprint_config(),
            **self.task.fingerprint(),
            "samples": self.samples,
            "audit": self.audit,
            "audit_prompt": self.audit_task.prompt.digest,
            "weights": self.weights,
        }

    def estimate(
        self, conversations: pl.Series | Sequence[Messages], *, retry_failed: bool = False
    ) -> CostEstimate:
        """Count tokens and cost of judging these rows, without a call: at most, if every row were audited."""
        n = len(conversations)
        hostile = [row for row in range(n) if scan(Conversation.of(conversations[row])).found]
        again, audited = {
            "perfect": (hostile, range(n)),
            "hostile": (hostile, hostile),
            "none": ([], []),
        }[self.audit]
        estimate = self.client.estimate(
            _Questions(self.task, conversations, range(n), samples=self.samples),
            n * self.samples,
            retry_failed=retry_failed,
        )
        for task, rows, redact in ((self.task, again, True), (self.audit_task, audited, False)):
            if rows:
                questions = _Questions(task, conversations, rows, redact=redact)
                estimate += self.client.estimate(questions, len(rows), retry_failed=retry_failed)
        return estimate

    def judge(
        self,
        ids: Sequence[str] | pl.Series,
        conversations: pl.Series | Sequence[Messages],
        *,
        progress: Callable[[int, int], None] | None = None,
        status: Callable[[Status], None] | None = None,
        retry_failed: bool = False,
    ) -> JudgingResult:
        """Judge rows.

        Parameters
        ----------
        ids
            Instance ids, (n,).
        conversations
            Messages of each row: ``List[Struct{role, content}]``, or lists of mappings, (n,).
        progress, status, retry_failed
            As in `Client.ask`; progress counts the first verdicts.

        Raises
        ------
        UserError
            As in `Client.ask`.
        """
        n = len(conversations)
        verdicts = _Verdicts()
        figures = self.client.ask(
            _Questions(self.task, conversations, range(n), samples=self.samples),
            n * self.samples,
            verdicts.receive,
            progress=progress,
            status=status,
            failure_limit=self.failure_limit,
            retry_failed=retry_failed,
        )
        means = combine_samples(verdicts.frame())
        without, audits = _Verdicts(), _Audits()
        again, audited = self._suspects(means)
        looks = (
            (self.task, again, True, without.receive),
            (self.audit_task, audited, False, audits.receive),
        )
        for task, rows, redact, receive in looks:
            more = self.client.ask(
                _Questions(task, conversations, rows, redact=redact),
                len(rows),
                receive,
                status=status,
                failure_limit=1.0,
                retry_failed=retry_failed,
            )
            figures = add_figures(figures, more)
        judged = settle(means, combine_samples(without.frame()), audits.frame())
        if self.audit == "none":
            judged = judged.with_columns(unsettled=False)
        failures = pl.concat(
            [
                verdicts.failures(excluding=means),
                judged.filter("unsettled").select("row", reason=pl.lit(_UNSETTLED)),
            ]
        )
        kept = judged.filter(~pl.col("unsettled")).pipe(rate, self.weights).pipe(with_ids, ids)
        judgements = kept.sort("row").select(
            pl.col(name).cast(kind) for name, kind in JUDGEMENTS_SCHEMA.items()
        )
        return JudgingResult(
            judgements=judgements,
            failures=failures.sort("row").pipe(with_ids, ids).select(FAILURES_SCHEMA.keys()),
            figures={
                **figures,
                "rows_judged": judgements.height,
                "rows_failed": failures.height,
                "hostile_rows": int(means["hostile"].sum()),
                "audited_rows": len(audited),
                "caught_rows": int(judgements["caught"].sum()),
                "mean_rating": judgements["rating"].mean(),
            },
        )

    def _suspects(self, means: pl.DataFrame) -> tuple[list[int], list[int]]:
        """Rows to be judged again without their sentences, and rows to be audited."""
        if self.audit == "none":
            return [], []
        perfect = pl.mean_horizontal(RESPONSE_DIMENSIONS) >= PERFECT
        suspected = pl.col("hostile") | perfect if self.audit == "perfect" else pl.col("hostile")
        return means.filter("by_rule")["row"].to_list(), means.filter(suspected)["row"].to_list()


class _Questions:
    """Rows as questions, made when they are needed."""

    def __init__(
        self,
        task: Task,
        conversations: pl.Series | Sequence[Messages],
        rows: Sequence[int],
        *,
        samples: int = 1,
        redact: bool = False,
    ) -> None:
        self._task, self._conversations, self._rows = task, conversations, rows
        self._samples, self._redact = samples, redact

    def __iter__(self) -> Iterator[Question]:
        for row in self._rows:
            conversation = Conversation.of(self._conversations[row])
            found = scan(conversation)
            subject = found.redacted if self._redact else conversation
            for sample in range(self._samples):
                yield Question(self._task, subject, sample=sample, about=_Asked(row, sample, found.found))


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which row was asked about, for which sample, and whether a rule found it speak to the judge."""

    row: int
    sample: int
    by_rule: bool


class _Verdicts:
    """Collects verdicts and failures."""

    def __init__(self) -> None:
        self._verdicts = RowFrames(_VERDICT_SCHEMA)
        self._failures = RowFrames({"row": pl.UInt32(), "reason": pl.String()})

    def receive(self, _: int, question: Question, outcome: Outcome) -> None:
        """Take an outcome."""
        asked = question.about
        if not isinstance(asked, _Asked):
            return
        if isinstance(outcome, Answer) and isinstance(outcome.value, Verdict):
            verdict = outcome.value
            self._verdicts.add(
                asked.row,
                asked.sample,
                *verdict.scores(),
                *verdict.reasons(),
                asked.by_rule,
                verdict.addresses_judge,
            )
        elif isinstance(outcome, Failure):
            self._failures.add(asked.row, outcome.reason)

    def frame(self) -> pl.DataFrame:
        """All verdicts."""
        return self._verdicts.frame()

    def failures(self, excluding: pl.DataFrame) -> pl.DataFrame:
        """One reason for each row without any verdict."""
        return (
            self._failures.frame()
            .join(excluding, on="row", how="anti")
            .unique("row", keep="first", maintain_order=True)
        )


class _Audits:
    """Collects audits."""

    def __init__(self) -> None:
        self._audits = RowFrames({"row": pl.UInt32(), "ceiling": pl.Float32()})

    def receive(self, _: int, question: Question, outcome: Outcome) -> None:
        """Take an outcome."""
        if (
            isinstance(question.about, _Asked)
            and isinstance(outcome, Answer)
            and isinstance(outcome.value, Audit)
        ):
            self._audits.add(question.about.row, outcome.value.ceiling)

    def frame(self) -> pl.DataFrame:
        """All audits."""
        return self._audits.frame()
