"""The names that the package exports, whatever was imported before them."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "before", ["", "import tags_assets.explanation.knobs; ", "from tags_assets import select; "]
)
def test_every_exported_name_is_the_function_and_not_a_room(before):
    code = f"{before}import tags_assets; print([n for n in tags_assets.__all__ if n != '__version__' "
    code += "and not callable(getattr(tags_assets, n))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
