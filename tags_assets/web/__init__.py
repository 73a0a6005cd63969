"""What `tags-assets ui` serves: Dagster's app behind a guard."""
