"""``tags-assets`` and ``python -m tags_assets``: the command line, started off the current folder's path."""

import sys

from tags_assets.safe_start import leave_current_folder_out

WITH_A_RUN = {"select", "ui"}
"""Commands that need the memory of a run."""


def main() -> None:
    """Leave the current folder off the path before anything else is imported; then run the command line."""
    leave_current_folder_out()
    try:
        if WITH_A_RUN & set(sys.argv[1:2]) and not {"-h", "--help"} & set(sys.argv):
            _check_memory()
        from tags_assets.commands.cli import main as run  # noqa: PLC0415 - it imports most of what it needs from the path
    except KeyboardInterrupt:  # before the command line can say what it has finished
        sys.stderr.write("tags-assets: stopped\n")
        sys.exit(130)
    run()


def _check_memory() -> None:
    """Check the memory before libraries are imported that end the process where they find none."""
    from tags_assets.commands.memory import check_memory  # noqa: PLC0415 - off the current folder's path
    from tags_assets.errors import UserError  # noqa: PLC0415

    try:
        check_memory()
    except UserError as error:
        sys.stderr.write(f"tags-assets: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
