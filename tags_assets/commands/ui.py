"""``tags-assets ui``: the webserver and the daemon on a home, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
import typer

from tags_assets.commands.console import out
from tags_assets.commands.options import HomeOption
from tags_assets.errors import InvalidInputError, UserError
from tags_assets.safe_start import safe_environment
from tags_assets.settings.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"

_GROUPS = ("knowledge", "scoring", "sampling")
GRAPH = "/asset-groups?expanded=" + ",".join(f"global@global:{group}" for group in _GROUPS)
"""The page of the whole graph, with its groups unfolded: folded, it shows three boxes."""

_STOP_S = 20.0
"""How long a process may take to stop before it is killed: a run says first that it was stopped."""


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 3000,
    browse: Annotated[bool, typer.Option("--open", help="Open the browser once the UI is ready.")] = False,
    public_address: Annotated[
        str | None,
        typer.Option(
            help="Address of a reverse proxy in front of the UI, as https://tags.example.org. Requests for "
            "any host or from any page other than this and the loopback address are refused."
        ),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Serve the Dagster UI on HOME: the graph, its runs, and the daemon that watches for new data."""
    run_ui(Home.resolve(home).prepare(), port, browse=browse, public_address=public_address)


def run_ui(home: Home, port: int, *, browse: bool = False, public_address: str | None = None) -> None:
    """Serve HOME on the loopback address until stopped.

    What Dagster logs goes to a file: the terminal keeps the address in sight.
    """
    from tags_assets.graph.instance import open_instance

    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise UserError(f"port {port} of {HOST} is taken", fix="Name another with --port.")
    public = [] if public_address is None else [_origin(public_address)]
    with open_instance(home):
        pass
    workspace, log = str(home.dagster / "workspace.yaml"), home.dagster / "ui.log"
    run = [sys.executable, "-P", "-m"]
    quiet = ["--log-level", "warning", "--code-server-log-level", "warning"]
    commands = {
        "webserver": [*run, "tags_assets.web.server", workspace, str(port), *public],
        "daemon": [*run, "dagster._daemon", "run", "-w", workspace, *quiet],
    }
    out.print("Starting the Dagster UI: half a minute, the first time a minute ...", markup=False)
    started = time.monotonic()
    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, lambda number, _frame: sys.exit(128 + number))
    graph = f"http://{HOST}:{port}{GRAPH}"
    with suppress(KeyboardInterrupt), _running(home, commands, log) as children:
        if _answers(children["webserver"], port):
            seconds = time.monotonic() - started
            out.print(f"Ready after {seconds:.0f} s. The graph:\n{graph}", markup=False)
            out.print(f"Ctrl-C stops it. Dagster's log: {log}", markup=False)
            if browse:
                webbrowser.open(graph)
        while all(child.poll() is None for child in children.values()):
            time.sleep(0.5)
        name, ended = next((name, child) for name, child in children.items() if child.poll() is not None)
        raise UserError(
            f"the {name} ended with exit code {ended.returncode}: {_last_line(log)}",
            fix=f"The whole log is in {log}.",
        )
    out.print("Stopped.", markup=False)


@contextmanager
def _running(
    home: Home, commands: dict[str, list[str]], log: Path
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run the commands for as long as the block lasts; then end them and all that they have started.

    They start in a folder of the home, since Dagster reads ``.env`` and more wherever it starts. Each has a
    session of its own: Ctrl-C reaches this process alone, which ends the others in order.
    """
    environment = {
        **safe_environment(),
        "TAGS_HOME": str(home.path),
        "TAGS_TARGETS": str(home.targets_folder),
        "TAGS_UI_SESSION": uuid4().hex,
        "PYTHONWARNINGS": "ignore",
    }
    children: dict[str, subprocess.Popen[bytes]] = {}
    with log.open("wb") as output:
        try:
            for name, command in commands.items():
                children[name] = subprocess.Popen(  # noqa: S603 - fixed programs
                    command,
                    cwd=home.dagster,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            yield children
        finally:
            # A second Ctrl-C must not leave them running.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            _stop(list(children.values()))


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    below: list[psutil.Process] = []
    for child in children:
        with suppress(psutil.NoSuchProcess):
            below += psutil.Process(child.pid).children(recursive=True)
    for child in children:
        child.terminate()
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(_STOP_S)
        child.kill()
        child.wait()
    # Runs, which mark themselves as stopped, and code servers that were not ended.
    for process in below:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(below, timeout=_STOP_S)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the webserver answers; say that it does not where it ended before."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on this machine
    while server.poll() is None:
        try:
            opener.open(f"http://{HOST}:{port}/server_info", timeout=30).close()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.5)
        else:
            return True
    return False


def _last_line(log: Path) -> str:
    with log.open("rb") as written:
        written.seek(max(os.fstat(written.fileno()).st_size - 2000, 0))
        lines = written.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")[:300]


def _origin(address: str) -> str:
    """Take scheme, host and port of the address that a reverse proxy serves the UI at."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.netloc or "@" in parts.netloc:
        raise InvalidInputError(
            f"{address!r} is no address", where="--public-address", fix="Write https://HOST."
        )
    return f"{parts.scheme}://{parts.netloc}".lower()
