"""The knowledge tree and the grounding of rows on it."""
