"""The options of `tags-assets select`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict

from tags_assets.commands.generated import pool_option
from tags_assets.commands.options import HomeOption, TargetOption
from tags_assets.settings.home import DEFAULT_POOL, Attachments, Embedder, Judge, Namer, PersonalData, Tagger


class SelectOptions(BaseModel):
    """The options of `tags-assets select`, in the order of its help.

    Options that are settings of the pool take their help, choices and default from `PoolSettings`. None and
    empty leave a setting as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pool: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, globs or `file.duckdb::table`. They are read in place, not copied. "
            "[default: the pool that was named last]",
            show_default=False,
        ),
    ] = []
    target: TargetOption = None
    budget: Annotated[
        str | None,
        typer.Option(
            help="How much to select: `5%`, `5000` rows or `2Mtok`. [default: the target's, else 5%]"
        ),
    ] = None
    tagger: Annotated[Tagger | None, pool_option("tagger")] = None
    judge: Annotated[Judge | None, pool_option("judge")] = None
    namer: Annotated[Namer | None, pool_option("namer")] = None
    model: Annotated[
        str | None, typer.Option(help="Model of the LLM tagger, judge and namer, as its server calls it.")
    ] = None
    base_url: Annotated[
        str | None, typer.Option(help="OpenAI-compatible server. [default: $OPENAI_BASE_URL]")
    ] = None
    llm: Annotated[
        list[str],
        typer.Option(
            help="Any other setting of the language model: `concurrency=32`, `requests_per_minute=500`, "
            "`spending_cap=20`, `row_tokens=4000`."
        ),
    ] = []
    embedder: Annotated[Embedder | None, pool_option("embedder")] = None
    lexicon: Annotated[Path | None, pool_option("lexicon")] = None
    tag_share: Annotated[str | None, pool_option("tag_share", example="10%")] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Read the pool, show how many questions the LLM would get and what they cost, and stop.",
        ),
    ] = False
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask the LLM again about rows that failed.")
    ] = False
    columns: Annotated[list[str], pool_option("columns", "--column", example="tags=my_tags")] = []
    filters: Annotated[
        list[str], pool_option("filters", "--filter", example="long=response_tokens > 4096")
    ] = []
    allow_unreadable_files: Annotated[
        bool, pool_option("allow_unreadable_files", "--allow-unreadable-files")
    ] = False
    attachments: Annotated[Attachments | None, pool_option("attachments")] = None
    decontaminate: Annotated[list[str], pool_option("decontaminate", example="gsm8k_test.jsonl")] = []
    pii: Annotated[PersonalData | None, pool_option("pii")] = None
    limits: Annotated[
        list[str],
        typer.Option(
            "--limit",
            help="Threshold of a check: `rejected=5%`, `untagged=0.2`, `source_jump=10%`; or the checks that "
            "stop the run: `blocking=few_rejected,few_untagged`.",
        ),
    ] = []
    what_if: Annotated[bool, typer.Option("--what-if", hidden=True)] = False
    out: Annotated[
        Path | None, typer.Option(help="Folder for subset, report and manifest. [default: out/TARGET]")
    ] = None
    pool_name: Annotated[
        str, typer.Option("--pool", envvar="TAGS_POOL", help="Name of the pool in HOME.")
    ] = DEFAULT_POOL
    home: HomeOption = None
