"""``tags-assets`` and ``python -m tags_assets``: the command line, started off the current folder's path."""

import sys

from tags_assets.safe_start import leave_current_folder_out


def main() -> None:
    """Leave the current folder off the path before anything else is imported; then run the command line."""
    leave_current_folder_out()
    try:
        from tags_assets.commands.cli import main as run  # noqa: PLC0415 - it imports most of what it needs from the path
    except KeyboardInterrupt:  # before the command line can say what it has finished
        sys.stderr.write("tags-assets: stopped\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
