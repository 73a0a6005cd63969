from __future__ import annotations

import pytest

from tags_assets.errors import UserError
from tags_assets.llm import ClientSettings
from tags_assets.resources.llm import LLMResource, PriceConfig


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_the_key_comes_from_the_environment_and_is_no_field(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-123456")
    resource = LLMResource(base_url="https://api.example.com/v1", model="m")
    assert resource.settings().api_key == "sk-secret-123456"
    assert "sk-secret" not in str(resource.model_dump())
    assert not any("key" in name and name != "key_variable" for name in LLMResource.model_fields)


def test_a_key_of_another_name_is_found(monkeypatch):
    monkeypatch.setenv("MY_KEY", "abc")
    resource = LLMResource(base_url="https://api.example.com/v1", model="m", key_variable="MY_KEY")
    assert resource.settings().api_key == "abc"


def test_missing_parts_are_one_clear_line():
    with pytest.raises(UserError, match="OPENAI_BASE_URL"):
        LLMResource(model="m").settings()
    with pytest.raises(UserError, match="--model"):
        LLMResource(base_url="http://127.0.0.1:1/v1").settings()
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        LLMResource(base_url="https://api.example.com/v1", model="m").settings()


def test_it_knows_whether_it_is_configured(monkeypatch):
    assert not LLMResource().is_configured
    assert not LLMResource(model="m").is_configured
    assert LLMResource(model="m", base_url="http://127.0.0.1:1/v1").is_configured
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    assert LLMResource(model="m").is_configured


def test_every_setting_of_the_client_can_be_configured():
    apart = {"api_key"}
    assert set(ClientSettings.__dataclass_fields__) - apart <= set(LLMResource.model_fields)


def test_it_makes_every_part_on_one_cache(tmp_path):
    resource = LLMResource(
        base_url="http://127.0.0.1:1/v1",
        model="m",
        embedding_model="e",
        price=PriceConfig(prompt=1, completion=2),
        spending_cap=3,
        judge_weights={"clarity": 1},
    )
    with resource.client(tmp_path / "a.sqlite") as client:
        assert resource.tagger(client).fingerprint_config()["model"] == "m"
        assert resource.judge(client).weights["clarity"] == 1
        assert set(resource.refiner(client).fingerprint_config()["tasks"]) >= {"summarise", "rename"}
        assert client.settings.price.prompt == 1
        with resource.client(client.cache, model="e") as other:
            assert resource.embedder(other).fingerprint_config()["model"] == "e"
        assert client.cache.known([b"x"]) == {}  # closing the second client left the shared cache open
