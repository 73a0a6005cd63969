"""The commands about versions: ``versions``, ``report``, ``reproduce``, ``prune``, ``repair``."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.table import Table

from tags_assets.commands.console import out, print_table
from tags_assets.commands.look import selection_of
from tags_assets.errors import UserError
from tags_assets.explain.lineage import Lineage
from tags_assets.explain.reproduction import Manifest, reproduce
from tags_assets.formats.export.mark import refuse_to_overwrite
from tags_assets.graph.leftovers import Rubbish, damaged_caches, rubbish, sweep
from tags_assets.store.durable import write_whole
from tags_assets.store.health import home_health
from tags_assets.store.mark import require_home
from tags_assets.store.opening import open_store
from tags_assets.store.retention import prune_versions
from tags_assets.store.warehouse import Warehouse
from tags_assets.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl

    from tags_assets.settings.home import Home
    from tags_assets.store.artifacts import ArtifactStore
    from tags_assets.store.versions import ArtifactVersion


def run_versions(home: Home, target: str | None) -> None:
    """List the selections that can be read, and whether all that they were made from is there."""
    store = open_store(home.path)
    names = [target] if target else [str(name) for name in store.layout.partitions("selected_subset")]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("target", "version", "made", "rows", "KL", "inputs", "report"):
        table.add_column(column, justify="right" if column in {"rows", "KL"} else "left")
    count = 0
    for name in names:
        current = store.current("selected_subset", name)
        reports = {
            version.upstream.get("selected_subset") for version in store.versions("selection_report", name)
        }
        for version in reversed(store.versions("selected_subset", name)):
            count += 1
            figures: Any = version.metadata.get("figures", {})
            is_current = current is not None and current.data_version == version.data_version
            table.add_row(
                name,
                version.data_version[:12] + ("*" if is_current else ""),
                f"{version.created_at:%Y-%m-%d %H:%M}",
                f"{version.rows:,}",
                f"{figures['kl']:.3f}" if "kl" in figures else "",
                _completeness(store, name, version),
                "yes" if version.data_version in reports else "no",
            )
    if not count:
        raise UserError("nothing has been selected yet", fix="Run: tags-assets select POOL...")
    print_table(table)
    out.print("* current", markup=False)


def _completeness(store: ArtifactStore, target: str, version: ArtifactVersion) -> str:
    try:
        Lineage.of(store, target, version.data_version)
    except UserError:
        return "gone in part"
    return "all there"


def run_report(home: Home, target: str | None, version: str | None, file: Path | None) -> None:
    """Write the report of a selection, as it was made with it."""
    store = open_store(home.path)
    selection = selection_of(store, target, version).selection
    for report in reversed(store.versions("selection_report", selection.partition)):
        if report.upstream.get("selected_subset") == selection.data_version:
            break
    else:
        raise UserError(
            "its report is not in this home any more", where=str(selection), fix="Select again to make one."
        )
    html = store.read_version(report, columns=["html"])["html"][0]
    if file is not None and not _is_report(file):
        refuse_to_overwrite([file], "--out")
    path = file or home.path / "reports" / f"{selection.partition}-{selection.data_version[:12]}.html"
    write_whole(path, html)
    out.print(f"report  {path}", markup=False)


def _is_report(file: Path) -> bool:
    """Whether a file is a report that this package wrote."""
    try:
        with file.open("rb") as opened:
            return b'name="generator" content="tags-assets"' in opened.read(4_096)
    except OSError:
        return False


def run_reproduce(home: Home, manifest_file: Path) -> None:
    """Make a selection again from its manifest and compare; a difference is exit code 1."""
    warnings.simplefilter("ignore")  # Dagster's, about options of its own that it calls beta
    from tags_assets.assets.selected_subset import selected_subset  # noqa: PLC0415
    from tags_assets.selection.inputs import SelectionInputs  # noqa: PLC0415
    from tags_assets.selection.tables import select_target  # noqa: PLC0415
    from tags_assets.settings.target_file import TargetSpec  # noqa: PLC0415
    from tags_assets.store.upstream import GROWN_FROM, Inputs  # noqa: PLC0415

    store = open_store(home.path)
    manifest = Manifest.read(manifest_file)
    key = selected_subset.key

    def select(
        inputs: Mapping[str, ArtifactVersion], target: str, request: Mapping[str, Any]
    ) -> Mapping[str, pl.DataFrame]:
        # What the target asks of each leaf is an input; the wish behind it is not read again.
        asked = {field: value for field, value in request.items() if field != GROWN_FROM}
        spec = TargetSpec.model_validate({"name": target, "target": "pool", **asked})
        base = None
        if GROWN_FROM in request:
            base = store.require("selected_subset", request[GROWN_FROM], target)
        read = Inputs(store, inputs, lambda *_: None, base=base)
        return select_target(SelectionInputs.read(read, spec), target).tables

    done = reproduce(
        store,
        manifest,
        select,
        code_version=selected_subset.code_versions_by_key[key] or "",
        needed=sorted(dependency.to_user_string() for dependency in selected_subset.asset_deps[key]),
    )
    name = f"{manifest.target}@{manifest.data_version[:12]}"
    out.print(f"selection  {name}, made by tags-assets {manifest.tags_assets}", markup=False)
    out.print(f"made again {done.rows:,} rows from the same versions", markup=False)
    out.print(f"values     {_verdict(done.checksum, manifest.checksum)}", markup=False)
    out.print(f"subset     sha256 {_verdict(done.subset_sha256, manifest.subset_sha256)}", markup=False)
    stored = {None: "freed by retention; not compared", True: "equal", False: "DIFFERENT"}[done.stored]
    beside = {None: "not there; not compared", True: "equal", False: "DIFFERENT: edited since?"}[done.file]
    out.print(f"in store   {stored}", markup=False)
    out.print(f"on disk    {manifest.path.with_name('subset.jsonl')}: {beside}", markup=False)
    if not done.is_exact:
        raise UserError(
            "the selection made now is another",
            where=str(manifest.path),
            fix="Compare the versions of numpy, scipy and numba with those that made it.",
        )
    out.print("reproduced exactly", markup=False)


def _verdict(now: str, then: str) -> str:
    return f"{now[:16]} equal, row for row" if now == then else f"{now[:16]} DIFFERENT from {then[:16]}"


def run_prune(home: Home, keep_last: int, *, dry_run: bool, grace_minutes: float, unused_days: float) -> None:
    """Free what neither the last versions nor what they were made from need."""
    store = open_store(home.path)
    pruning = prune_versions(store, keep_last, dry_run=dry_run, grace=timedelta(minutes=grace_minutes))
    going = {version.data_version for version in pruning.removed if version.asset == "selected_subset"}
    waste = rubbish(home, store, unused_days=unused_days, going=going)
    if not dry_run:
        sweep(waste)
    verb = "would go" if dry_run else "went"
    by_asset: dict[str, list[ArtifactVersion]] = {}
    for version in pruning.removed:
        by_asset.setdefault(version.asset, []).append(version)
    for asset, versions in sorted(by_asset.items()):
        size = sum(version.file_bytes for version in versions) / 1e6
        out.print(f"{asset}: {len(versions)} versions, {size:,.1f} MB", markup=False)
    for version in pruning.in_use:
        out.print(f"{version}: in use by another process; stays until the next time", markup=False)
    _show_waste(waste)
    total = pruning.freed_bytes + sum(one.file_bytes for one in waste)
    out.print(
        f"{len(pruning.removed)} versions and {len(waste)} other things {verb}, {total / 1e6:,.1f} MB; "
        f"{len(pruning.kept)} versions stay",
        markup=False,
    )


def _show_waste(waste: list[Rubbish]) -> None:
    for one in waste:
        out.print(f"{one.path}: {one.why}, {one.file_bytes / 1e6:,.1f} MB", markup=False, soft_wrap=True)


def run_repair(home: Home, *, deep: bool, dry_run: bool = False) -> None:
    """Build the warehouse anew from the artifacts alone, and tidy up after processes that were killed."""
    require_home(home.path)
    warnings.simplefilter("ignore")
    from tags_assets.assets.catalogue import TABLES  # noqa: PLC0415
    from tags_assets.graph.definitions import defs  # noqa: PLC0415

    defs()  # the assets declare their tables where they stand
    store = open_store(home.path)
    found = home_health(store, deep=deep, touches=not dry_run)
    for line in found.damaged:
        out.print(line, markup=False)
    caches = list(damaged_caches(home)) if deep else []
    for damaged in caches:
        out.print(str(damaged), markup=False, soft_wrap=True)
    waste = rubbish(home, store)
    if dry_run:
        _show_waste(waste)
        entries = sum(damaged.entries for damaged in caches)
        out.print(
            f"{counted(len(found.damaged), 'artifact')} would go to quarantine; "
            f"{counted(len(waste), 'leftover')} and {counted(entries, 'damaged cache entry')} would go; "
            "the warehouse would be built anew",
            markup=False,
            soft_wrap=True,
        )
        return
    for damaged in caches:
        damaged.remove()
    published = Warehouse(store).rebuild(TABLES)
    freed = sweep(waste)
    versions = sum(size.versions for size in found.assets.values())
    checked = "checked byte for byte" if deep else "found"
    out.print(f"{versions} versions {checked}, {len(found.damaged)} damaged (in quarantine)", markup=False)
    out.print(f"{published.path}: {published.views} views, built from the artifacts", markup=False)
    for name, reason in published.skipped.items():
        out.print(f"sql/lineage/{name}.sql: not shown: {reason}", markup=False)
    out.print(f"{freed / 1e6:,.1f} MB of leftovers removed", markup=False)
