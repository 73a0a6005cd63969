"""The tree's four refinement steps by a language model; whatever it answers, the tree stays valid.

The method checks each answer again (``method/tree/refinement.py``): here only the questions are put and the
answers brought into its form. A question without a usable answer counts as "no opinion".
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic import Field as PydanticField

from tags_assets.llm.prompt import read_prompt
from tags_assets.llm.resolver import Answer
from tags_assets.llm.status import add_figures
from tags_assets.llm.task import Question, Task
from tags_assets.method.tree.refinement import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH, Summary, clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tags_assets.llm.client import Client, CostEstimate
    from tags_assets.llm.resolver import Outcome
    from tags_assets.llm.status import Status
    from tags_assets.method.tree.refinement import Concept, Doubt, Neighbours, Siblings

STEPS = ("summarise", "deduplicate", "reassign", "rename")

_PER_QUESTION = 8
"""Clusters named in one question: enough to tell siblings apart, few enough for a small model."""

_CHILDREN = 16
"""Children asked about in one question."""

_MEMBERS = 12
_MEMBER_LENGTH = 60

_Number = Annotated[int, PydanticField(ge=1, le=1000)]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_LENGTH)]


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Named(_Loose):
    number: _Number
    name: _Name
    description: Annotated[str, StringConstraints(max_length=MAX_DESCRIPTION_LENGTH)]


class Summaries(_Loose):
    """Answer to summarise."""

    clusters: list[_Named]


class Sames(_Loose):
    """Answer to deduplicate."""

    same: list[list[_Number]]


class _Move(_Loose):
    number: _Number
    heading: Annotated[str, StringConstraints(pattern=r"^[A-Z]$")]


class Moves(_Loose):
    """Answer to reassign."""

    moves: list[_Move]


class _Entry(_Loose):
    number: _Number
    name: _Name


class Names(_Loose):
    """Answer to rename."""

    names: list[_Entry]


class LLMRefiner:
    """Implements ``method.refinement.Refiner`` through a `Client`.

    Parameters
    ----------
    client
        The server and the cache.
    failure_limit
        Share of a step's questions that may fail before the build stops; unanswered ones keep the offline
        form.
    progress, status, retry_failed
        As in `Client.ask`, for each batch of questions.
    """

    def __init__(
        self,
        client: Client,
        *,
        failure_limit: float = 0.5,
        progress: Callable[[int, int], None] | None = None,
        status: Callable[[Status], None] | None = None,
        retry_failed: bool = False,
    ) -> None:
        self.client = client
        self.failure_limit = failure_limit
        self._progress, self._status, self._retry_failed = progress, status, retry_failed
        forms: dict[str, type[BaseModel]] = dict(zip(STEPS, (Summaries, Sames, Moves, Names), strict=True))
        lengths = dict(zip(STEPS, (700, 200, 400, 500), strict=True))
        self.tasks = {
            step: Task(
                read_prompt(step), forms[step], max_tokens=lengths[step], expected_tokens=lengths[step] // 3
            )
            for step in STEPS
        }
        self._figures: dict[str, object] = {}

    def fingerprint_config(self) -> dict[str, object]:
        """What changes the refinement: server, model, prompts, parameters; never the key."""
        return {
            "refiner": "llm",
            **self.client.fingerprint_config(),
            "tasks": {step: task.fingerprint() for step, task in self.tasks.items()},
        }

    @property
    def figures(self) -> dict[str, object]:
        """Figures of all that was asked so far."""
        return dict(self._figures)

    def summarise(self, clusters: Sequence[Concept]) -> list[Summary | None]:
        """Name each cluster and describe it in one line."""
        parts = [clusters[i : i + _PER_QUESTION] for i in range(0, len(clusters), _PER_QUESTION)]
        answers = self._ask("summarise", [_listed(part) for part in parts], [len(part) for part in parts])
        out: list[Summary | None] = []
        for part, answer in zip(parts, answers, strict=True):
            given = answer.clusters if isinstance(answer, Summaries) else []
            by_number = {c.number: Summary(c.name, c.description) for c in reversed(given)}
            out += [by_number.get(number) for number in range(1, len(part) + 1)]
        return out

    def deduplicate(self, groups: Sequence[Neighbours]) -> list[list[list[int]] | None]:
        """Find the concepts that mean the same."""
        answers = self._ask(
            "deduplicate", [_listed(g.concepts) for g in groups], [len(g.concepts) for g in groups]
        )
        return [
            [[number - 1 for number in same] for same in answer.same] if isinstance(answer, Sames) else None
            for answer in answers
        ]

    def reassign(self, doubts: Sequence[Doubt]) -> list[list[int | None] | None]:
        """Choose a parent for each child."""
        texts, sizes, places = [], [], []
        for d, doubt in enumerate(doubts):
            if len(doubt.parents) > len(string.ascii_uppercase):
                continue
            headings = [
                f"{letter}: {_line(parent)}{' (present heading)' if p == doubt.current else ''}"
                for p, (letter, parent) in enumerate(zip(string.ascii_uppercase, doubt.parents, strict=False))
            ]
            for start in range(0, len(doubt.children), _CHILDREN):
                children = doubt.children[start : start + _CHILDREN]
                texts.append("\n".join(["Headings:", *headings, "", "Concepts:", _listed(children)]))
                sizes.append(len(children))
                places.append((d, start))
        out: list[list[int | None] | None] = [None] * len(doubts)
        for (d, start), size, answer in zip(places, sizes, self._ask("reassign", texts, sizes), strict=True):
            if not isinstance(answer, Moves):
                continue
            moves = out[d] or [None] * len(doubts[d].children)
            for move in answer.moves:
                if move.number <= size:
                    moves[start + move.number - 1] = string.ascii_uppercase.index(move.heading)
            out[d] = moves
        return out

    def rename(self, groups: Sequence[Siblings]) -> list[list[str | None] | None]:
        """Give siblings names that tell them apart."""
        texts, sizes, places = [], [], []
        for g, group in enumerate(groups):
            for start in range(0, len(group.children), _CHILDREN):
                children = group.children[start : start + _CHILDREN]
                texts.append(f"Heading: {_line(group.parent)}\n\nEntries:\n{_listed(children)}")
                sizes.append(len(children))
                places.append((g, start))
        out: list[list[str | None] | None] = [None] * len(groups)
        for (g, start), size, answer in zip(places, sizes, self._ask("rename", texts, sizes), strict=True):
            if not isinstance(answer, Names):
                continue
            names = out[g] or [None] * len(groups[g].children)
            for entry in answer.names:
                if entry.number <= size:
                    names[start + entry.number - 1] = entry.name
            out[g] = names
        return out

    def _questions(self, step: str, texts: Sequence[str], sizes: Sequence[int]) -> list[Question]:
        task = self.tasks[step]
        return [Question(task, text, places={"n": str(n)}) for text, n in zip(texts, sizes, strict=True)]

    def _ask(self, step: str, texts: Sequence[str], sizes: Sequence[int]) -> list[BaseModel | None]:
        """Put a batch of questions; None where one got no usable answer."""
        if not texts:
            return []
        answers: list[BaseModel | None] = [None] * len(texts)

        def receive(index: int, _: Question, outcome: Outcome) -> None:
            answers[index] = outcome.value if isinstance(outcome, Answer) else None

        questions = self._questions(step, texts, sizes)
        figures = self.client.ask(
            questions, len(questions), receive,
            progress=self._progress, status=self._status, failure_limit=self.failure_limit,
            retry_failed=self._retry_failed,
        )  # fmt: skip
        self._figures = add_figures(self._figures, figures) if self._figures else figures
        return answers


class RefinementEstimate(LLMRefiner):
    """Counts what a refiner would ask, without a call: to every question it has no opinion.

    Give it to ``build_tree`` in a refiner's place. What is asked of a level hangs on the answers to the level
    below, so the count is near the true one and not equal to it.
    """

    estimate: CostEstimate | None = None

    def _ask(self, step: str, texts: Sequence[str], sizes: Sequence[int]) -> list[BaseModel | None]:
        if texts:
            questions = self._questions(step, texts, sizes)
            more = self.client.estimate(questions, len(questions), retry_failed=self._retry_failed)
            self.estimate = more if self.estimate is None else self.estimate + more
        return [None] * len(texts)


def _listed(concepts: Sequence[Concept]) -> str:
    return "\n".join(f"{number}. {_line(concept)}" for number, concept in enumerate(concepts, start=1))


def _line(concept: Concept) -> str:
    """Describe a concept in a line; its members are tags, so words of rows, and are shown as data."""
    members = "; ".join(clean_text(m, _MEMBER_LENGTH) for m in concept.members[:_MEMBERS])
    more = f"; and {len(concept.members) - _MEMBERS} more" if len(concept.members) > _MEMBERS else ""
    return f"{clean_text(concept.name, MAX_NAME_LENGTH)} [{members}{more}]"
