"""The command line: the same assets as in the Dagster UI, for people without a browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from tags_assets import __version__
from tags_assets.commands.memory import check_memory
from tags_assets.errors import UserError, broken_start
from tags_assets.settings.home import DEFAULT_POOL, Home

app = typer.Typer(
    name="tags-assets",
    help="Pick the few per cent of your instruction data that teach most, and see why each row is in.",
    epilog="Start with: tags-assets select my_data/ --budget 5% --out out/",
    no_args_is_help=True,
    add_completion=False,
    suggest_commands=False,  # click suggests them too
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Folder of artifacts, caches and Dagster state. [default: $TAGS_HOME or .tags]"
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        help="A target's YAML file, the name of one in targets/, or a file of example rows. "
        "[default: the pool itself]",
    ),
]
VersionOption = Annotated[
    str | None,
    typer.Option(
        "--version",
        help="A selection of the past, by the beginning of its version (`tags-assets versions` lists them). "
        "[default: the current one]",
    ),
]
NamedTarget = Annotated[str, typer.Option("--target", "-t", help="Name of the target.")]

_STOPPED = "tags-assets: stopped; what was finished is kept, the same command goes on from there\n"


@app.command()
def select(  # noqa: PLR0917 - a command line has as many parameters as it has options
    pool: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, globs or `file.duckdb::table`. Read where they lie; nothing is copied. "
            "Left out: the pool as it was named last.",
            show_default=False,
        ),
    ] = None,
    target: TargetOption = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help="How much to select: `5%`, `5000` rows or `2Mtok`. [default: the target's, else 5%]"
        ),
    ] = None,
    tagger: Annotated[
        Literal["keyphrase", "llm"] | None,
        typer.Option(help="Who extracts the concepts: `keyphrase` needs no server. [default: keyphrase]"),
    ] = None,
    judge: Annotated[
        Literal["none", "llm"] | None, typer.Option(help="Who rates the answers. [default: none]")
    ] = None,
    namer: Annotated[
        Literal["own-tags", "llm"] | None,
        typer.Option(help="Who names and refines the tree's nodes. [default: own-tags]"),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model of the LLM tagger, judge and namer, as its server calls it.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(help="OpenAI-compatible server. [default: $OPENAI_BASE_URL]")
    ] = None,
    llm: Annotated[
        list[str] | None,
        typer.Option(
            help="Any other setting of the language model: `concurrency=32`, `requests_per_minute=500`, "
            "`spending_cap=20`, `row_tokens=4000`."
        ),
    ] = None,
    embedder: Annotated[
        Literal["minilm", "api"] | None,
        typer.Option(
            help="Who embeds rows and tags: `api` asks the server for `--llm embedding_model=NAME`. "
            "[default: minilm]"
        ),
    ] = None,
    tag_share: Annotated[
        str | None,
        typer.Option(
            help="Have the LLM tag a share of the rows, as `10%`, and carry its tags over to the others. "
            "[default: 100%]"
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Read the pool, say what the LLM would be asked and what it costs, and stop."
        ),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask the model again for rows that failed for good.")
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="Use a column of your own: `tags=my_tags`, `score=reward`, `id=uid`, `source=origin`."
        ),
    ] = None,
    filter_: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", help="Take rows out: `name=SQL condition`, as `long=response_tokens > 4096`."
        ),
    ] = None,
    decontaminate: Annotated[
        list[str] | None,
        typer.Option(help="Take rows out that repeat a benchmark: a file of it, as `gsm8k_test.jsonl`."),
    ] = None,
    pii: Annotated[
        Literal["off", "mark", "filter"] | None,
        typer.Option(help="Mark rows with personal data, or take them out. [default: off]"),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            help="Where a check draws the line: `rejected=5%`, `untagged=0.2`, `source_jump=10%`; which "
            "checks stop the run: `blocking=few_rejected,few_untagged`."
        ),
    ] = None,
    what_if: Annotated[
        bool,
        typer.Option(
            "--what-if",
            help="Store nothing; say what would change. POOL then holds knobs: `alignment=0.8 budget=3%`.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for subset, report and manifest. [default: out/TARGET]"),
    ] = None,
    pool_name: Annotated[
        str, typer.Option("--pool", envvar="TAGS_POOL", help="Name of the pool in HOME.")
    ] = DEFAULT_POOL,
    home: HomeOption = None,
) -> None:
    """Select a subset of POOL.

    Ends with `subset.jsonl` (the rows as they came), `selection.parquet`, `report.html` and `manifest.json`
    in `--out`. What was computed before is used again: a second target costs seconds.

    Examples
    --------
    - `tags-assets select data/ --budget 5% --out out/`

    - `tags-assets select data/*.jsonl.gz --target targets/maths.yaml --out out/maths`

    - `tags-assets select data/ --target examples.jsonl --budget 2Mtok --tagger llm --model gpt-4o-mini`

    - `tags-assets select --what-if alignment=0.8 budget=3% --target maths`
    """
    if what_if:
        from tags_assets.commands.what_if import run_what_if  # noqa: PLC0415 - without Dagster, in seconds

        others = {
            "--tagger": tagger,
            "--judge": judge,
            "--namer": namer,
            "--model": model,
            "--base-url": base_url,
            "--llm": llm,
            "--embedder": embedder,
            "--tag-share": tag_share,
            "--dry-run": dry_run,
            "--retry-failed": retry_failed,
            "--column": column,
            "--filter": filter_,
            "--decontaminate": decontaminate,
            "--pii": pii,
            "--limit": limit,
            "--out": out,
        }
        run_what_if(Home.resolve(home), target, pool or [], budget, others)
        return
    check_memory()
    from tags_assets.commands.select import Choices, run_dry, run_select  # noqa: PLC0415 - as above

    choices = Choices(
        pool=tuple(pool or ()),
        pool_name=pool_name,
        target=target,
        budget=budget,
        tagger=tagger,
        judge=judge,
        namer=namer,
        llm=tuple(llm or ()),
        model=model,
        base_url=base_url,
        embedder=embedder,
        tag_share=tag_share,
        retry_failed=retry_failed,
        columns=tuple(column or ()),
        filters=tuple(filter_ or ()),
        decontaminate=tuple(decontaminate or ()),
        pii=pii,
        limits=tuple(limit or ()),
    )
    try:
        if dry_run:
            run_dry(Home.resolve(home).prepare(), choices)
        else:
            run_select(Home.resolve(home).prepare(), choices, out)
    except KeyboardInterrupt:  # before typer sees it, which ends without a word
        sys.stderr.write(_STOPPED)
        raise typer.Exit(130) from None


@app.command()
def explain(
    row: Annotated[str, typer.Argument(help="The row's own id, its instance_id, or FILE:LINE.")],
    target: TargetOption = None,
    version: VersionOption = None,
    concept: Annotated[
        bool,
        typer.Option(
            "--concept",
            help="ROW is a concept of the tree (name, path or node id) or a tag: say which rows it brought "
            "in, in every target or the one named.",
        ),
    ] = False,
    home: HomeOption = None,
) -> None:
    """Say why ROW is in the selection, or why it is not."""
    from tags_assets.commands.look import run_explain, run_explain_concept  # noqa: PLC0415

    if concept:
        run_explain_concept(Home.resolve(home), row, target, version)
    else:
        run_explain(Home.resolve(home), row, target, version)


@app.command()
def versions(
    target: Annotated[str | None, typer.Option("--target", "-t", help="One target. [default: all]")] = None,
    home: HomeOption = None,
) -> None:
    """List the selections of the past that can still be read, explained and made again."""
    from tags_assets.commands.versions import run_versions  # noqa: PLC0415

    run_versions(Home.resolve(home), target)


@app.command()
def report(
    target: TargetOption = None,
    version: VersionOption = None,
    out: Annotated[Path | None, typer.Option(help="File to write. [default: HOME/reports/]")] = None,
    home: HomeOption = None,
) -> None:
    """Write the report of a selection, of now or of the past."""
    from tags_assets.commands.versions import run_report  # noqa: PLC0415

    run_report(Home.resolve(home), target, version, out)


@app.command()
def reproduce(
    manifest: Annotated[Path, typer.Argument(help="The `manifest.json` of a selection, or its folder.")],
    home: HomeOption = None,
) -> None:
    """Make a selection again from the versions that its MANIFEST names, and compare row for row."""
    from tags_assets.commands.versions import run_reproduce  # noqa: PLC0415

    run_reproduce(Home.resolve(home), manifest)


@app.command()
def prune(
    keep_last: Annotated[
        int, typer.Option(min=1, help="Versions to keep of each asset, with all that they were made from.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    grace_minutes: Annotated[
        float, typer.Option(min=0, help="Keep what is younger than this, whatever it is.")
    ] = 15.0,
    unused_days: Annotated[
        float, typer.Option(min=0, help="Parsed files that no run has read for so long go too.")
    ] = 30.0,
    home: HomeOption = None,
) -> None:
    """Free old versions; what a kept selection was made from stays, and what a process reads now."""
    from tags_assets.commands.versions import run_prune  # noqa: PLC0415

    run_prune(
        Home.resolve(home), keep_last, dry_run=dry_run, grace_minutes=grace_minutes, unused_days=unused_days
    )


@app.command()
def repair(
    deep: Annotated[bool, typer.Option("--deep", help="Compare every artifact with its checksum.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; only list what would.")] = False,
    home: HomeOption = None,
) -> None:
    """Build warehouse.duckdb anew from the artifacts alone, and remove what killed processes left."""
    from tags_assets.commands.versions import run_repair  # noqa: PLC0415

    run_repair(Home.resolve(home), deep=deep, dry_run=dry_run)


@app.command()
def tree(
    under: Annotated[
        str | None, typer.Argument(help="Show what is below this node: a name, a name path or a node id.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, max=12, help="Levels to show.")] = 3,
    width: Annotated[int, typer.Option(min=1, help="Children to show of each node, the largest first.")] = 8,
    home: HomeOption = None,
) -> None:
    """Draw the knowledge tree, with each node's share of the pool."""
    from tags_assets.commands.look import run_tree  # noqa: PLC0415

    run_tree(Home.resolve(home), under, depth, width)


@app.command()
def describe(
    name: Annotated[str | None, typer.Argument(help="A table or view; left out, all are listed.")] = None,
    home: HomeOption = None,
) -> None:
    """Say what a table or view of warehouse.duckdb holds, and what each of its columns means."""
    from tags_assets.commands.look import run_describe  # noqa: PLC0415

    run_describe(Home.resolve(home), name)


@app.command()
def diff(
    a: Annotated[str, typer.Argument(help="A target, or `target@version`.")],
    b: Annotated[str, typer.Argument(help="A target, or `target@version`.")],
    home: HomeOption = None,
) -> None:
    """Compare two selections: rows kept, dropped and added, and what shifted."""
    from tags_assets.commands.look import run_diff  # noqa: PLC0415

    run_diff(Home.resolve(home), a, b)


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="Folder to write into.")],
    target: TargetOption = None,
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            help="raw, parquet, llamafactory, llamafactory-alpaca, llamafactory-openai, trl, "
            "trl-prompt-completion or axolotl; may be repeated. [default: all]",
        ),
    ] = None,
    mixture: Annotated[
        list[str] | None,
        typer.Option(help="Export several targets as one mixture: `maths=0.7`, once for each."),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write a selection in the forms that trainers load."""
    from tags_assets.commands.exports import run_export  # noqa: PLC0415

    run_export(Home.resolve(home), out, target, tuple(format_ or ()), tuple(mixture or ()))


@app.command()
def targets(home: HomeOption = None) -> None:
    """List the targets, what each asks for, and what its last selection reached."""
    from tags_assets.commands.look import run_targets  # noqa: PLC0415

    run_targets(Home.resolve(home).prepare())


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="New project folder.")],
) -> None:
    """Make a new project folder: an example target, the Dagster settings, a README."""
    from tags_assets.commands.project import run_init  # noqa: PLC0415

    run_init(folder)


@app.command()
def doctor(
    home: HomeOption = None,
    deep: Annotated[bool, typer.Option("--deep", help="Compare every artifact with its checksum.")] = False,
    model: Annotated[str | None, typer.Option(help="Also ask the LLM server for this model.")] = None,
    base_url: Annotated[str | None, typer.Option(help="The LLM server. [default: $OPENAI_BASE_URL]")] = None,
) -> None:
    """Look for trouble: versions, disk, stale or corrupt files, a folder that was moved."""
    from tags_assets.commands.project import run_doctor  # noqa: PLC0415

    run_doctor(Home.resolve(home), model, base_url, deep=deep)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 3000,
    browse: Annotated[
        bool, typer.Option("--open", help="Open it in the browser as soon as it answers.")
    ] = False,
    public_address: Annotated[
        str | None,
        typer.Option(
            help="The address of a reverse proxy in front of it, as https://tags.example.org. Requests that "
            "name any other host or page than this and the loopback address are refused."
        ),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Serve the Dagster UI on HOME: the graph, its runs, and the daemon that follows new data."""
    check_memory()
    from tags_assets.commands.ui import run_ui  # noqa: PLC0415

    run_ui(Home.resolve(home).prepare(), port, browse=browse, public_address=public_address)


def _version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        typer.echo(f"tags-assets {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Pick the few per cent of your instruction data that teach most, and see why each row is in."""


def main() -> None:
    """Run the command line; what the user can fix is one line on stderr and exit code 1."""
    try:
        app()
    except UserError as error:
        if os.environ.get("TAGS_DEBUG"):
            raise
        sys.stderr.write(f"tags-assets: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write(_STOPPED)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except (ImportError, MemoryError, OSError, RuntimeError, SystemError) as error:
        said = broken_start(error)
        if said is None or os.environ.get("TAGS_DEBUG"):
            raise
        sys.stderr.write(f"tags-assets: {said}\n")
        sys.exit(1)
