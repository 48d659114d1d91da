"""Preparation of a domain folder from raw files: reading, cleaning, ordering, writing."""
