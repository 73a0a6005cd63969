"""The command line: the same assets as in the Dagster UI, for people without a browser."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from tags_assets import __version__
from tags_assets.commands.describe import describe
from tags_assets.commands.diff import diff
from tags_assets.commands.doctor import doctor
from tags_assets.commands.explain import explain
from tags_assets.commands.export import export
from tags_assets.commands.generated import command_of
from tags_assets.commands.init import init
from tags_assets.commands.prune import prune
from tags_assets.commands.repair import repair
from tags_assets.commands.report import report
from tags_assets.commands.reproduce import reproduce
from tags_assets.commands.select import STOPPED, select
from tags_assets.commands.select_options import SelectOptions
from tags_assets.commands.targets import targets
from tags_assets.commands.tree import tree
from tags_assets.commands.trust import trust
from tags_assets.commands.ui import ui
from tags_assets.commands.versions import versions
from tags_assets.commands.what_if import what_if
from tags_assets.errors import UserError, broken_start

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

app.command("select")(command_of(SelectOptions, select))
for _command in (
    what_if,
    explain,
    versions,
    report,
    reproduce,
    prune,
    repair,
    tree,
    describe,
    diff,
    export,
    targets,
    init,
    doctor,
    trust,
    ui,
):
    app.command()(_command)


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
        sys.stderr.write(STOPPED)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except (ImportError, MemoryError, OSError, RuntimeError, SystemError) as error:
        said = broken_start(error)
        if said is None or os.environ.get("TAGS_DEBUG"):
            raise
        sys.stderr.write(f"tags-assets: {said}\n")
        sys.exit(1)
