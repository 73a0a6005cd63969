"""Concepts: vocabulary, embeddings, assignment to rows."""
