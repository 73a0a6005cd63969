"""`landing`: the files that the user drops or names; nothing here makes them."""

from __future__ import annotations

import dagster as dg

from tags_assets.assets.declaration import Declaration

DECLARATION = Declaration(
    "landing",
    group="knowledge",
    grain="One row per file in the landing folder or named pool.",
    shows_age=True,
)


landing = dg.AssetSpec(key="landing", **DECLARATION.options())
"""One row per file in the landing folder or named pool. A sensor and the command line report its version."""
