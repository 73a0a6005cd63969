from __future__ import annotations

import pytest

from tags_assets.errors import UserError
from tags_assets.llm.address import checked_address, is_local, is_loopback, public_address


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1", "https://api.openai.com/v1/", "http://[::1]:8000/v1",
        "http://vllm:8000", "https://host.example/a%20b/v1",
    ],
)  # fmt: skip
def test_ordinary_addresses_are_accepted(url):
    assert checked_address(f" {url} ", "base_url") == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://user:hunter2@host.example/v1", "user name or password"),
        ("https://hunter2@host.example/v1", "user name or password"),
        ("https://@host.example/hunter2", "user name or password"),
        ("https://host.example/v1?api-key=hunter2", "query or fragment"),
        ("https://host.example/v1?hunter2", "query or fragment"),
        ("https://host.example/v1#hunter2", "query or fragment"),
        ("https://host.example/v1?", "query or fragment"),
        ("ftp://host.example/hunter2", "not a URL"),
        ("hunter2", "not a URL"),
        ("", "not a URL"),
        ("http://", "not a URL"),
        ("http://:8000/hunter2", "not a URL"),
        ("http://host.example:hunter2/v1", "not a URL"),
        ("http://host.example:99999/hunter2", "not a URL"),
        ("http://host.example:0/hunter2", "not a URL"),
        ("http://[::1/hunter2", "not a URL"),
        ("http://127.0.0.1\\@hunter2.example/v1", "not a URL"),
        ("http://host.example/\x1b[31mhunter2", "not a URL"),
        ("http://host.example/v1\nhunter2: x", "not a URL"),
        ("http://host.example/hunter2 x", "not a URL"),
    ],
)
def test_addresses_that_hold_secrets_or_mislead_are_refused_without_repeating_them(url, problem):
    with pytest.raises(UserError, match=f"^llm.base_url: .*{problem}") as caught:
        checked_address(url, "llm.base_url")
    assert "hunter2" not in str(caught.value)


def test_addresses_are_shown_without_what_may_be_secret():
    assert (
        public_address("https://user:pass@host.example:8443/v1/?key=abc#x") == "https://host.example:8443/v1"
    )
    assert public_address("http://[::1]:8000/v1") == "http://[::1]:8000/v1"


@pytest.mark.parametrize(
    ("url", "loopback", "local"),
    [
        ("http://127.0.0.1:8000/v1", True, True), ("http://localhost/v1", True, True),
        ("http://127.1/v1", True, True), ("http://2130706433/v1", True, True),
        ("http://[::1]/v1", True, True), ("http://[::ffff:127.0.0.1]/v1", True, True),
        ("http://10.1.2.3/v1", False, True), ("http://vllm:8000/v1", False, True),
        ("http://localhost.example.com/v1", False, False), ("https://api.openai.com/v1", False, False),
        ("http://8.8.8.8/v1", False, False),
    ],
)  # fmt: skip
def test_this_machine_and_the_local_network_are_recognised(url, loopback, local):
    assert (is_loopback(url), is_local(url)) == (loopback, local)
