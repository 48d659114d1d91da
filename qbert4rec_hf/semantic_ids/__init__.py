"""Semantic IDs: unique codes for items, their catalogue and their tokenizer."""
