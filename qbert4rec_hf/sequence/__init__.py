"""Stage 3: the masked encoder over semantic IDs, its masks and its collator."""
