"""The language model of a pool: the resource, with what the pool's settings say of it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from tags_assets.errors import UserError
from tags_assets.llm.cache import ANSWERS
from tags_assets.resources.llm import LLMResource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tags_assets.home import Home
    from tags_assets.llm.client import Client
    from tags_assets.llm.embedder import APIEmbedder
    from tags_assets.llm.judge import Judge
    from tags_assets.llm.refiner import LLMRefiner
    from tags_assets.llm.status import Status
    from tags_assets.llm.tagger import LLMTagger


@dataclass(frozen=True)
class LanguageModel:
    """Tagger, judge, refiner or embedder on one client."""

    resource: LLMResource
    client: Client

    def tagger(self) -> LLMTagger:
        """Make the tagger."""
        return self.resource.tagger(self.client)

    def judge(self) -> Judge:
        """Make the judge."""
        return self.resource.judge(self.client)

    def refiner(
        self, status: Callable[[Status], None] | None = None, *, retry_failed: bool = False
    ) -> LLMRefiner:
        """Make the refiner of the tree."""
        return self.resource.refiner(self.client, status=status, retry_failed=retry_failed)

    def embedder(self) -> APIEmbedder:
        """Make the embedder."""
        return self.resource.embedder(self.client)


RETRY_VARIABLE = "TAGS_RETRY_FAILED"
"""Set for one run by ``--retry-failed``."""


def retry_failed() -> bool:
    """Whether this run asks again for rows that failed for good."""
    return bool(os.environ.get(RETRY_VARIABLE))


Job = Literal["tag", "judge", "refine", "embed"]

_MODEL_OF: dict[Job, str] = {"judge": "judge_model", "refine": "refiner_model", "embed": "embedding_model"}
"""Setting that names another model than the pool's for a job."""


@contextmanager
def language_model(resource: LLMResource, home: Home, job: Job) -> Iterator[LanguageModel]:
    """Open the language model of the active pool; answers are cached in HOME.

    Parameters
    ----------
    resource
        As the graph is configured; what the pool's settings say comes first.
    home
        Whose pool and cache.
    job
        What it is opened for: judging and refining may have models of their own, embedding has.

    Raises
    ------
    UserError
        Where address, key or model is missing, or a setting is impossible.
    """
    chosen = configured(resource, home)
    model = getattr(chosen, _MODEL_OF[job]) if job in _MODEL_OF else None
    if job == "embed" and model is None:
        raise UserError("no model for embeddings is named", mend="Name one with --llm embedding_model=NAME.")
    with chosen.client(home.cache / ANSWERS, model or chosen.model) as client:
        yield LanguageModel(chosen, client)


def configured(resource: LLMResource, home: Home) -> LLMResource:
    """Lay the pool's settings over the resource's."""
    return with_settings(resource, home.pool().llm)


def with_settings(resource: LLMResource, said: Mapping[str, object]) -> LLMResource:
    """Lay settings that a user wrote over the resource's.

    Raises
    ------
    UserError
        Where one is unknown or impossible.
    """
    for name in said:
        if name not in LLMResource.model_fields:
            raise UserError.unknown("setting of the language model", name, LLMResource.model_fields)
    fields = {name: getattr(resource, name) for name in LLMResource.model_fields}
    try:
        return LLMResource(**{**fields, **said})
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(first["msg"], where=f"--llm {first['loc'][0]}={first['input']}") from None
