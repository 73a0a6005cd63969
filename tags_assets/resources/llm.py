"""The language model as a Dagster resource: everything that a run may spend, in one place."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003  # read at run time
from typing import TYPE_CHECKING, Any, Literal

from dagster import Config, ConfigurableResource
from pydantic import Field

from tags_assets.llm.client import Client
from tags_assets.llm.embedder import APIEmbedder
from tags_assets.llm.judge import Judge
from tags_assets.llm.rating import DEFAULT_WEIGHTS
from tags_assets.llm.refiner import LLMRefiner
from tags_assets.llm.settings import BASE_URL_VARIABLE, KEY_VARIABLE, ClientSettings, Price
from tags_assets.llm.tagger import LLMTagger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tags_assets.llm.cache import AnswerCache
    from tags_assets.llm.status import Status


class PriceConfig(Config):
    """What a million tokens cost, from the provider's price list."""

    prompt: float = Field(description="Price of a million prompt tokens.", ge=0)
    completion: float = Field(description="Price of a million completion tokens.", ge=0)
    cached_prompt: float | None = Field(
        default=None, description="Price of a million prompt tokens from the provider's own cache.", ge=0
    )
    batch_factor: float = Field(default=1.0, description="What the Batch API charges of these, as 0.5.", ge=0)
    currency: str = "USD"

    def price(self) -> Price:
        """Give the same as plain data."""
        return Price(self.prompt, self.completion, self.cached_prompt, self.batch_factor, self.currency)


class LLMResource(ConfigurableResource):  # type: ignore[type-arg]
    """A model behind an OpenAI-compatible API.

    The key is read from the environment when it is used: it is no field, so that no page, log or event can
    show it.
    """

    base_url: str | None = Field(
        default=None,
        description=f"Address of the API, as http://127.0.0.1:8000/v1; {BASE_URL_VARIABLE} where absent.",
    )
    model: str | None = Field(default=None, description="Model that tags, judges and names.")
    judge_model: str | None = Field(default=None, description="Another model for judging.")
    refiner_model: str | None = Field(default=None, description="Another model for the tree's names.")
    embedding_model: str | None = Field(default=None, description="Model for embeddings over the API.")
    embedding_dimensions: int | None = Field(default=None, description="Length of its vectors.", gt=0)
    key_variable: str = Field(default=KEY_VARIABLE, description="Environment variable that holds the key.")
    concurrency: int = Field(default=16, description="Calls under way at once.", gt=0)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    timeout_s: float = Field(default=120.0, description="For one call, to the last byte.", gt=0)
    connect_timeout_s: float = Field(default=10.0, gt=0)
    patience_s: float = Field(
        default=180.0, description="How long a server that has answered may be away.", gt=0
    )
    startup_patience_s: float = Field(default=10.0, description="The same for one that never answered.", gt=0)
    attempts: int = Field(default=5, description="Calls for a row that may end in a server's fault.", gt=0)
    answers: int = Field(default=3, description="Answers asked for a row until one has the right form.", gt=0)
    failure_limit: float = Field(
        default=0.2, description="Share of the rows that may fail for good.", ge=0, le=1
    )
    spending_cap: float | None = Field(
        default=None,
        description="Most that may be paid to this model within spending_window_h, by all runs together.",
        gt=0,
    )
    spending_window_h: float = Field(default=24.0, gt=0)
    price: PriceConfig | None = None
    prices: dict[str, PriceConfig] = Field(
        default_factory=dict, description="Prices of single models, where several are used."
    )
    context_tokens: int | None = Field(
        default=None, description="The model's context; asked of the server.", gt=0
    )
    row_tokens: int = Field(
        default=6000, description="Tokens of a row that are shown; a longer row is cut in its middle.", gt=0
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="More fields of the request's body.")
    transport: Literal["online", "batch"] = "online"
    batch_wait: bool = Field(
        default=True, description="Wait for a pending batch; else say that it is pending."
    )
    batch_poll_s: float = Field(default=30.0, gt=0)
    batch_rows: int = Field(default=20_000, gt=0, le=50_000)
    judge_weights: dict[str, float] = Field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    judge_samples: int = Field(default=1, ge=1)
    judge_audit: Literal["perfect", "hostile", "none"] = "perfect"
    temperature: float = Field(default=0.0, ge=0, le=2)
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0

    @property
    def is_configured(self) -> bool:
        """Whether a model is named and a server or a key is known."""
        known = self.base_url or os.environ.get(BASE_URL_VARIABLE) or os.environ.get(self.key_variable)
        return bool(self.model and known)

    def settings(self, model: str | None = None) -> ClientSettings:
        """Resolve the configuration.

        Raises
        ------
        UserError
            Where address, key or model is missing, or a value is impossible.
        """
        price = self.prices.get(model or self.model or "", self.price)
        return ClientSettings.from_environment(
            model or self.model,
            base_url=self.base_url,
            key_variable=self.key_variable,
            concurrency=self.concurrency,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            timeout_s=self.timeout_s,
            connect_timeout_s=self.connect_timeout_s,
            patience_s=self.patience_s,
            startup_patience_s=self.startup_patience_s,
            attempts=self.attempts,
            answers=self.answers,
            spending_cap=self.spending_cap,
            spending_window_h=self.spending_window_h,
            price=price.price() if price else None,
            context_tokens=self.context_tokens,
            row_tokens=self.row_tokens,
            parameters=dict(self.parameters),
            transport=self.transport,
            batch_wait=self.batch_wait,
            batch_poll_s=self.batch_poll_s,
            batch_rows=self.batch_rows,
        )

    def client(self, cache: str | Path | AnswerCache, model: str | None = None) -> Client:
        """Make the client; close it when done (it is a context manager)."""
        return Client(self.settings(model), cache)

    def tagger(self, client: Client) -> LLMTagger:
        """Make the tagger."""
        return LLMTagger(
            client,
            failure_limit=self.failure_limit,
            temperature=self.temperature,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
        )

    def judge(self, client: Client) -> Judge:
        """Make the judge."""
        return Judge(
            client,
            weights=self.judge_weights,
            samples=self.judge_samples,
            audit=self.judge_audit,
            failure_limit=self.failure_limit,
        )

    def refiner(
        self,
        client: Client,
        *,
        status: Callable[[Status], None] | None = None,
        retry_failed: bool = False,
    ) -> LLMRefiner:
        """Make the refiner of the tree."""
        return LLMRefiner(client, status=status, retry_failed=retry_failed)

    def embedder(self, client: Client) -> APIEmbedder:
        """Make the embedder; its client is made with `embedding_model`."""
        return APIEmbedder(client, dimensions=self.embedding_dimensions)
