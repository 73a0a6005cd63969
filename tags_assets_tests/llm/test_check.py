from __future__ import annotations

import pytest

from tags_assets.llm import check_server
from tags_assets_tests.llm.loopback import Reply, error, well_behaved


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_a_server_that_answers_is_reported_with_its_context(server):
    report = check_server(server.url, "test")
    assert report.reachable
    assert report.context_tokens == 8192
    assert "answers in" in str(report)


def test_an_unknown_model_is_told_the_known_ones(server):
    server.behave = lambda c: well_behaved(c) if c.path.endswith("models") else error(404, "no such model")
    report = check_server(server.url, "tset")
    assert not report.reachable
    assert "It has these models: test." in str(report)


def test_nobody_there_is_said_with_a_mend():
    report = check_server("http://127.0.0.1:9/v1", "test")
    assert "can't be reached" in report.problem
    assert "OPENAI_BASE_URL" in report.fix


def test_a_missing_address_model_or_key_is_said(monkeypatch):
    assert "OPENAI_BASE_URL" in str(check_server(None, "m"))
    assert "--model" in str(check_server("http://127.0.0.1:9/v1", None))
    assert "OPENAI_API_KEY" in str(check_server("https://api.example.com/v1", "m"))
    monkeypatch.setenv("OPENAI_BASE_URL", "not a url")
    assert "not a URL" in str(check_server(None, "m"))


def test_a_server_that_hangs_is_said_in_time(server):
    server.behave = lambda _: Reply(manner="hang")
    assert "timeout" in str(check_server(server.url, "test", timeout_s=0.3))


def test_a_server_that_lists_no_models_is_fine(server):
    server.behave = lambda c: error(404, "x") if c.path.endswith("models") else well_behaved(c)
    assert check_server(server.url, "test").reachable
