"""Readers of raw reviews, shop logs and item metadata; `read` is the way in."""
