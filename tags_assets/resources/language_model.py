"""The language model of a pool: tagger, judge, refiner and embedder on one client."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tags_assets.errors import UserError
from tags_assets.llm.answer_cache import ANSWERS
from tags_assets.llm.client import Client
from tags_assets.llm.embedder import APIEmbedder
from tags_assets.llm.judge import Judge
from tags_assets.llm.refiner import LLMRefiner
from tags_assets.llm.tagger import LLMTagger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tags_assets.llm.settings import ModelSettings
    from tags_assets.llm.status import Status

Job = Literal["tag", "judge", "refine", "embed"]

_MODEL_OF: dict[Job, str] = {"judge": "judge_model", "refine": "refiner_model", "embed": "embedding_model"}
"""Setting that names another model than the pool's for a job."""


@dataclass(frozen=True)
class LanguageModel:
    """Tagger, judge, refiner or embedder on one client."""

    settings: ModelSettings
    client: Client
    retry_failed: bool = False
    """Whether the model is asked again for rows that failed permanently."""

    def tagger(self) -> LLMTagger:
        """Make the tagger."""
        return LLMTagger(
            self.client,
            failure_limit=self.settings.failure_limit,
            temperature=self.settings.temperature,
            frequency_penalty=self.settings.frequency_penalty,
            presence_penalty=self.settings.presence_penalty,
        )

    def judge(self) -> Judge:
        """Make the judge."""
        return Judge(
            self.client,
            weights=self.settings.judge_weights,
            samples=self.settings.judge_samples,
            audit=self.settings.judge_audit,
            failure_limit=self.settings.failure_limit,
        )

    def refiner(self, status: Callable[[Status], None] | None = None) -> LLMRefiner:
        """Make the refiner of the tree."""
        return LLMRefiner(self.client, status=status, retry_failed=self.retry_failed)

    def embedder(self) -> APIEmbedder:
        """Make the embedder."""
        return APIEmbedder(self.client, dimensions=self.settings.embedding_dimensions)


@contextmanager
def open_language_model(
    settings: ModelSettings, cache: Path, job: Job, *, retry_failed: bool = False
) -> Iterator[LanguageModel]:
    """Open a language model; answers are cached in the folder given.

    Parameters
    ----------
    settings
        Of the pool.
    cache
        Folder of the caches.
    job
        What it is opened for: judging and refining may have models of their own, embedding has.
    retry_failed
        Whether it is asked again for rows that failed permanently.

    Raises
    ------
    UserError
        Where address, key or model is missing.
    """
    model = getattr(settings, _MODEL_OF[job]) if job in _MODEL_OF else None
    if job == "embed" and model is None:
        raise UserError("no model for embeddings is named", fix="Name one with --llm embedding_model=NAME.")
    with Client(settings.client(model), cache / ANSWERS) as client:
        yield LanguageModel(settings, client, retry_failed)
