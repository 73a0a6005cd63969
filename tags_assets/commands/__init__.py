"""What the commands of `tags_assets.commands.cli` do; imported when one runs, so that ``--help`` is quick."""
