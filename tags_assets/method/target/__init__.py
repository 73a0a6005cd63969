"""Target distributions."""
