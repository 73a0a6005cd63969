from __future__ import annotations

import pytest

from tags_assets.llm import Client, ClientSettings
from tags_assets_tests.llm import model_server as model_server_module
from tags_assets_tests.llm.loopback import Loopback
from tags_assets_tests.requirements_of_tests import require


@pytest.fixture
def server():
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture
def connect(server, tmp_path):
    """Make clients of the loopback server that share a cache and lose no time."""
    clients = []

    def make(**settings):
        cache = settings.pop("cache", tmp_path / "answers.sqlite")
        fast = {
            "concurrency": 4,
            "timeout_s": 60.0,  # for machines that are busy with other things
            "patience_s": 60.0,
            "startup_patience_s": 20.0,
            "base_url": server.url,
            "model": "test",
        }
        client = Client(ClientSettings(**{**fast, **settings}), cache)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """Shorten the pauses: what is tested is that there are some, not their length."""
    for module in ("run", "batch", "embedder", "throttle"):
        monkeypatch.setattr(f"tags_assets.llm.{module}.pause_s", lambda *_, **__: 0.02)
    monkeypatch.setattr("tags_assets.llm.run._SECOND_CHANCE_S", 0.05)
    monkeypatch.setattr("tags_assets.llm.run._HOLD_S", 0.05)


def rows(n, start=0):
    """Make conversations with words of their own."""
    names = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet"]
    ids = [f"row-{i:05}" for i in range(start, start + n)]
    conversations = [
        [
            {
                "role": "user",
                "content": f"Explain {names[i % 10]} number {'abcdefghij'[i // 10 % 10] * 5}{i}.",
            },
            {"role": "assistant", "content": f"It is about {names[(i * 7) % 10]} things."},
        ]
        for i in range(start, start + n)
    ]
    return ids, conversations


@pytest.fixture(scope="session")
def model_server():
    """Base URL of a real llama.cpp server; one for the session."""
    require(model_server_module.is_installed(), model_server_module.NEEDED)
    with model_server_module.running() as url:
        yield url
