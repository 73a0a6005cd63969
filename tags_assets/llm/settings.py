"""Where the model is served and how hard it may be driven."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tags_assets.errors import UserError
from tags_assets.llm.address import checked_address, is_local, public_address

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE_URL_VARIABLE = "OPENAI_BASE_URL"
KEY_VARIABLE = "OPENAI_API_KEY"
OPENAI_URL = "https://api.openai.com/v1"


@dataclass(frozen=True)
class Price:
    """What tokens cost, as the provider's price list says it. Nothing is assumed: the user states it.

    Attributes
    ----------
    prompt, completion
        Price of a million tokens.
    cached_prompt
        Price of a million prompt tokens that the provider read from its own cache; `prompt` where absent.
    batch_factor
        What the Batch API charges of the above, as 0.5.
    currency
        For display only.
    """

    prompt: float
    completion: float
    cached_prompt: float | None = None
    batch_factor: float = 1.0
    currency: str = "USD"

    def __post_init__(self) -> None:
        for name in ("prompt", "completion", "cached_prompt", "batch_factor"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UserError(
                    f"price.{name} is {value}, below 0", mend="State the price of a million tokens."
                )

    def of(self, prompt_tokens: float, completion_tokens: float, cached_tokens: float = 0) -> float:
        """Price of so many tokens at full price (no batch)."""
        cached_price = self.prompt if self.cached_prompt is None else self.cached_prompt
        fresh = max(prompt_tokens - cached_tokens, 0)
        return (
            fresh * self.prompt + cached_tokens * cached_price + completion_tokens * self.completion
        ) / 1e6


@dataclass(frozen=True)
class ClientSettings:
    """A server, a model, and the limits within which they are used.

    Attributes
    ----------
    base_url
        Where the OpenAI-compatible API lies, as ``http://127.0.0.1:8000/v1``.
    model
        Name of the model as the server knows it.
    api_key
        Never shown, stored or hashed.
    concurrency
        Calls under way at once.
    requests_per_minute, tokens_per_minute
        Limits of the account; none where absent. Tokens count prompt and completion.
    timeout_s
        For one call from sending to the last byte, whatever trickles in between.
    connect_timeout_s
        For reaching the server.
    patience_s
        How long a server that has answered may stay away (down, or refusing with 429) before the run stops.
    startup_patience_s
        The same for a server that has not answered once in this run.
    attempts
        Calls for one row that end in a fault of the server, before the row counts as failed.
    answers
        Answers asked for one row until one fits the schema.
    spending_cap
        Most that all runs sharing the cache may pay this endpoint and model within `spending_window_h` hours,
        in the price's currency. Needs `price`.
    price
        See `Price`. Without it tokens are counted and money is not.
    context_tokens
        Tokens that prompt and answer may take together; asked of the server where absent.
    row_tokens
        Tokens of a row, as we estimate them, that are shown to the model; a longer row is cut in its middle.
    parameters
        More fields of the request's body, as ``{"reasoning_effort": "low"}``. Part of every answer's key.
    transport
        ``online`` for one call per row, ``batch`` for the Batch API.
    batch_wait
        Whether to wait for a pending batch; else the run ends with a line that says it is pending.
    batch_poll_s
        Pause between two looks at a pending batch.
    batch_rows
        Rows in one batch at most.
    """

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    concurrency: int = 16
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout_s: float = 120.0
    connect_timeout_s: float = 10.0
    patience_s: float = 180.0
    startup_patience_s: float = 10.0
    attempts: int = 5
    answers: int = 3
    spending_cap: float | None = None
    spending_window_h: float = 24.0
    price: Price | None = None
    context_tokens: int | None = None
    row_tokens: int = 6000
    parameters: Mapping[str, object] = field(default_factory=dict)
    transport: Literal["online", "batch"] = "online"
    batch_wait: bool = True
    batch_poll_s: float = 30.0
    batch_rows: int = 20_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_url", checked_address(self.base_url, "base_url"))
        if not self.model.strip():
            raise UserError("no model is named", where="model", mend="Name one with --model.")
        self._require_positive()
        if self.spending_cap is not None and self.price is None:
            raise UserError(
                f"a spending cap of {self.spending_cap:g} can't be kept without a price",
                where="spending_cap",
                mend="State price.prompt and price.completion of a million tokens (0 for your own server).",
            )

    def _require_positive(self) -> None:
        for name in (
            "concurrency", "requests_per_minute", "tokens_per_minute", "timeout_s", "connect_timeout_s",
            "attempts", "answers", "spending_window_h", "context_tokens", "row_tokens", "batch_poll_s",
            "batch_rows", "patience_s", "startup_patience_s",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name} is {value}, it must be above 0", where=f"llm.{name}")

    @property
    def endpoint(self) -> str:
        """Address without user, password, query and trailing slash: safe to show, to store and to hash."""
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
            mend=f"Set {KEY_VARIABLE} in the environment (not needed for a server on this machine).",
        )

    @classmethod
    def from_environment(
        cls,
        model: str | None,
        *,
        base_url: str | None = None,
        key_variable: str = KEY_VARIABLE,
        **others: object,
    ) -> ClientSettings:
        """Read address and key from the environment.

        Raises
        ------
        UserError
            Where the address, the key or the model is missing.
        """
        key = os.environ.get(key_variable) or None
        address = base_url or os.environ.get(BASE_URL_VARIABLE) or (OPENAI_URL if key else None)
        if address is None:
            raise UserError(
                "no model server is named",
                mend=f"Set {BASE_URL_VARIABLE} (http://127.0.0.1:8000/v1 for a server of your own), "
                f"or {KEY_VARIABLE} for OpenAI's.",
            )
        if not model:
            raise UserError("no model is named", mend="Name one with --model, as the server knows it.")
        settings = cls(base_url=address, model=model, api_key=key, **others)  # type: ignore[arg-type]
        settings.check_key()
        return settings
