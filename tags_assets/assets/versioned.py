"""What every asset does around its own work: find its version or make it, publish it, and tell Dagster."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from tags_assets.assets.checks import Judged
from tags_assets.assets.dagster_internals import DATA_VERSION_TAG
from tags_assets.assets.figures import figures_shown
from tags_assets.assets.measure import measured
from tags_assets.assets.previews import as_metadata
from tags_assets.assets.registry import check_limits, declarations, tables, target_assets
from tags_assets.errors import UserError
from tags_assets.progress import Throttled, narrator, reporter
from tags_assets.store.fingerprint import canonical, fingerprint
from tags_assets.store.shelf import DAMAGED, DamagedArtifactError
from tags_assets.store.upstream import GROWN_FROM, Inputs, figures_of
from tags_assets.store.versions import VersionRecord
from tags_assets.store.warehouse import Warehouse
from tags_assets.text import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tags_assets.assets.declaration import Declaration
    from tags_assets.assets.measure import Measured
    from tags_assets.assets.previews import Preview
    from tags_assets.progress import Standing
    from tags_assets.resources.run import Run
    from tags_assets.settings.limits import Limits
    from tags_assets.store.artifact_file import Rows
    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion

__all__ = ["Artifact", "Inputs", "Materialized", "figures_of", "materialize"]

ROWS = "raw_instances"
"""The asset that reads the pool."""

Materialized: TypeAlias = dg.MaterializeResult
"""What an asset returns; Dagster wants the class without its parameter where there are checks."""


@dataclass(frozen=True)
class Artifact:
    """What an asset makes.

    Attributes
    ----------
    tables
        ``data`` (one row per the asset's grain) and further tables by name.
    figures
        Numbers and short texts about the artifact; stored with the version, shown and plotted in the UI.
    previews
        What answers the first question that one has on the asset's page, in the order in which it is shown.
    """

    tables: Mapping[str, Rows]
    figures: Mapping[str, Any] = field(default_factory=dict)
    previews: Mapping[str, Preview] = field(default_factory=dict)


def materialize(
    context: dg.AssetExecutionContext,
    run: Run,
    compute: Callable[[Inputs, str], Artifact],
    *,
    config: Callable[[str], Mapping[str, Any]] | None = None,
    grows: Callable[[Inputs, str], bool] | None = None,
) -> Materialized:
    """Return the version that the asset's inputs and configuration ask for, made now or before.

    Parameters
    ----------
    context
        Of the asset; its dependencies are what `compute` may read.
    run
        The run that the asset is made in: what it was asked for, and the versions that it works on.
    compute
        Makes the artifact from the inputs, for one partition (``""`` where the asset has none).
    config
        The resolved configuration of a partition; it is part of the version's fingerprint.
    grows
        For an asset that may lean on its own current version: whether it does so for these inputs, with that
        version as their `Inputs.base`. It is then part of the fingerprint (``grown_from``), because two homes
        with equal inputs and other pasts hold other data. What was made of the very inputs before is used
        again, whatever it grew from.

    Raises
    ------
    dagster.Failure
        With one line, for everything that the user can fix.
    """
    maker, store = _Maker(context, run, compute, config, grows), run.store
    if maker.declaration.of_target and not context.has_partition_key and not context.has_partition_key_range:
        raise dg.Failure(
            f"{maker.asset} is made for a target, and the run names none. Choose a target as its partition.",
            allow_retries=False,
        )
    try:
        limits = check_limits(run.pool.limits)
        maker.pin_world()
    except UserError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    judged: list[tuple[str | None, Judged]] = []
    partitions = list(context.partition_keys) if maker.declaration.of_target else [None]
    made: list[tuple[str | None, ArtifactVersion]] = []
    shown: dict[str | None, dict[str, Any]] = {}
    errors: dict[str | None, UserError] = {}
    for partition in partitions:
        try:
            with measured() as measure:
                version, status = maker.find_or_make(partition)
            judged.append((partition, maker.settle(version, maker.limits(limits, partition))))
        except UserError as error:
            errors[partition] = error
            continue
        made.append((partition, version))
        shown[partition] = _metadata(version, status, measure, store.home)
    if made and not run.settings.dry_run:
        Warehouse(store).publish(tables())
    if errors:
        # Each finished target is reported by itself, so that one failing target does not block the others.
        for partition, version in made:
            context.log_event(_materialization(version, shown[partition]))
        damaged = any(isinstance(error, DamagedArtifactError) for error in errors.values())
        raise dg.Failure(_lines(errors), metadata={DAMAGED: damaged}, allow_retries=False)
    if len(made) > 1:
        for partition, facts in shown.items():
            context.add_asset_metadata(metadata=facts, partition_key=partition)
    data_versions = {str(partition): version.data_version for partition, version in made}
    one = next(iter(data_versions.values()))
    return dg.MaterializeResult(
        data_version=dg.DataVersion(
            one if len(made) == 1 else fingerprint(maker.asset, None, "", {}, data_versions)
        ),
        metadata=shown[made[0][0]] if len(made) == 1 else {"partitions": len(made)},
        check_results=[check.result(maker.asset, judged) for check in maker.declaration.checks],
    )


@dataclass(frozen=True)
class _Maker:
    """One asset that is being materialized."""

    context: dg.AssetExecutionContext
    run: Run
    compute: Callable[[Inputs, str], Artifact]
    config: Callable[[str], Mapping[str, Any]] | None
    grows: Callable[[Inputs, str], bool] | None

    @property
    def store(self) -> ArtifactStore:
        return self.run.store

    @property
    def asset(self) -> str:
        return str(self.context.asset_key.to_user_string())

    @property
    def declaration(self) -> Declaration:
        return declarations()[self.asset]

    def find_or_make(self, partition: str | None) -> tuple[ArtifactVersion, str]:
        """Return the version of a partition, and whether it ``ran`` or was ``reused``."""
        config = dict(self.config(partition or "")) if self.config else {}
        upstream = self._upstream(partition)
        versions = {key: version.data_version for key, version in upstream.items()}
        code_version = self.context.assets_def.code_versions_by_key[self.context.asset_key] or ""
        made_of = VersionRecord(code_version=code_version, config=config, upstream=versions)
        found = self._made_before(made_of, partition) if self.grows is not None else None
        inputs = Inputs(
            self.store, upstream, self._progress(partition), code_version, status=self._status(partition)
        )
        if found is None and self.grows is not None:
            on_current = replace(inputs, base=self.store.current(self.asset, partition))
            if on_current.base is not None and self.grows(on_current, partition or ""):
                inputs = on_current
                config[GROWN_FROM] = on_current.base.data_version
        data_version = fingerprint(self.asset, partition, code_version, config, versions)
        found = found or self.store.find(self.asset, data_version, partition)
        if found is None:
            read = [*upstream.values(), *([inputs.base] if inputs.base is not None else [])]
            with (
                self.store.making(self.asset, data_version, waiting=self._say_waiting),
                self.store.using(read),
            ):
                # Another process may have made it while this one waited for its turn.
                found = self.store.find(self.asset, data_version, partition)
                if found is None:
                    made_of = replace(made_of, config=config)
                    return self._make(inputs, partition, data_version, made_of), "ran"
        return found, "reused"

    def limits(self, pool: Limits, partition: str | None) -> Limits:
        """Return the limits that hold for a partition: the pool's, and over them what its target says."""
        if partition is None:
            return pool
        return check_limits(self.run.record.target(partition).limits.over(pool))

    def settle(self, version: ArtifactVersion, limits: Limits) -> Judged:
        """Make a version the run's, and current unless a check that blocks fails or the run is a dry one."""
        judged = Judged(figures_of(version), self._figures_before(version), limits)
        for check in self.declaration.checks:
            passed, text = check.verdict(judged)
            if not passed and check.blocks(limits) and not self.run.settings.dry_run:
                self.store.withhold(version, f"check {check.name} failed: {text}")
                return judged
        self.run.record.pin(version)
        if not self.run.settings.dry_run:
            self.store.set_current(version)
        if self.asset == ROWS:
            self.run.record.claim_rows(version)
        return judged

    def _figures_before(self, version: ArtifactVersion) -> Mapping[str, Any] | None:
        """Figures of the version that is replaced; of the one before where this one is current already."""
        current = self.store.current(*version.key)
        if current is None or current.data_version == version.data_version:
            older = [v for v in self.store.versions(*version.key) if v.created_at < version.created_at]
            current = older[-1] if older else None
        return None if current is None else figures_of(current)

    def _say_waiting(self) -> None:
        self.context.log.info("Another process is making this very version; waiting for it.")

    def _make(
        self, inputs: Inputs, partition: str | None, data_version: str, made_of: VersionRecord
    ) -> ArtifactVersion:
        """Compute a version and write it."""
        with measured() as measure:
            artifact = self.compute(inputs, partition or "")
        record = replace(
            made_of,
            metadata={
                "figures": artifact.figures,
                "previews": list(artifact.previews.items()),  # in their order
                "seconds": round(measure.seconds, 3),
                "peak_mb": round(measure.peak_mb, 1),
            },
        )
        return self.store.write(
            self.asset, data_version, artifact.tables, partition=partition, record=record, make_current=False
        )

    def _made_before(self, made_of: VersionRecord, partition: str | None) -> ArtifactVersion | None:
        """Find the version that was made of these inputs, the current one or else the newest."""
        current = self.store.current(self.asset, partition)
        candidates = [current] if current is not None else []
        candidates += reversed(self.store.versions(self.asset, partition))
        wanted = _record_of_inputs(made_of)
        return next((one for one in candidates if _record_of_inputs(one.record) == wanted), None)

    def _upstream(self, partition: str | None) -> dict[str, ArtifactVersion]:
        """Find the versions to read: those of this run, else the current ones and what these were made from.

        While another run is active, the current versions may not belong together: a selection of the old
        rows and new scores, for which no attribution adds up.
        """
        dependencies = self.context.assets_def.asset_deps[self.context.asset_key]
        keys = {dependency.to_user_string() for dependency in dependencies} - {"landing"}
        of_target = {key: partition if declarations()[key].of_target else None for key in keys}
        known = {key: self.run.record.version(key, of_target[key]) for key in keys}
        current = {key: self.store.require(key, known[key], of_target[key]) for key in sorted(keys)}
        return self._of_one_world(current, of_target, known)

    def pin_world(self) -> None:
        """Fix what this run reads of the pool's assets that it does not make itself.

        Another run may move what is current while this one works. Where a selection made earlier is an input,
        that selection says which versions belong to it, so nothing is fixed here.

        Raises
        ------
        UserError
            If rows of another pool would reach the language model of this run's pool.
        """
        record, layer = self.run.record, self.context.job_def.asset_layer
        if record.has_versions:
            return
        made = {key.to_user_string() for key in layer.executable_asset_keys}
        read = {
            parent.to_user_string()
            for key in layer.executable_asset_keys
            for parent in layer.asset_graph.get(key).parent_keys
        } - made
        if not read & target_assets():
            found = {key: self.store.current(key) for key in sorted(read - {"landing"})}
            current = {key: version for key, version in found.items() if version is not None}
            nothing = dict.fromkeys(current)
            for version in self._of_one_world(current, nothing, nothing).values():
                record.pin(version)
        if ROWS not in made and self.run.pool.asks_a_server:
            self._refuse_rows_of_others()

    def _refuse_rows_of_others(self) -> None:
        """Refuse to send rows that another pool read to the language model of this one."""
        rows = self.store.current(ROWS)
        record = self.run.record
        for version in (None if rows is None else rows.data_version, record.version(ROWS, None)):
            if version is not None and not record.may_read_rows(version):
                raise UserError(
                    f"the current rows are not from the pool {self.run.settings.pool_name!r}, and its "
                    "language model must not see them",
                    fix="Materialize everything for this pool, or run: tags-assets select --pool NAME DATA",
                )

    def _of_one_world(
        self,
        current: Mapping[str, ArtifactVersion],
        of_target: Mapping[str, str | None],
        known: Mapping[str, str | None],
    ) -> dict[str, ArtifactVersion]:
        """Take the current versions, and of what one of them was made from, that version."""
        keys = current.keys()
        versions: dict[str, ArtifactVersion] = {}
        # What was made last comes first: it was made from most of the others.
        for key in sorted(keys, key=lambda key: (-len(keys & current[key].upstream.keys()), key)):
            version = versions.setdefault(key, current[key])
            for above in sorted(keys & version.upstream.keys() - versions.keys()):
                made_from, found = version.upstream[above], None
                if known[above] is None and made_from != current[above].data_version:
                    found = self.store.find(above, made_from, of_target[above])
                versions[above] = found or current[above]  # what was made of it may have outlived it
        return dict(sorted(versions.items()))

    def _progress(self, partition: str | None) -> Callable[[int, int], None]:
        def observe(done: int, total: int) -> None:
            self._observe(partition, {"done": done, "total": total})

        progress = reporter(self._task(partition), Throttled(observe))
        progress(0, 1)
        return progress

    def _status(self, partition: str | None) -> Callable[[Standing], None]:
        def observe(standing: Standing) -> None:
            self._observe(partition, standing.facts())

        return narrator(self._task(partition), Throttled(observe))

    def _task(self, partition: str | None) -> str:
        return self.asset if partition is None else f"{self.asset} [{partition}]"

    def _observe(self, partition: str | None, facts: Mapping[str, float | str]) -> None:
        self.context.log_event(dg.AssetObservation(self.asset, partition=partition, metadata=facts))


def _materialization(version: ArtifactVersion, shown: Mapping[str, Any]) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        version.asset,
        partition=version.partition,
        metadata=shown,
        tags={DATA_VERSION_TAG: version.data_version},
    )


def _lines(errors: Mapping[str | None, UserError]) -> str:
    """One line: the error, or of several those of three and the number of the others."""
    return listed([str(error) for error in errors.values()], 3, between="; ")


def _record_of_inputs(record: VersionRecord) -> str:
    config = {name: value for name, value in record.config.items() if name != GROWN_FROM}
    return canonical([record.code_version, config, record.upstream])


def _metadata(version: ArtifactVersion, status: str, measure: Measured, home: Path) -> dict[str, Any]:
    declaration = declarations()[version.asset]
    previews: Any = dict(version.metadata["previews"])  # type: ignore[call-overload]
    return {
        # The answer first, then the numbers, then what the run cost.
        **{name.replace("_", " "): as_metadata(preview, home) for name, preview in previews.items()},
        **figures_shown(declaration.plotted, figures_of(version)),
        "status": status,
        "seconds": round(measure.seconds, 3),
        "peak MB": round(measure.peak_mb, 1),
        "dagster/row_count": version.rows,
        "dagster/column_schema": dg.TableSchema(
            columns=[
                dg.TableColumn(name, kind, description=declaration.meaning(name))
                for name, kind in version.tables["data"].columns
            ]
        ),
    }
