"""``tags-assets`` and ``python -m tags_assets``: the command line, started off the current folder's path."""

from tags_assets.safe_start import leave_current_folder_out


def main() -> None:
    """Leave the current folder off the path before anything else is imported; then run the command line."""
    leave_current_folder_out()
    from tags_assets.cli import main as run  # noqa: PLC0415 - it imports most of what it needs from the path

    run()


if __name__ == "__main__":
    main()
