"""`qbert4rec fuse`: stage 1."""

from __future__ import annotations

import argparse

from .run_options import add_run_arguments, opened_run

HELP = "Stage 1: train the fusion model that joins an item's modalities."
EXAMPLE = """
qbert4rec fuse --output-dir runs/shop
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    with opened_run(arguments) as run:
        run.fuse()
