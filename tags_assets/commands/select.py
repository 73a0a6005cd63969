"""`tags-assets select`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import ValidationError
from rich.table import Table

from tags_assets.assets.language_model import RETRY_VARIABLE, configured, with_settings
from tags_assets.commands.console import err, out, terminal_watcher
from tags_assets.errors import UserError
from tags_assets.limits import Limits
from tags_assets.llm.settings import KEY_VARIABLE
from tags_assets.outputs import check_outputs, write_outputs
from tags_assets.resources.llm import LLMResource
from tags_assets.runner import run_reading, run_target
from tags_assets.store.opening import open_store
from tags_assets.target_registry import TargetRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tags_assets.home import Home, PoolSettings
    from tags_assets.runner import AssetRun


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
    home.save_pool(choices.pool_name, _settings(home.pool(choices.pool_name), choices))
    target = TargetRegistry(home).name(choices.target, choices.budget)
    if choices.retry_failed:
        os.environ[RETRY_VARIABLE] = "1"
    where = folder or Path("out") / target
    check_outputs(where)
    with terminal_watcher() as watcher:
        runs = run_target(home, target, watcher)
    manifest = write_outputs(home, target, runs, where)
    _show(manifest, runs, where)


def run_dry(home: Home, choices: Choices) -> None:
    """Read the pool and say what the language model would be asked, and for how much; ask nothing."""
    from tags_assets.dry_run import estimate_jobs, total_cost  # noqa: PLC0415 - other runs need none of it

    if choices.retry_failed:
        os.environ[RETRY_VARIABLE] = "1"
    settings = _settings(home.pool(choices.pool_name), choices)
    target = TargetRegistry(home).name(choices.target, choices.budget)
    with home.trial_pool(settings):
        with terminal_watcher() as watcher:
            run_reading(home, watcher)
        llm = LLMResource()
        jobs = estimate_jobs(open_store(home.path), home, llm, target)
        cap = configured(llm, home).spending_cap
    for job in jobs:
        out.print(str(job), markup=False)
    if not jobs:
        out.print("no language model would be asked: tagging, judging and naming need none", markup=False)
        return
    total = total_cost(jobs)
    if total is not None:
        out.print(f"in all: {total}" + ("" if cap is None else f" (spending cap {cap:g})"), markup=False)
    out.print("nothing was asked and nothing was paid", markup=False)


def _settings(before: PoolSettings, choices: Choices) -> PoolSettings:
    chosen: dict[str, Any] = {
        "paths": [_absolute(path) for path in choices.pool],
        "columns": _pairs(choices.columns, "--column", "tags=my_tags"),
        "filters": _pairs(choices.filters, "--filter", "long=response_tokens > 4096"),
        "decontaminate": [_absolute(path) for path in choices.decontaminate],
        "pii": choices.pii,
        "limits": _limits(before, choices),
        "tagger": choices.tagger,
        "judge": choices.judge,
        "namer": choices.namer,
        "embedder": choices.embedder,
        "tag_share": choices.tag_share and _share(choices.tag_share),
        "llm": before.llm | _language_model(choices),
    }
    if choices.retry_failed:
        chosen["retries"] = before.retries + 1
    settings = before.model_copy(update={name: value for name, value in chosen.items() if value})
    needs = [what for what in ("tagger", "judge", "namer") if getattr(settings, what) == "llm"]
    if needs and not settings.llm.get("model"):
        raise UserError(
            f"--{needs[0]} llm needs a model", mend="Name one with --model, as its server calls it."
        )
    if settings.embedder == "api" and not settings.llm.get("embedding_model"):
        raise UserError(
            "--embedder api needs a model for embeddings", mend="Name one: --llm embedding_model=NAME."
        )
    if settings.tag_share < 1 and settings.tagger != "llm":
        raise UserError(
            "only what a language model gives is carried over", where="--tag-share", mend="Say --tagger llm."
        )
    with_settings(LLMResource(), settings.llm)  # what is wrong must not be remembered
    return settings


def _share(text: str) -> float:
    """Read ``10%`` or ``0.1``."""
    digits, percent, rest = text.strip().partition("%")
    try:
        share = float(digits) / (100 if percent else 1)
    except ValueError:
        share = 0.0
    if rest or not 0 < share <= 1:
        raise UserError(f"{text!r} is no share of the rows", where="--tag-share", mend="Write 10% or 0.1.")
    return share


def _limits(before: PoolSettings, choices: Choices) -> Limits:
    """Lay the limits of the command line over those of the pool."""
    said = _pairs(choices.limits, "--limit", "rejected=5%")
    values: dict[str, Any] = {}
    for name, text in said.items():
        if name == "blocking":
            values[name] = [part.strip() for part in text.split(",")]
        elif text.endswith("%"):
            values[name] = float(text[:-1]) / 100 if text[:-1].replace(".", "", 1).isdigit() else text
        else:
            values[name] = yaml.safe_load(text)
    from tags_assets.checks import check_limits  # noqa: PLC0415 - loads Dagster

    try:
        return check_limits(Limits.model_validate(before.limits.model_dump() | values))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise UserError.unknown("limit", name, Limits.model_fields, where="--limit") from None
        raise UserError(first["msg"], where=f"--limit {name}={said.get(name)}") from None


def _language_model(choices: Choices) -> dict[str, Any]:
    said = _pairs(choices.llm, "--llm", "concurrency=32")
    settings: dict[str, Any] = {name: yaml.safe_load(value) for name, value in said.items()}
    named = {"model": choices.model, "base_url": choices.base_url}
    if choices.base_url and "@" in choices.base_url.partition("://")[2].partition("/")[0]:
        raise UserError(
            "an address with a password in it would be remembered",
            where="--base-url",
            mend=f"Give the address without it, and what the server wants as a key in {KEY_VARIABLE}.",
        )
    return settings | {name: value for name, value in named.items() if value}


def _absolute(path: str) -> str:
    file, separator, query = path.partition("::")
    return str(Path(file).expanduser().absolute()) + separator + query


def _pairs(texts: Sequence[str], option: str, example: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name.strip() or not value.strip():
            raise UserError(f"{text!r} is not name=value", where=option, mend=f"Write it as {example!r}.")
        pairs[name.strip()] = value.strip()
    return pairs


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
