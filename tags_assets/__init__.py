"""Controllable data selection for LLM instruction tuning: TAGS as versioned Dagster assets over DuckDB."""

__version__ = "0.1.0"
