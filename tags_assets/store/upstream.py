"""The versions upstream that a piece of work reads: an asset that is being made, or a person who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from tags_assets.method.tree.knowledge_tree import KnowledgeTree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

    from tags_assets.progress import Standing
    from tags_assets.store.artifact_file import Vectors
    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion


def _unheard(_standing: Standing) -> None:
    """Stand for a listener where nobody listens."""


GROWN_FROM = "grown_from"
"""In a version's configuration: the version of the same asset that it grew from; absent where from none."""


@dataclass(frozen=True)
class Inputs:
    """The versions that one materialization reads, fixed when it starts.

    Attributes
    ----------
    versions
        Upstream, by asset.
    code_version
        Of the asset that is made.
    base
        The version of the asset itself that the new one grows from, where it leans on one.
    status
        Hears how work stands that asks a language model, in place of `progress`.
    """

    store: ArtifactStore
    versions: Mapping[str, ArtifactVersion]
    progress: Callable[[int, int], None]
    code_version: str = ""
    base: ArtifactVersion | None = None
    status: Callable[[Standing], None] = _unheard

    @property
    def base_of_same_code(self) -> ArtifactVersion | None:
        """The base, if the same code made it: other code may have meant other things by its tables."""
        return self.base if self.base is not None and self.base.code_version == self.code_version else None

    def read(self, asset: str, table: str = "data", columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Read a table of an upstream asset, rows in the order in which they were written."""
        return self.store.read_version(self.versions[asset], table, columns=columns)

    def vectors(self, asset: str, id_column: str) -> Vectors:
        """Read the ids and the ``vector`` column of an upstream asset: float32 (n_rows, n_dims)."""
        version = self.versions[asset]
        return self.store.read_vectors(asset, id_column=id_column, data_version=version.data_version)

    def query(self, sql: str, assets: Sequence[str], **params: object) -> pl.DataFrame:
        """Run a file of ``sql/`` over upstream assets, each a table under its own name."""
        return self.store.query(sql, {asset: self.versions[asset] for asset in assets}, params or None)

    def figures(self, asset: str) -> Mapping[str, Any]:
        """Read the figures of an upstream asset."""
        return figures_of(self.versions[asset])


def figures_of(version: ArtifactVersion) -> Mapping[str, Any]:
    """Read the figures that were stored with a version."""
    figures: Any = version.metadata["figures"]
    return cast("Mapping[str, Any]", figures)


def read_tree(inputs: Inputs) -> KnowledgeTree:
    """Read the tree that an asset depends on."""
    return KnowledgeTree.from_frames(inputs.read("knowledge_tree"), inputs.read("knowledge_tree", "tags"))
