from __future__ import annotations

import pytest

from tags_assets.errors import UserError
from tags_assets.llm import ClientSettings, Price


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8000/v1", True), ("http://localhost/v1", True), ("http://10.1.2.3/v1", True),
        ("http://vllm:8000/v1", True), ("https://api.openai.com/v1", False), ("http://8.8.8.8/v1", False),
    ],
)  # fmt: skip
def test_a_key_is_needed_for_servers_elsewhere_only(url, local):
    settings = ClientSettings(url, "m")
    assert settings.is_local == local
    if local:
        assert settings.check_key()
    else:
        with pytest.raises(UserError, match="OPENAI_API_KEY"):
            settings.check_key()


@pytest.mark.parametrize(
    "field", ["concurrency", "timeout_s", "row_tokens", "requests_per_minute", "answers"]
)
def test_impossible_limits_are_named(field):
    with pytest.raises(UserError, match=field):
        ClientSettings("http://127.0.0.1/v1", "m", **{field: 0})


def test_prices_are_per_million_and_cached_tokens_may_be_cheaper():
    assert Price(2.0, 8.0).of(1_000_000, 500_000) == 6.0
    assert Price(2.0, 8.0, cached_prompt=1.0).of(1_000_000, 0, 400_000) == pytest.approx(1.6)
    with pytest.raises(UserError, match="below 0"):
        Price(-1.0, 0.0)


def test_the_key_is_not_shown():
    assert "sk-1" not in repr(ClientSettings("http://127.0.0.1/v1", "m", api_key="sk-1234567"))
