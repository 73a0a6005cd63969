"""SQL of unknown origin, run in a process of its own that can reach nothing and is stopped in time."""
