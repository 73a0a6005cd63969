"""A folder that `init` made is one in which the UI works, by our command and by Dagster's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tags_assets_tests.small_pool import write_pool
from tags_assets_tests.ui.served import free_port, served

pytestmark = pytest.mark.slow

QUERY = """{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } }
             assetNodes { assetKey { path } } }"""


def ask(address, seconds=240):
    request = urllib.request.Request(  # noqa: S310 (loopback)
        f"{address}/graphql", json.dumps({"query": QUERY}).encode(), {"Content-Type": "application/json"}
    )
    end = time.monotonic() + seconds
    found = None
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found = json.load(answer)["data"]
            if found["assetNodes"]:
                break
        time.sleep(1)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project that `init` made, with data in it."""
    folder = tmp_path_factory.mktemp("init") / "project"
    made = subprocess.run(
        [sys.executable, "-P", "-m", "tags_assets", "init", str(folder)], check=True, capture_output=True
    )
    assert b"dagster.yaml" in made.stdout
    write_pool(folder / "data")
    return folder


def test_our_ui_works_in_it(folder):
    with served(folder / ".tags", folder, folder.parent / "ui.log") as (address, _):
        found = ask(address)
    assert found["repositoriesOrError"]["nodes"] == [{"location": {"name": "tags_assets"}}]


def test_dg_dev_works_in_it(folder):
    port = free_port()
    command = [str(Path(sys.executable).parent / "dg"), "dev", "-p", str(port)]
    with (folder.parent / "dg.log").open("wb") as log:
        running = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        found = ask(f"http://127.0.0.1:{port}")
    finally:
        os.killpg(running.pid, signal.SIGINT)
        try:
            running.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait(60)
    assert found, (folder.parent / "dg.log").read_text()[-2000:]
    assert {"landing"} < {node["assetKey"]["path"][0] for node in found["assetNodes"]}
    assert (folder / ".tags" / "dagster" / "history").is_dir()
