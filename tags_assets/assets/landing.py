"""`landing`: the files that the user drops or names; nothing here makes them."""

from __future__ import annotations

import dagster as dg

from tags_assets.assets.catalogue import declare

landing = dg.AssetSpec(key="landing", **declare("landing"))
"""One row per file in the landing folder or named pool. A sensor and the command line report its version."""
