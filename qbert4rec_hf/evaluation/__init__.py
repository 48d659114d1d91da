"""Ranking metrics, evaluation of a scorer, and the report page."""
