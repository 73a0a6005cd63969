from __future__ import annotations

import pytest
from pydantic import ValidationError

from tags_assets.errors import UserError
from tags_assets.llm import ClientSettings, Price
from tags_assets.llm.settings import ModelSettings


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8000/v1", True), ("http://localhost/v1", True), ("http://10.1.2.3/v1", True),
        ("http://vllm:8000/v1", True), ("https://api.openai.com/v1", False), ("http://8.8.8.8/v1", False),
    ],
)  # fmt: skip
def test_a_key_is_needed_for_servers_elsewhere_only(url, local):
    settings = ClientSettings(base_url=url, model="m")
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
    with pytest.raises(ValidationError, match=field):
        ModelSettings(**{field: 0})
    with pytest.raises(ValidationError, match=field):
        ModelSettings(**{field: float("nan")})


def test_prices_are_per_million_and_cached_tokens_may_be_cheaper():
    assert Price(prompt=2.0, completion=8.0).of(1_000_000, 500_000) == 6.0
    assert Price(prompt=2.0, completion=8.0, cached_prompt=1.0).of(1_000_000, 0, 400_000) == pytest.approx(
        1.6
    )
    with pytest.raises(ValidationError, match="prompt"):
        Price(prompt=-1.0, completion=0.0)


def test_the_key_is_not_shown():
    assert "sk-1" not in repr(ClientSettings(base_url="http://127.0.0.1/v1", model="m", api_key="sk-1234567"))


def test_the_key_comes_from_the_environment_and_is_no_field(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-123456")
    monkeypatch.setenv("MY_KEY", "abc")
    settings = ModelSettings(base_url="https://api.example.com/v1", model="m")
    client = settings.client()
    assert client.api_key == "sk-secret-123456"
    assert "sk-secret" not in f"{settings.model_dump()} {client.model_dump()} {client!r}"
    other = ModelSettings(base_url="https://x.example/v1", model="m", key_variable="MY_KEY")
    assert other.client().api_key == "abc"


def test_missing_parts_are_one_clear_line(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="OPENAI_BASE_URL"):
        ModelSettings(model="m").client()
    with pytest.raises(UserError, match="--model"):
        ModelSettings(base_url="http://127.0.0.1:1/v1").client()
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        ModelSettings(base_url="https://api.example.com/v1", model="m").client()


@pytest.mark.parametrize(
    "values",
    [
        {"base_url": "http://me:hunter2@127.0.0.1/v1"},
        {"base_url": "http://127.0.0.1/v1?api-key=hunter2"},
        {"base_url": "http://127.0.0.1/v1#hunter2"},
        {"base_url": "me:hunter2@127.0.0.1"},
        {"parameters": {"api_key": "hunter2"}},
        {"parameters": {"Authorization": "Bearer hunter2"}},
    ],
)
def test_a_secret_is_refused_and_never_repeated(values):
    with pytest.raises(UserError) as error:
        ModelSettings(**values)
    assert "hunter2" not in str(error.value)


def test_an_address_of_the_environment_holds_no_secret_either(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:hunter2@127.0.0.1/v1")
    with pytest.raises(UserError, match="password") as error:
        ModelSettings(model="m").client()
    assert "hunter2" not in str(error.value)
