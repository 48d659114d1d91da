"""Stage 2: an item's embedding becomes a short row of codes, its semantic ID."""
