"""The embedder that the pool's settings name: MiniLM on this machine, or a model behind an API."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tags_assets.assets.language_model import language_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tags_assets.home import Home
    from tags_assets.llm.embedder import APIEmbedder
    from tags_assets.resources.embedder import CachedEmbedder, EmbedderResource
    from tags_assets.resources.llm import LLMResource


@contextmanager
def open_embedder(
    local: EmbedderResource, llm: LLMResource, home: Home, *, max_tokens: int
) -> Iterator[CachedEmbedder | APIEmbedder]:
    """Open the embedder of the active pool; a text embedded before is looked up.

    Parameters
    ----------
    local, llm
        As the graph is configured.
    home
        Whose pool and cache.
    max_tokens
        Tokens of a text that the local model reads; an API's model reads the texts whole, which are short.

    Raises
    ------
    UserError
        Where an API is asked for and its address, key or model is missing.
    """
    if home.pool().embedder == "api":
        with language_model(llm, home, "embed") as model:
            yield model.embedder()
    else:
        yield local.embedder(home.cache, max_tokens=max_tokens)


def embedder_config(local: EmbedderResource, llm: LLMResource, home: Home) -> str | Mapping[str, Any]:
    """Name the embedder and all that its vectors depend on, for versions."""
    if home.pool().embedder == "api":
        with language_model(llm, home, "embed") as model:
            return model.embedder().fingerprint_config()
    return local.name


def spent(embed: CachedEmbedder | APIEmbedder) -> Mapping[str, Any]:
    """Figures of what an API was asked for; none where vectors cost nothing."""
    return getattr(embed, "figures", {})
