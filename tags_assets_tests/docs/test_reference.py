"""The reference is what the code says today."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tags_assets_tests.requirements_of_tests import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "docs"))


def test_reference_pages_and_the_picture_of_the_graph_are_those_of_the_code():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "docs/generate.py", "--check"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr[-500:]}"


def test_every_variable_that_the_code_reads_is_in_the_reference():
    page = (CHECKOUT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    read = set()
    for module in (CHECKOUT / "tags_assets").rglob("*.py"):
        text = module.read_text(encoding="utf-8")
        read |= set(re.findall(r"environ(?:\.get\(|\[|\.setdefault\()\s*\"([A-Z_]+)\"", text))
        read |= set(re.findall(r"_(?:URL|KEY)?_?VARIABLE = \"(OPENAI_[A-Z_]+)\"", text))
    assert {name for name in read if name.startswith(("TAGS_", "OPENAI_"))} <= set(
        re.findall(r"`([A-Z_]+)`", page)
    )
    assert "TAGS_HOME" in read


def test_every_knob_is_on_the_page_on_python():
    from tags_assets.explanation.knobs import KNOBS

    page = (CHECKOUT / "docs" / "python.md").read_text(encoding="utf-8")
    listed = page.partition("target-file.md#knobs")[2].partition("Omitted knobs")[0]
    assert [knob for knob in KNOBS if f"`{knob}`" not in listed] == []


@pytest.mark.filterwarnings("ignore")  # typer's, of click
def test_picture_keeps_what_leads_where():
    """Arrows that follow from others are left out, and every way stays a way."""
    from generate import reduced

    parents = {"c": {"a", "b"}, "b": {"a"}, "a": set(), "d": {"c", "a"}}
    assert reduced(parents) == {"c": {"b"}, "b": {"a"}, "a": set(), "d": {"c"}}
