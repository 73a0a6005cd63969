"""The settings of a language model: one model for the command line, pool files and the client."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tags_assets.errors import InvalidInputError, UserError
from tags_assets.llm.address import checked_address, is_local, public_address
from tags_assets.llm.rating import DEFAULT_WEIGHTS

BASE_URL_VARIABLE = "OPENAI_BASE_URL"
KEY_VARIABLE = "OPENAI_API_KEY"
OPENAI_URL = "https://api.openai.com/v1"

_SECRET_FIELDS = frozenset(
    {"api_key", "apikey", "api-key", "key", "access_token", "token", "secret", "password", "authorization"}
)

Address = Annotated[str, AfterValidator(lambda url: checked_address(url, "base_url"))]
Positive = Annotated[float, Field(gt=0)]
PositiveWhole = Annotated[int, Field(gt=0)]


class _Settings(BaseModel):
    # An error of pydantic's repeats its input, which may hold a secret.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


class Price(_Settings):
    """What a million tokens cost, from the provider's price list. Nothing is assumed."""

    prompt: float = Field(description="Price of a million prompt tokens.", ge=0)
    completion: float = Field(description="Price of a million completion tokens.", ge=0)
    cached_prompt: float | None = Field(
        default=None,
        description="Price of a million prompt tokens from the provider's own cache; `prompt` if unset.",
        ge=0,
    )
    batch_factor: float = Field(
        default=1.0, description="Factor that the Batch API applies to these prices, such as 0.5.", ge=0
    )
    currency: str = Field(default="USD", description="Currency, for display only.")

    def of(self, prompt_tokens: float, completion_tokens: float, cached_tokens: float = 0) -> float:
        """Price of so many tokens at full price (no batch)."""
        cached_price = self.prompt if self.cached_prompt is None else self.cached_prompt
        fresh = max(prompt_tokens - cached_tokens, 0)
        return (
            fresh * self.prompt + cached_tokens * cached_price + completion_tokens * self.completion
        ) / 1e6


class ModelSettings(_Settings):
    """A model behind an OpenAI-compatible API, and the limits within which it is used.

    The key is no field: it is read from the environment when it is used, so no file, page or log can show it.
    """

    base_url: Address | None = Field(
        default=None,
        description="Address of the API, such as http://127.0.0.1:8000/v1; without user, password or query. "
        f"Default: `{BASE_URL_VARIABLE}`.",
    )
    model: str | None = Field(default=None, description="Model that tags, judges and names.")
    judge_model: str | None = Field(default=None, description="Another model for judging.")
    refiner_model: str | None = Field(default=None, description="Another model for the tree's names.")
    embedding_model: str | None = Field(default=None, description="Model for embeddings over the API.")
    embedding_dimensions: PositiveWhole | None = Field(default=None, description="Length of its vectors.")
    key_variable: str = Field(
        default=KEY_VARIABLE, description="Environment variable that holds the key.", min_length=1
    )
    concurrency: PositiveWhole = Field(default=16, description="Calls in flight at once.")
    requests_per_minute: Positive | None = Field(
        default=None, description="Requests that the account allows."
    )
    tokens_per_minute: Positive | None = Field(
        default=None, description="Prompt and completion tokens that the account allows."
    )
    timeout_s: Positive = Field(default=120.0, description="Seconds for one call, including the whole reply.")
    connect_timeout_s: Positive = Field(default=10.0, description="Seconds to connect to the server.")
    patience_s: Positive = Field(
        default=180.0,
        description="How long a server that has answered may fail or refuse calls before the run stops.",
    )
    startup_patience_s: Positive = Field(
        default=10.0, description="The same, for a server that has never answered."
    )
    attempts: PositiveWhole = Field(
        default=5, description="Calls for a row that may end in a server error before the row fails."
    )
    answers: PositiveWhole = Field(
        default=3, description="Answers requested for a row until one has the right form."
    )
    failure_limit: float = Field(
        default=0.2, description="Share of the rows that may fail permanently.", ge=0, le=1
    )
    spending_cap: Positive | None = Field(
        default=None,
        description="Most that all runs together may pay this model within `spending_window_h`. Needs a "
        "`price`.",
    )
    spending_window_h: Positive = Field(default=24.0, description="Hours that the spending cap covers.")
    price: Price | None = Field(
        default=None, description="Price list; without it tokens are counted, but money is not."
    )
    prices: dict[str, Price] = Field(
        default_factory=dict, description="Prices of individual models, if several are used."
    )
    context_tokens: PositiveWhole | None = Field(
        default=None, description="The model's context size. Default: what the server reports."
    )
    row_tokens: PositiveWhole = Field(
        default=6000, description="Tokens of a row that the model reads; a longer row is cut in the middle."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of the request body, such as reasoning_effort."
    )
    transport: Literal["online", "batch"] = Field(
        default="online", description="One call per row, or the Batch API."
    )
    batch_wait: bool = Field(
        default=True, description="Wait for a pending batch; otherwise stop and say that it is pending."
    )
    batch_poll_s: Positive = Field(default=30.0, description="Seconds between two checks of a pending batch.")
    batch_rows: int = Field(default=20_000, description="Maximum rows in one batch.", gt=0, le=50_000)
    judge_weights: dict[str, float] = Field(
        default_factory=lambda: dict(DEFAULT_WEIGHTS), description="Weight of each dimension in a rating."
    )
    judge_samples: PositiveWhole = Field(default=1, description="Verdicts requested for each row.")
    judge_audit: Literal["perfect", "hostile", "none"] = Field(
        default="perfect", description="Which verdicts are checked by a second question."
    )
    temperature: float = Field(default=0.0, description="Of the tagger.", ge=0, le=2)
    frequency_penalty: float = Field(default=0.0, description="Of the tagger.")
    presence_penalty: float = Field(default=0.0, description="Of the tagger.")

    @model_validator(mode="before")
    @classmethod
    def _no_flags(cls, values: object) -> object:
        """Refuse flags where a number is meant: pydantic would read ``true`` as 1."""
        for name, value in values.items() if isinstance(values, dict) else ():
            if isinstance(value, bool) and name in cls.model_fields and name != "batch_wait":
                raise InvalidInputError(
                    f"{name} is {str(value).lower()}", where=f"llm.{name}", fix="Write a value."
                )
        return values

    @model_validator(mode="after")
    def _no_secrets(self) -> ModelSettings:
        """Refuse keys among the parameters, which are stored."""
        for name in self.parameters:
            if name.lower() in _SECRET_FIELDS:
                raise InvalidInputError(
                    f"{name!r} looks like a secret, and settings are stored",
                    where="llm.parameters",
                    fix=f"Put the key in the environment variable {KEY_VARIABLE}.",
                )
        return self

    def client(self, model: str | None = None) -> ClientSettings:
        """Add address and key from the environment; `model` takes the place of the settings' own.

        Raises
        ------
        UserError
            If address, key or model is missing, or the spending cap has no price.
        """
        key = os.environ.get(self.key_variable) or None
        address = self.base_url or os.environ.get(BASE_URL_VARIABLE) or (OPENAI_URL if key else None)
        name = model or self.model
        if address is None:
            raise InvalidInputError(
                "no model server is named",
                fix=f"Set {BASE_URL_VARIABLE} (http://127.0.0.1:8000/v1 for a server of your own), "
                f"or {KEY_VARIABLE} for OpenAI's.",
            )
        if not name or not name.strip():
            raise InvalidInputError("no model is named", fix="Name one with --model, as the server knows it.")
        fields = {field: getattr(self, field) for field in self.model_fields_set}
        fields |= {"base_url": address, "model": name, "price": self.prices.get(name, self.price)}
        settings = ClientSettings(**fields, api_key=key)
        settings.check_key()
        return settings


class ClientSettings(ModelSettings):
    """A server, a model and a key: what a client is made of."""

    base_url: Address
    model: str
    api_key: str | None = Field(default=None, repr=False, exclude=True)

    @model_validator(mode="after")
    def _cap_needs_price(self) -> ClientSettings:
        if self.spending_cap is not None and self.price is None:
            raise InvalidInputError(
                f"a spending cap of {self.spending_cap:g} needs a price",
                where="spending_cap",
                fix="Set price.prompt and price.completion per million tokens (0 for your own server).",
            )
        return self

    @property
    def endpoint(self) -> str:
        """Address without trailing slash: safe to show, to store and to hash."""
        return public_address(self.base_url)

    @property
    def is_local(self) -> bool:
        """Whether the server stands on this machine or network, where no key is expected."""
        return is_local(self.base_url)

    def check_key(self) -> str:
        """Give the key to send; a placeholder for a server of one's own.

        Raises
        ------
        UserError
            Where the server is not a local one and there is no key.
        """
        if self.api_key:
            return self.api_key
        if self.is_local:
            return "none"
        raise UserError(
            f"no API key for {self.endpoint}",
            fix=f"Set {self.key_variable} in the environment (not needed for a server on this machine).",
        )
