"""One target's selection on stored artifacts, without Dagster: what assets and the Python API both call."""
