"""Quality of a row."""
