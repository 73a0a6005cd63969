"""`tags-assets select`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.table import Table

from tags_assets.commands.console import err, out, terminal_watcher
from tags_assets.commands.outputs import check_outputs, write_outputs
from tags_assets.errors import UserError
from tags_assets.graph.runner import run_reading, run_target, with_rebuild
from tags_assets.llm.settings import ModelSettings
from tags_assets.settings.limits import Limits
from tags_assets.settings.pool import landed_files, not_read
from tags_assets.settings.run_record import RunSettings
from tags_assets.settings.target_registry import TargetRegistry
from tags_assets.settings.validation import pairs, validated, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tags_assets.graph.runner import AssetRun
    from tags_assets.settings.home import Home, PoolSettings
    from tags_assets.settings.target_registry import NamedTarget


@dataclass(frozen=True)
class Choices:
    """What the command line chose; None and empty leave things as they were chosen before."""

    pool: tuple[str, ...]
    pool_name: str
    target: str | None
    budget: str | None
    tagger: Literal["keyphrase", "llm"] | None
    judge: Literal["none", "llm"] | None
    namer: Literal["own-tags", "llm"] | None
    model: str | None
    base_url: str | None
    llm: tuple[str, ...]
    embedder: Literal["minilm", "api"] | None
    tag_share: str | None
    retry_failed: bool
    columns: tuple[str, ...]
    filters: tuple[str, ...]
    decontaminate: tuple[str, ...]
    pii: Literal["off", "mark", "filter"] | None
    limits: tuple[str, ...]


def run_select(home: Home, choices: Choices, folder: Path | None) -> None:
    """Remember the choices, run the graph for the target, write the results."""
    settings, target = _resolved(home, choices)
    where = folder or Path("out") / target.name
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


def run_dry(home: Home, choices: Choices) -> None:
    """Read the pool and say what the language model would be asked, and for how much; ask nothing."""
    from tags_assets.graph.cost_estimate import estimate_jobs, total_cost  # noqa: PLC0415 - other runs need none of it

    settings, target = _resolved(home, choices)
    with terminal_watcher() as watcher:
        run = run_reading(home, watcher, settings.model_copy(update={"dry_run": True}))
    jobs, cap = estimate_jobs(run, target.name), run.pool.llm.spending_cap
    for job in jobs:
        out.print(str(job), markup=False)
    if not jobs:
        out.print("no language model would be asked: tagging, judging and naming need none", markup=False)
        return
    total = total_cost(jobs)
    if total is not None:
        out.print(f"in all: {total}" + ("" if cap is None else f" (spending cap {cap:g})"), markup=False)
    out.print("nothing was asked and nothing was paid", markup=False)


def _resolved(home: Home, choices: Choices) -> tuple[RunSettings, NamedTarget]:
    """Resolve the settings of a run once; what is wrong with them is said before any is remembered."""
    pool = _settings(home.pool(choices.pool_name), choices)
    landed_files(home, pool)
    target = TargetRegistry(home).find(choices.target, choices.budget)
    settings = RunSettings(
        pool_name=choices.pool_name,
        pool=pool,
        targets={target.name: target.spec},
        retry_failed=choices.retry_failed,
    )
    return settings, target


def _settings(before: PoolSettings, choices: Choices) -> PoolSettings:
    chosen: dict[str, Any] = {
        "paths": [_absolute(path) for path in choices.pool],
        "columns": pairs(choices.columns, "--column", "tags=my_tags"),
        "filters": pairs(choices.filters, "--filter", "long=response_tokens > 4096"),
        "decontaminate": [_absolute(path) for path in choices.decontaminate],
        "pii": choices.pii,
        "limits": _limits(before, choices),
        "tagger": choices.tagger,
        "judge": choices.judge,
        "namer": choices.namer,
        "embedder": choices.embedder,
        "tag_share": choices.tag_share and _share(choices.tag_share),
        "llm": _language_model(before, choices),
    }
    if choices.retry_failed:
        chosen["retries"] = before.retries + 1
    settings = before.model_copy(update={name: value for name, value in chosen.items() if value})
    needs = [what for what in ("tagger", "judge", "namer") if getattr(settings, what) == "llm"]
    if needs and not settings.llm.model:
        raise UserError(
            f"--{needs[0]} llm needs a model", fix="Name one with --model, as its server calls it."
        )
    if settings.embedder == "api" and not settings.llm.embedding_model:
        raise UserError(
            "--embedder api needs a model for embeddings", fix="Name one: --llm embedding_model=NAME."
        )
    if settings.tag_share < 1 and settings.tagger != "llm":
        raise UserError(
            "only what a language model gives is carried over", where="--tag-share", fix="Say --tagger llm."
        )
    return settings


def _share(text: str) -> float:
    """Read ``10%`` or ``0.1``."""
    digits, percent, rest = text.strip().partition("%")
    try:
        share = float(digits) / (100 if percent else 1)
    except ValueError:
        share = 0.0
    if rest or not 0 < share <= 1:
        raise UserError(f"{text!r} is no share of the rows", where="--tag-share", fix="Write 10% or 0.1.")
    return share


def _limits(before: PoolSettings, choices: Choices) -> Limits:
    """Lay the limits of the command line over those of the pool."""
    values: dict[str, Any] = {}
    for name, text in pairs(choices.limits, "--limit", "rejected=5%").items():
        if name == "blocking":
            values[name] = [part.strip() for part in text.split(",")]
        else:
            values[name] = _percent(text) if text.endswith("%") else text
    from tags_assets.assets.checks import check_limits  # noqa: PLC0415 - loads Dagster

    limits = validated(
        Limits,
        before.limits.model_dump(exclude_unset=True) | values,
        kind="limit",
        where=lambda field: f"--limit {field}",
    )
    return check_limits(limits)


def _percent(text: str) -> float | str:
    try:
        return float(text.removesuffix("%")) / 100
    except ValueError:
        return text


def _language_model(before: PoolSettings, choices: Choices) -> ModelSettings:
    """Lay what the command line says of the language model over the pool's settings."""
    said = pairs(choices.llm, "--llm", "concurrency=32")
    values = {name: value_of(value, f"--llm {name}") for name, value in said.items()}
    named = {"model": choices.model, "base_url": choices.base_url}
    values |= {name: value for name, value in named.items() if value}
    return validated(
        ModelSettings,
        before.llm.model_dump(exclude_unset=True) | values,
        kind="setting of the language model",
        where=lambda field: f"--llm {field}",
    )


def _absolute(path: str) -> str:
    file, separator, query = path.partition("::")
    return str(Path(file).expanduser().absolute()) + separator + query


def _show(manifest: Mapping[str, Any], runs: Sequence[AssetRun], folder: Path) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, justify in (("asset", "left"), ("", "left"), ("seconds", "right"), ("peak MB", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for run in runs:
        table.add_row(run.asset, run.status, f"{run.seconds:.1f}", f"{run.peak_mb:,.0f}")
    err.print(table)
    for message in manifest["messages"]:
        err.print(f"note: {message}", markup=False, soft_wrap=True)
    out.print(
        "{rows_in:,} rows in = {rows_kept:,} kept + {rows_rejected:,} rejected + "
        "{rows_duplicate:,} duplicates".format(**manifest),
        markup=False,
    )
    random = manifest["kl_random"]
    against = "" if random is None else f"as many random rows: {random:.3f}; "
    out.print(
        "{rows_selected:,} rows selected; KL to the target {kl:.3f} ({against}none of this size is below "
        "{kl_floor:.3f}), certificate {certificate:.4f}".format(**manifest, against=against),
        markup=False,
    )
    out.print(f"subset  {folder / 'subset.jsonl'}", markup=False)
    out.print(f"report  {folder / 'report.html'}", markup=False)
