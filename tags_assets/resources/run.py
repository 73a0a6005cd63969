"""The run that a step belongs to, as a Dagster resource: its home, its settings, its versions."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import dagster as dg
from dagster_duckdb import DuckDBResource

from tags_assets.errors import UserError
from tags_assets.resources.embedder import CachedEmbedder, local_embedder
from tags_assets.resources.language_model import LanguageModel, open_language_model
from tags_assets.settings.run_record import RunRecord, RunSettings
from tags_assets.store.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import duckdb

    from tags_assets.llm.embedder import APIEmbedder
    from tags_assets.resources.language_model import Job
    from tags_assets.settings.home import Home, PoolSettings
    from tags_assets.store.artifacts import ArtifactStore

_CONFIG = {
    # Plain types: Dagster's own would read any environment variable that the caller names.
    "pool": dg.Field(
        str, is_required=False, description="Name of the pool. Default: the one that was used last."
    ),
    "retry_failed": dg.Field(
        bool, default_value=False, description="Ask the model again for rows that failed permanently."
    ),
}
"""All that a run can be told in Dagster. Whoever reaches the UI can start a run, so an address, a key, a
folder or SQL has no place here: those are in the pool's file."""


class Run:
    """A run, as its steps see it.

    Parameters
    ----------
    home
        Where everything is.
    run_id
        Of the run.
    pool
        Name of the pool, for a run that has no record yet; the active one if None.
    retry_failed
        For a run that has no record yet.
    parent
        The run that this one repeats.
    """

    def __init__(
        self,
        home: Home,
        run_id: str,
        *,
        pool: str | None = None,
        retry_failed: bool = False,
        parent: str | None = None,
    ) -> None:
        self.home, self._run_id, self._parent = home, run_id, parent
        self._pool, self._retry_failed = pool, retry_failed

    @cached_property
    def record(self) -> RunRecord:
        """The record of the run, made now where nobody has made it yet."""
        try:
            return RunRecord.open(self.home, self._run_id, self._settings, parent=self._parent)
        except UserError as error:
            raise dg.Failure(str(error), allow_retries=False) from None

    def _settings(self) -> RunSettings:
        return RunSettings.of_pool(self.home, self._pool, retry_failed=self._retry_failed)

    @property
    def store(self) -> ArtifactStore:
        """The store of artifacts; one for each home in a process, with connections from dagster-duckdb."""
        return open_store(self.home.path, _connect)

    @property
    def settings(self) -> RunSettings:
        return self.record.settings

    @property
    def pool(self) -> PoolSettings:
        """Settings of the run's pool."""
        return self.settings.pool

    @property
    def retry_failed(self) -> bool:
        return self.settings.retry_failed

    @contextmanager
    def language_model(self, job: Job) -> Iterator[LanguageModel]:
        """Open the pool's language model for a job: see `open_language_model`."""
        with open_language_model(
            self.pool.llm, self.home.cache, job, retry_failed=self.retry_failed
        ) as model:
            yield model

    @contextmanager
    def embedder(self, *, max_tokens: int) -> Iterator[CachedEmbedder | APIEmbedder]:
        """Open the pool's embedder; a text embedded before is looked up.

        The local model cuts a text after `max_tokens`; an API's model reads it whole.
        """
        if self.pool.embedder == "api":
            with self.language_model("embed") as model:
                yield model.embedder()
        else:
            yield local_embedder(self.home.cache, max_tokens=max_tokens)


def _connect() -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    # In memory: artifacts are attached to it, so no file is held open longer than it takes to read or write.
    connection: AbstractContextManager[duckdb.DuckDBPyConnection] = DuckDBResource(
        database=":memory:"
    ).get_connection()
    return connection


def run_resource(home: Home) -> dg.ResourceDefinition:
    """Give each step the run that it belongs to, in this home."""

    @dg.resource(config_schema=_CONFIG, description="Pool of the run, and whether to retry failed rows.")
    def run(context: dg.InitResourceContext) -> Run:
        of = context.run
        if of is None:
            raise TypeError("a run is needed")
        return Run(
            home,
            of.run_id,
            pool=context.resource_config.get("pool"),
            retry_failed=context.resource_config["retry_failed"],
            parent=of.parent_run_id,
        )

    return run


RunResource: TypeAlias = dg.ResourceParam[Run]
