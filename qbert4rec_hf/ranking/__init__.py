"""Ranking the catalogue: exact top-K, the item-graph prior, and their mixture with the model."""
