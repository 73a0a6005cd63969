"""Keeps the current folder off the import path: it holds data, and data must not run as code.

Python puts the current folder on its path for ``python -m``, and for each empty or relative entry of
PYTHONPATH (``PYTHONPATH=$PYTHONPATH:/x`` makes one). A file ``json.py`` beside the data would then run.
"""
# ruff: noqa: PTH109, PTH117, PTH118
# pathlib is not loaded yet: it could be a file of that folder.

from __future__ import annotations

import os
import sys
from contextlib import suppress

NO_PICKLES = {"NUMBA_CACHE_DIR": ""}
"""Overrules a ``.numba_config.yaml`` beside the data, which could name a folder of pickles to load."""


def safe_environment() -> dict[str, str]:
    """Return this process's environment without anything that lets the current folder in."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    absolute = os.pathsep.join(filter(os.path.isabs, entries))
    return {**NO_PICKLES, **os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": absolute}


def leave_current_folder_out() -> None:
    """Take the current folder off the path of this process and of every process that it starts."""
    entries = set(filter(None, [os.environ.get("PYTHONPATH")]))
    entries = {one for entry in entries for one in entry.split(os.pathsep)}
    with suppress(FileNotFoundError):  # the folder was deleted: nothing can be read from it
        here = os.getcwd()
        if not sys.flags.safe_path and sys.path[0] in {"", here}:  # `python -m`
            del sys.path[0]
        absolute = {os.path.normpath(one) for one in entries if os.path.isabs(one)}
        unsafe = {os.path.normpath(os.path.join(here, one)) for one in entries} - absolute
        sys.path[:] = [one for one in sys.path if one and os.path.normpath(one) not in unsafe]
    os.environ |= safe_environment()
