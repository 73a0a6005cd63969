"""Atomic knowledge concepts of each row, by a language model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import polars as pl
from pydantic import BaseModel, ConfigDict, StringConstraints, field_validator, model_validator
from pydantic import Field as PydanticField

from tags_assets.llm.conversation import Conversation
from tags_assets.llm.hostile import PLACEHOLDER, Scan, scan
from tags_assets.llm.prompt import read_prompt
from tags_assets.llm.resolver import Answer
from tags_assets.llm.row_frames import RowFrames, with_ids
from tags_assets.llm.task import Question, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tags_assets.llm.client import Client, CostEstimate
    from tags_assets.llm.prompt import Prompt
    from tags_assets.llm.resolver import Outcome
    from tags_assets.llm.status import Status

    Messages = Sequence[Mapping[str, object]]

MAX_TAGS = 8

_ENOUGH_LEFT = 40
"""Characters of the longest user turn that must be left when suspicious sentences are taken out."""

TAGS_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    "tag": pl.String(),
    "weight": pl.Float32(),
    "origin": pl.String(),
}
"""Columns of a tagger's table, one row per instance and tag."""

FAILURES_SCHEMA: dict[str, pl.DataType] = {"instance_id": pl.String(), "reason": pl.String()}
"""Columns of the rows that got no answer."""

NOTES_SCHEMA: dict[str, pl.DataType] = {
    "instance_id": pl.String(),
    "note": pl.String(),
    "detail": pl.String(),
}
"""Columns of what is to be known of single rows: ``cut``, ``hostile`` or ``leaked``."""

_TAG = r"^[A-Za-z0-9À-ɏ][A-Za-z0-9À-ɏ +#&'./()^-]{1,58}$"


class Tags(BaseModel):
    """The tagger's answer."""

    model_config = ConfigDict(extra="ignore")

    tags: Annotated[
        list[Annotated[str, StringConstraints(pattern=_TAG)]],
        PydanticField(min_length=1, max_length=MAX_TAGS),
    ]

    @model_validator(mode="before")
    @classmethod
    def _bare_list(cls, value: object) -> object:
        """Take a bare list, as servers without a schema often give."""
        return {"tags": value} if isinstance(value, list) else value

    @field_validator("tags", mode="before")
    @classmethod
    def _tidy(cls, value: object) -> object:
        """Drop what is no tag, and repeats; keep at most eight."""
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list):
            return value
        tidy = [" ".join(v.strip(" \t\n\"'`.,;:#*-").split()) for v in value if isinstance(v, str)]
        kept = {t.casefold(): t for t in reversed(tidy) if re.match(_TAG, t) and len(t.split()) <= 7}
        return list(dict.fromkeys(kept[t.casefold()] for t in tidy if t.casefold() in kept))[:MAX_TAGS]


@dataclass(frozen=True)
class TaggingResult:
    """What the tagger found.

    Attributes
    ----------
    tags
        Columns of `TAGS_SCHEMA`, in the rows' order and the model's.
    failures
        Columns of `FAILURES_SCHEMA`.
    notes
        Columns of `NOTES_SCHEMA`.
    figures
        Of the run, for the metadata.
    """

    tags: pl.DataFrame
    failures: pl.DataFrame
    notes: pl.DataFrame
    figures: dict[str, object]


class LLMTagger:
    """Tags rows through a `Client`.

    Parameters
    ----------
    client
        The server and the cache.
    prompt
        A prompt file of one's own in place of the package's ``tag.yaml``.
    failure_limit
        Share of the rows that may fail before the run stops.
    temperature, frequency_penalty, presence_penalty
        Sampling; the penalties keep small models from repeating themselves.
    """

    def __init__(
        self,
        client: Client,
        *,
        prompt: str | Path | None = None,
        failure_limit: float = 0.2,
        temperature: float = 0.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
    ) -> None:
        self.client = client
        self.failure_limit = failure_limit
        self.task = Task(
            read_prompt("tag", prompt),
            Tags,
            max_tokens=160,
            expected_tokens=40,
            temperature=temperature,
            frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty,
        )
        self._leaks = LeakCheck(self.task.prompt)

    def fingerprint_config(self) -> dict[str, object]:
        """What changes the tags: server, model, prompt, parameters; never the key."""
        return {"tagger": "llm", **self.client.fingerprint_config(), **self.task.fingerprint()}

    def estimate(
        self, conversations: pl.Series | Sequence[Messages], *, retry_failed: bool = False
    ) -> CostEstimate:
        """Count tokens and cost of tagging these rows, without a call."""
        questions = _Questions(self.task, conversations)
        return self.client.estimate(questions, len(conversations), retry_failed=retry_failed)

    def tag(
        self,
        ids: Sequence[str] | pl.Series,
        conversations: pl.Series | Sequence[Messages],
        *,
        progress: Callable[[int, int], None] | None = None,
        status: Callable[[Status], None] | None = None,
        retry_failed: bool = False,
    ) -> TaggingResult:
        """Tag rows.

        Parameters
        ----------
        ids
            Instance ids, (n,).
        conversations
            Messages of each row: ``List[Struct{role, content}]``, or lists of mappings, (n,).
        progress, status, retry_failed
            As in `Client.ask`.

        Returns
        -------
        Tags with weights that sum to 1 over a row: the model names the most central first, and tag number r
        (from 1) gets a weight proportional to 1/sqrt(r), which is this project's own choice.

        Raises
        ------
        UserError
            As in `Client.ask`.
        """
        found = _Found(self._leaks)
        figures = self.client.ask(
            _Questions(self.task, conversations),
            len(conversations),
            found.receive,
            progress=progress,
            status=status,
            failure_limit=self.failure_limit,
            retry_failed=retry_failed,
        )
        return found.result(ids, figures)


class _Questions:
    """The rows as questions, made when they are needed."""

    def __init__(self, task: Task, conversations: pl.Series | Sequence[Messages]) -> None:
        self._task, self._conversations = task, conversations

    def __iter__(self) -> Iterator[Question]:
        for messages in self._conversations:
            conversation = Conversation.of(messages)
            found = scan(conversation)
            yield Question(self._task, _shown(conversation, found), about=found)


def _shown(conversation: Conversation, found: Scan) -> Conversation:
    """Leave sentences that speak to the tagger out, unless they are all that was asked.

    A topic survives that; and an innocent instruction that only looks like one ("select all p tags") stays.
    """
    left = [len(c.replace(PLACEHOLDER, "").strip()) for role, c in found.redacted.turns if role == "user"]
    return found.redacted if max(left, default=0) >= _ENOUGH_LEFT else conversation


class LeakCheck:
    """Finds tags that were copied out of the prompt's examples."""

    def __init__(self, prompt: Prompt) -> None:
        self._shown = {
            str(tag).casefold() for example in prompt.examples for tag in example.answer.get("tags", [])
        }

    def leaked(self, tag: str, text: str) -> bool:
        """Whether a tag is one of the examples' and no word of it is in the row."""
        lowered = tag.casefold()
        if lowered not in self._shown:
            return False
        stems = {_stem(word) for word in re.findall(r"\w+", lowered)}
        return not stems & {_stem(word) for word in re.findall(r"\w+", text.casefold()) if len(word) > 3}


def _stem(word: str) -> str:
    return word[:5]


class _Found:
    """Collects the outcomes."""

    def __init__(self, leaks: LeakCheck) -> None:
        self._leaks = leaks
        row = {"row": pl.UInt32()}
        self._rows = RowFrames({**row, "rank": pl.UInt32(), "tag": pl.String()})
        self._failures = RowFrames({**row, "reason": pl.String()})
        self._notes = RowFrames({**row, "note": pl.String(), "detail": pl.String()})
        self._n_leaked = self._n_tagged = 0

    def receive(self, index: int, question: Question, outcome: Outcome) -> None:
        """Take the outcome of one row."""
        if not isinstance(outcome, Answer):
            self._failures.add(index, outcome.reason)
            return
        if outcome.cut:
            self._notes.add(index, "cut", "longer than the limit, cut in its middle")
        if isinstance(question.about, Scan) and question.about.found:
            found = question.about
            self._notes.add(index, "hostile", f"{', '.join(found.kinds)}: {found.spans[0][:160]}")
        given = outcome.value.tags if isinstance(outcome.value, Tags) else []
        kept = [tag for tag in given if not self._leaks.leaked(tag, question.text)]
        self._n_leaked += len(given) - len(kept)
        for tag in given:
            if tag not in kept:
                self._notes.add(index, "leaked", tag)
        if not kept:
            self._failures.add(index, "every tag was copied from the prompt's examples")
            return
        self._n_tagged += 1
        for rank, tag in enumerate(kept, start=1):
            self._rows.add(index, rank, tag)

    def result(self, ids: Sequence[str] | pl.Series, figures: dict[str, object]) -> TaggingResult:
        """Put all that came into tables."""
        share = 1 / pl.col("rank").sqrt()
        tags = (
            self._rows.frame()
            .sort("row", "rank")
            .with_columns(weight=share / share.sum().over("row"), origin=pl.lit("llm"))
            .pipe(with_ids, ids)
            .select(pl.col(name).cast(kind) for name, kind in TAGS_SCHEMA.items())
        )
        failures, notes = (
            gathered.frame().sort("row", *columns).pipe(with_ids, ids).select("instance_id", *columns)
            for gathered, columns in ((self._failures, ["reason"]), (self._notes, ["note", "detail"]))
        )
        return TaggingResult(
            tags=tags,
            failures=failures,
            notes=notes,
            figures={
                **figures,
                "rows_tagged": self._n_tagged,
                "rows_failed": failures.height,
                "tags": tags.height,
                "tags_per_row": round(tags.height / self._n_tagged, 3) if self._n_tagged else 0.0,
                "leaked_tags": self._n_leaked,
                "hostile_rows": notes.filter(pl.col("note") == "hostile").height,
            },
        )
