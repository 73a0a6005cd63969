"""The embedder that the pool's settings name, for versions and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tags_assets.resources.embedder import LOCAL_EMBEDDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tags_assets.llm.embedder import APIEmbedder
    from tags_assets.resources.embedder import CachedEmbedder
    from tags_assets.resources.run import Run


def embedder_config(run: Run) -> str | Mapping[str, Any]:
    """Name the embedder and all that its vectors depend on, for versions."""
    if run.pool.embedder == "api":
        with run.language_model("embed") as model:
            return model.embedder().fingerprint_config()
    return LOCAL_EMBEDDER


def spent(embed: CachedEmbedder | APIEmbedder) -> Mapping[str, Any]:
    """Figures of what an API was asked for; none where vectors cost nothing."""
    return getattr(embed, "figures", {})
