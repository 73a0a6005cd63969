"""What the commands of `tags_assets.cli` do; imported when one runs, so that ``--help`` is quick."""
