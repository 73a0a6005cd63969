"""`tags-assets select`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tags_assets.commands.console import err, out, terminal_watcher
from tags_assets.commands.select_options import SelectOptions
from tags_assets.errors import InvalidInputError, printable
from tags_assets.formats.traits import held
from tags_assets.settings.home import Home
from tags_assets.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tags_assets.graph.runner import AssetRun
    from tags_assets.settings.run_record import RunSettings
    from tags_assets.settings.target_registry import NamedTarget

_FIELDS_NAMED = 5
"""Fields that are not used and that a run names; the page of `raw_instances` names more."""

STOPPED = "tags-assets: stopped; finished steps are kept, and the same command continues from there\n"


def select(options: SelectOptions) -> None:
    """Select a subset of POOL.

    Writes `subset.jsonl` (the rows, unchanged), `selection.parquet`, `report.html` and `manifest.json` to
    `--out`. Results of earlier runs are reused: a second target takes seconds.

    Examples
    --------
    - `tags-assets select data/ --budget 5% --out out/`

    - `tags-assets select data/*.jsonl.gz --target targets/maths.yaml --out out/maths`

    - `tags-assets select data/ --target examples.jsonl --budget 2Mtok --tagger llm --model gpt-4o-mini`
    """
    if options.what_if:
        _what_if(options)
        return
    home = Home.resolve(options.home).prepare()
    try:
        if options.dry_run:
            run_dry(home, options)
        else:
            run_select(home, options)
    except KeyboardInterrupt:  # before typer sees it, which ends without a word
        sys.stderr.write(STOPPED)
        raise typer.Exit(130) from None


def _what_if(options: SelectOptions) -> None:
    """Run `tags-assets what-if`, which this option was before it became a command."""
    from tags_assets.commands.what_if import what_if

    meant = {"what_if", "pool", "target", "budget", "home", "pool_name"}
    for name, field in SelectOptions.model_fields.items():
        if name not in meant and getattr(options, name) != field.default:
            raise InvalidInputError(
                f"--{name.replace('_', '-')} does not go with --what-if",
                fix="See: tags-assets what-if --help",
            )
    err.print("note: `select --what-if` is now the command `tags-assets what-if`", markup=False)
    budget = [] if options.budget is None else [f"budget={options.budget}"]
    what_if([*options.pool, *budget], options.target, options.home)


def run_select(home: Home, options: SelectOptions) -> None:
    """Store the settings, run the graph for the target, and write the results."""
    from tags_assets.commands.outputs import check_outputs, write_outputs
    from tags_assets.graph.runner import run_target, with_rebuild
    from tags_assets.settings.pool import not_read
    from tags_assets.settings.target_registry import TargetRegistry

    settings, target = _resolved(home, options)
    where = options.out or Path("out") / target.name
    check_outputs(where)
    home.save_pool(settings.pool_name, settings.pool)
    TargetRegistry(home).remember(target)

    def make() -> tuple[list[AssetRun], dict[str, Any]]:
        with terminal_watcher() as watcher:
            runs = run_target(home, target.name, watcher, settings)
        return runs, write_outputs(home, target.name, runs, where)

    runs, manifest = with_rebuild(make, lambda line: err.print(f"note: {line}", markup=False, soft_wrap=True))
    _show(manifest, runs, where)
    for line in not_read(home, settings.pool):
        err.print(f"note: {line}", markup=False, soft_wrap=True)


def run_dry(home: Home, options: SelectOptions) -> None:
    """Read the pool and estimate the questions to the language model and their cost; send none."""
    from tags_assets.graph.cost_estimate import estimate_jobs, total_cost
    from tags_assets.graph.runner import run_reading

    settings, target = _resolved(home, options)
    with terminal_watcher() as watcher:
        run = run_reading(home, watcher, settings.model_copy(update={"dry_run": True}))
    jobs, cap = estimate_jobs(run, target.name), run.pool.llm.spending_cap
    for job in jobs:
        out.print(str(job), markup=False)
    if not jobs:
        out.print("No language model is needed: tagger, judge and namer run without one.", markup=False)
        return
    total = total_cost(jobs)
    if total is not None:
        out.print(f"total: {total}" + ("" if cap is None else f" (spending cap {cap:g})"), markup=False)
    out.print("Dry run: no question was sent.", markup=False)


def _resolved(home: Home, options: SelectOptions) -> tuple[RunSettings, NamedTarget]:
    """Resolve the settings of a run once; errors in them are raised before any is stored."""
    from tags_assets.commands.pool_settings import changed_pool
    from tags_assets.settings.pool import landed_files
    from tags_assets.settings.run_record import RunSettings
    from tags_assets.settings.target_registry import TargetRegistry

    pool = changed_pool(home.pool(options.pool_name), options)
    landed_files(home, pool)
    target = TargetRegistry(home).find(options.target, options.budget)
    settings = RunSettings(
        pool_name=options.pool_name,
        pool=pool,
        targets={target.name: target.spec},
        retry_failed=options.retry_failed,
    )
    return settings, target


def _show(manifest: Mapping[str, Any], runs: Sequence[AssetRun], folder: Path) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (("asset", "left"), ("", "left"), ("seconds", "right"), ("peak MB", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for run in runs:
        table.add_row(run.asset, run.status, f"{run.seconds:.1f}", f"{run.peak_mb:,.0f}")
    err.print(table)
    for message in manifest["messages"]:
        err.print(f"note: {message}", markup=False, soft_wrap=True)
    for field, rows in list(manifest["fields_not_used"].items())[:_FIELDS_NAMED]:
        has = "has" if rows == 1 else "have"
        note = f"{counted(rows, 'row')} {has} a field {printable(field)!r} that is not used"
        err.print(f"note: {note}", markup=False, soft_wrap=True)
    m = manifest
    out.print(
        f"{counted(m['rows_in'], 'row')} read: {m['rows_kept']:,} kept, {m['rows_rejected']:,} rejected, "
        f"{counted(m['rows_duplicate'], 'duplicate')}",
        markup=False,
    )
    if hold := held(m["rows_hold"]):
        out.print(f"of these: {hold}", markup=False, soft_wrap=True)
    random = "" if m["kl_random"] is None else f"; {m['kl_random']:.3f} for a random selection of this size"
    out.print(
        f"{counted(m['rows_selected'], 'row')} selected: KL to the target {m['kl']:.3f} "
        f"(lower bound {m['kl_floor']:.3f}{random}), certificate {m['certificate']:.4f}",
        markup=False,
    )
    out.print(f"subset  {folder / 'subset.jsonl'}", markup=False)
    out.print(f"report  {folder / 'report.html'}", markup=False)
