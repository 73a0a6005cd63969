"""What all tests share: a clean environment, no network, and the parts that some of them need."""

from __future__ import annotations

import atexit
import ipaddress
import os
import shutil
import socket
import tempfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tags_assets_tests.requirements_of_tests import NEEDS, SHARED_DATA, find_chromium, in_ci, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Before anything reads them: tests neither see nor touch what the person who runs them has set up.
for _name in [name for name in os.environ if name.startswith(("TAGS_", "DAGSTER_", "OPENAI_"))]:
    del os.environ[_name]
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="state-of-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)
os.environ["HF_HUB_OFFLINE"] = "1"
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores; threads that spin would halve both
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Machines differ in speed: no deadlines. In CI the examples are the same each time; elsewhere new ones.
settings.register_profile(
    "tags", deadline=None, derandomize=in_ci(), suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("tags")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the public instruction data beside the checkout."""
    require(SHARED_DATA.is_dir(), "the public instruction data at ../shared/data")
    return SHARED_DATA


@pytest.fixture(scope="session")
def selected_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Home of a small pool from which the target ``maths`` was selected: read it, change nothing."""
    from tags_assets_tests.small_pool import select_small_pool

    return select_small_pool(tmp_path_factory.mktemp("selected"))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium, to be run headless."""
    path = find_chromium()
    require(path, "chromium on the PATH (Debian: apt-get install chromium), or CHROMIUM=/path/to/it")
    assert path
    return path


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Fail any connection that leaves this machine: the product promises to send nothing anywhere."""
    patch = pytest.MonkeyPatch()
    for method in ("connect", "connect_ex"):
        patch.setattr(socket.socket, method, _only_loopback(getattr(socket.socket, method)))
    yield
    patch.undo()


def _only_loopback(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(str(address[0])):
            raise AssertionError(
                f"a test tried to reach {address[0]}:{address[1]}: tests stay on this machine"
            )
        return connect(self, address)

    return guarded


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def pytest_make_parametrize_id(val: Any) -> str | None:
    """Name bytes by their length: with a time stamp in them, no two workers would agree on a name."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say loudly, after everything else, what did not run and why."""
    missing: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith(NEEDS):
            missing[reason.removeprefix(NEEDS)] += 1
    if missing:
        terminalreporter.section("NOT RUN on this machine", sep="!", yellow=True, bold=True)
        for reason, tests in sorted(missing.items()):
            terminalreporter.line(f"{tests} of the tests: they need {reason}", yellow=True)
