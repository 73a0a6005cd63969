"""The graph: definitions, automation, the Dagster instance and the in-process runner."""
