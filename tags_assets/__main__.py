"""``python -m tags_assets`` is the command line."""

from tags_assets.cli import main

if __name__ == "__main__":
    main()
