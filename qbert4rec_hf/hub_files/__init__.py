"""Folders on their way to the Hub and back: what goes, what comes, and what goes wrong."""
