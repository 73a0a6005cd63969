"""The artifact store as a Dagster resource, with connections from dagster-duckdb."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from dagster import ConfigurableResource
from dagster_duckdb import DuckDBResource
from pydantic import Field

from tags_assets.store.artifacts import ArtifactStore
from tags_assets.store.layout import resolve_home

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    import duckdb


class StoreResource(ConfigurableResource[ArtifactStore]):
    """Gives assets the artifact store of a home.

    Examples
    --------
    >>> from dagster import EnvVar, MaterializeResult, asset
    >>> @asset
    ... def tag_vocabulary(store: StoreResource) -> MaterializeResult:
    ...     artifacts = store.artifacts
    ...     version = artifacts.find("tag_vocabulary", "0a1b")
    ...     if version is None:
    ...         version = artifacts.write("tag_vocabulary", "0a1b", artifacts.read("atomic_tags"))
    ...     else:
    ...         artifacts.set_current(version)
    ...     return MaterializeResult(metadata={"dagster/row_count": version.rows})
    >>> resource = StoreResource(home=EnvVar("TAGS_HOME"))
    """

    home: str = Field(description="Folder of artifacts, caches and warehouse.duckdb.")
    memory_limit: str = Field(
        default="512MB",
        description="What one DuckDB instance may hold in memory before it spills to disk.",
    )

    @property
    def artifacts(self) -> ArtifactStore:
        """The store; one for each home in a process, so that idle connections are used again."""
        return _artifact_store(resolve_home(self.home), self.memory_limit)


@cache
def _artifact_store(home: Path, memory_limit: str) -> ArtifactStore:
    return ArtifactStore(home, connect=_connect, memory_limit=memory_limit)


def _connect() -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    # In memory: artifacts are attached to it, so no file is held open longer than it takes to read or write
    # it, and the resource's one way to connect (read-write, with retries while a file is locked) does no
    # harm.
    connection: AbstractContextManager[duckdb.DuckDBPyConnection] = DuckDBResource(
        database=":memory:"
    ).get_connection()
    return connection
