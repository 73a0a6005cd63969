"""Partitions: one per target domain."""

from __future__ import annotations

import dagster as dg

targets = dg.DynamicPartitionsDefinition(name="targets")
"""One partition per target: each file in ``targets/``, each named on the command line, and ``pool``."""
