"""Every command of the documentation is run as a reader would run it, in a project with the sample data."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tags_assets_tests.docs.blocks import EVERY, PAGES, blocks
from tags_assets_tests.docs.conftest import environment
from tags_assets_tests.docs.shown import missing
from tags_assets_tests.requirements_of_tests import CHECKOUT

BASH = [block for block in EVERY if block.language == "bash"]
RUN_PAGES = sorted({block.page for block in BASH if block.not_run is None})
PYTHON_PAGES = [CHECKOUT / "docs" / "python.md", CHECKOUT / "docs" / "exports.md"]
DEMO = "it installs an environment of its own"
MARK = "-- the next block --"
NOT_RUN = {
    "it needs a language model's server": 5,
    "the public pool is not in the repository": 3,
    DEMO: 1,
    "it needs DuckDB's own command line, version 2.0": 1,
    "it needs a second machine": 1,
    "they install and test this very checkout": 1,
}
"""Why blocks are not run, and how many: whoever adds one counts it here."""

PROGRAM = re.compile(
    r"^\s*(?:\$ )?(?:\.venv/bin/)?(?:tags-assets|make|dg|dagster[a-z-]*|duckdb) ", re.MULTILINE
)


def serve(block, cwd, *, seconds):
    """Run a block that serves until it is stopped: it must still do so at the end of its time."""
    started = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = started.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        said = None
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGTERM)
            try:
                started.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(started.pid, signal.SIGKILL)
                started.communicate()
    assert said is None, f"{block.place} ended by itself:\n{said}"


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN_PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_commands_of_a_page_run(page, fresh_project):
    where = fresh_project / ".where"  # a reader stays in the folder that a block goes to
    cwd = fresh_project
    came = None
    wrong: dict[str, list[str]] = {}
    for block in blocks(page):
        if block.language == "text" and came is not None:
            wrong |= {block.place: lost} if (lost := missing(block.text, came)) else {}
        came = None
        if block.not_run == DEMO:
            came = (cwd / "demo.txt").read_text()
        if block.language != "bash" or block.not_run is not None:
            continue
        if block.stopped_after is not None:
            serve(block, cwd, seconds=block.stopped_after)
            continue
        script = f"{block.text}\npwd > {where}\n"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=cwd,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # as a terminal shows them
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"{block.place}\n{done.stdout[-3000:]}"
        cwd = Path(where.read_text().strip())
        came = done.stdout
    assert wrong == {}, "shown as output, and did not come"


@pytest.mark.slow
@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.name)
def test_python_of_a_page_runs(page, fresh_project):
    program = f"\nprint({MARK!r})\n".join(
        block.text for block in blocks(page) if block.language == "python" and not block.not_run
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=fresh_project,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outputs, came = iter(done.stdout.split(MARK)), None
    wrong: dict[str, list[str]] = {}
    for block in blocks(page):
        if block.language == "text" and came is not None:
            wrong |= {block.place: lost} if (lost := missing(block.text, came)) else {}
        came = next(outputs) if block.language == "python" and not block.not_run else None
    assert wrong == {}, "shown as output, and did not come"


def test_what_is_not_run_is_counted_and_has_a_reason():
    reasons = Counter(block.not_run for block in BASH if block.not_run is not None)
    assert reasons == NOT_RUN
    assert len(BASH) - reasons.total() >= 20


def test_commands_stand_in_blocks_that_are_run():
    hidden = [
        block.place
        for block in EVERY
        if block.language not in {"bash", "yaml"} and PROGRAM.search(block.text)
        if "reference" not in block.page.parts
    ]
    assert hidden == []


def test_every_mark_is_understood():
    marks = [
        (page.name, mark)
        for page in PAGES
        for mark in re.findall(r"<!-- ([^>]*) -->\n```bash", page.read_text(encoding="utf-8"))
    ]
    known = [mark for _, mark in marks if mark.startswith(("not run: ", "stopped after "))]
    assert len(known) == len(marks), marks


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # typer's, of click
def test_commands_within_sentences_exist():
    """`tags-assets export --format trl` in running text: the command is there, and so are its options."""
    import typer

    from tags_assets.commands import cli

    commands = typer.main.get_command(cli.app).commands
    unknown = []
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for span in re.findall(r"`(?:\.venv/bin/)?tags-assets ([^`]+)`", text):
            name, *words = span.split()
            if name.startswith(("-", "COMMAND")):
                continue
            options = {option for of in getattr(commands.get(name), "params", ()) for option in of.opts} | {
                "--help"
            }
            used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            if name not in commands or used - options:
                unknown.append(f"{page.name}: {span}")
    assert unknown == []


def anchors(page):
    """What GitHub makes of a page's headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere():
    broken = []
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if link.startswith(("http://", "https://")):
                continue
            path, _, anchor = link.partition("#")
            to = page.parent / path if path else page
            if not to.exists() or (anchor and anchor not in anchors(to)):
                broken.append(f"{page.relative_to(CHECKOUT)}: {link}")
    assert broken == []
