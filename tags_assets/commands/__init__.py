"""What the commands of `tags_assets.cli` do; imported when a command runs, so that ``--help`` does not wait."""
