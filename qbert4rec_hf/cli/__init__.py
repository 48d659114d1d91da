"""The `qbert4rec` command: one file a verb."""
