"""`qbert4rec features`: encoders and feature vectors of every domain of a run."""

from __future__ import annotations

import argparse

from .run_options import add_run_arguments, opened_run

HELP = "Encode items: texts, images and structure become vectors."
EXAMPLE = """
qbert4rec features --domain demo/domains/weekend --output-dir runs/shop
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_run_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    with opened_run(arguments) as run:
        run.features()
