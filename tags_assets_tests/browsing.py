"""A headless Chromium for the tests, and the pictures of the docs that it takes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic"]

WAIT_MS = 180_000
"""Longest that a step in the browser may take: CI shares two cores among all its workers."""


IN_DOCS = {"report", "report-tree", "report-tree-phone", "ui-graph", "ui-why"}
"""Pictures that a page of the docs shows; the others are for who runs the tests."""


def browsers(chromium: str) -> Iterator[Any]:
    """Start a browser, and end it afterwards."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


def picture(page: Any, name: str) -> None:
    """Keep a screenshot: one of the docs where ``PICTURES`` says (docs/images), else in a temporary one."""
    chosen = os.environ.get("PICTURES") if name in IN_DOCS else None
    folder = Path(chosen or Path(tempfile.gettempdir()) / "tags-assets-pictures")
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")
