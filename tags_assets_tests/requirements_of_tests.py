"""What some tests need beside the packages: real data, a browser, a model server.

Tests of a part that is absent are skipped, and the end of the run says so in a line. Where ``CI`` is set
they fail: a check that silently no longer runs is worse than none.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED_DATA = CHECKOUT.parent / "shared" / "data"
NEEDS = "needs "
"""How the reason of every such skip begins; the end of the run collects them by it."""

_CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_CHROME_ON_MACOS = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def in_ci() -> bool:
    """Whether everything has to run."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def require(condition: object, reason: str) -> None:
    """Go on where `condition` holds; else skip the test, or fail it where ``CI`` is set.

    Parameters
    ----------
    condition
        Whether the part is there.
    reason
        The part and how to get it, as ``"chromium on the PATH"``.
    """
    __tracebackhide__ = True
    if condition:
        return
    if in_ci():
        pytest.fail(f"{NEEDS}{reason}, and CI is set, where nothing may be skipped", pytrace=False)
    pytest.skip(f"{NEEDS}{reason}")


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome: ``CHROMIUM``, else the first on the PATH."""
    named = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else []
    return next(
        (path for name in (*named, *_CHROMIUMS, _CHROME_ON_MACOS) if (path := shutil.which(name))), None
    )
